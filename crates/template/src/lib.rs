//! Docker's templates: Go's text/template, with the functions that Docker adds (`--format` of the client, the `tag` of
//! a log). Who writes one may be a stranger: what it takes is bounded, whatever it says.
//!
//! The engine in between is more lenient than Go's about blocks (`blocks.rs`), and has no bound on what functions make.

mod blocks;
mod functions;
pub mod json;

use std::fmt;

pub use gotmpl::{TemplateError, Value};

/// What one template may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Longest result, in bytes.
    pub output: usize,
    /// What one call of a function may be given, in bytes: each may return more than that, and be given it again.
    pub given: usize,
    /// Turns of all `range`s.
    pub turns: u64,
    /// Spaces that `pad` adds on one side.
    pub spaces: usize,
}

/// A template that gets its functions, and then is parsed.
pub struct Unparsed {
    template: gotmpl::Template,
    bounds: Bounds,
}

/// A template that can be filled in.
pub struct Template {
    template: gotmpl::Template,
    bounds: Bounds,
}

impl Unparsed {
    /// With Go's functions and Docker's. Fields that there are not are errors.
    #[must_use]
    pub fn new(name: &str, bounds: Bounds) -> Self {
        let template =
            gotmpl::Template::new(name).missing_key(gotmpl::MissingKey::Error).max_range_iters(bounds.turns);
        functions::all(Self { template, bounds })
    }

    /// Fields that there are not are empty.
    #[must_use]
    pub fn missing_is_nothing(mut self) -> Self {
        self.template = self.template.missing_key(gotmpl::MissingKey::ZeroValue);
        self
    }

    /// With a function more, or another one of that name.
    #[must_use]
    pub fn with(
        self,
        name: &'static str,
        function: impl Fn(&[Value]) -> Result<Value, TemplateError> + Send + Sync + 'static,
    ) -> Self {
        let Self { template, bounds } = self;
        let most = bounds.given;
        let template = template.func(name, move |args| {
            if args.iter().map(weight).sum::<usize>() > most {
                return Err(TemplateError::Exec(format!("{name} is given more than {most} bytes")));
            }
            function(args)
        });
        Self { template, bounds }
    }

    /// Parses it.
    ///
    /// # Errors
    /// What is wrong with it, in Go's words.
    pub fn parse(self, source: &str) -> Result<Template, TemplateError> {
        let template = self.template.parse(source)?;
        match blocks::wrong(source) {
            None => Ok(Template { template, bounds: self.bounds }),
            Some(reason) => Err(TemplateError::Parse {
                name: None,
                line: source.matches('\n').count() + 1,
                col: 1,
                message: reason.to_owned(),
            }),
        }
    }
}

impl Template {
    /// Fills it in.
    ///
    /// # Errors
    /// A field that there is not; a function that fails; more than its bounds.
    pub fn fill(&self, value: &Value) -> Result<String, TemplateError> {
        let mut out = Bounded { text: String::new(), most: self.bounds.output };
        self.template.execute_fmt(&mut out, value).map_err(|error| match error {
            TemplateError::Write => {
                TemplateError::Exec(format!("the output is longer than {} bytes", self.bounds.output))
            }
            other => other,
        })?;
        Ok(out.text)
    }
}

/// Takes so many bytes.
struct Bounded {
    text: String,
    most: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.text.len() + text.len() > self.most {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

/// How much text there is in a value, and one for each that is none.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::List(items) => items.iter().map(|item| weight(item) + 1).sum(),
        Value::Map(members) => members.iter().map(|(name, member)| name.len() + weight(member) + 1).sum(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests;
