//! The template of a log's tag. Who may make a container writes it, and the daemon fills it in.

use template::{Bounds, Template, TemplateError, Unparsed, Value};

use crate::error::{OptionError, Result};

/// Longest template, in bytes.
const MOST_SOURCE: usize = 16 << 10;
/// The longest variable (`MAX_ARG_STRLEN` of execve(2)) may be given to a function.
const BOUNDS: Bounds = Bounds { output: 16 << 10, given: 128 << 10, turns: 10_000, spaces: 1 << 12 };

/// A template that can be filled in.
pub(crate) struct Tag<'a> {
    source: &'a str,
    template: Template,
}

impl<'a> Tag<'a> {
    /// # Errors
    /// Go's sentence about what is wrong; it is longer than [`MOST_SOURCE`].
    pub(crate) fn parse(source: &'a str) -> Result<Self> {
        if source.len() > MOST_SOURCE {
            return Err(OptionError::new(format!("the tag is longer than {MOST_SOURCE} bytes")));
        }
        let template = Unparsed::new("log-tag", BOUNDS).parse(source);
        let template = template.map_err(|error| OptionError::new(sentence(source, &error)))?;
        Ok(Self { source, template })
    }

    /// # Errors
    /// A field that there is not; it would take too much.
    pub(crate) fn fill(&self, facts: &Value) -> Result<String> {
        self.template.fill(facts).map_err(|error| OptionError::new(sentence(self.source, &error)))
    }
}

/// Go's sentence about a template.
fn sentence(source: &str, error: &TemplateError) -> String {
    match error {
        TemplateError::Parse { line, message, .. } | TemplateError::Lex { line, message, .. } => {
            format!("template: log-tag:{line}: {message}")
        }
        TemplateError::MissingKey { key } => {
            let column = source.find(&format!(".{key}")).unwrap_or_default();
            format!(
                "template: log-tag:1:{column}: executing \"log-tag\" at <.{key}>: can't evaluate field {key} in type *logger.Info"
            )
        }
        other => format!("template: log-tag: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_tag_is_told() {
        let told = |source: &str| match Tag::parse(source).and_then(|tag| tag.fill(&Value::Nil)) {
            Ok(text) => panic!("{source} made {text:?}"),
            Err(error) => error.to_string(),
        };
        assert!(told(&"x".repeat(MOST_SOURCE + 1)).contains("is longer"));
        assert!(told("{{range 9000}}four{{end}}").contains("the output is longer"));
        assert_eq!(told("{{if true}}"), "template: log-tag:1: unexpected EOF");
    }
}
