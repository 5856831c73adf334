//! The template of a log's tag, with the functions that Docker adds to Go's. Who may make a container writes it, and it
//! is filled in by the daemon: what it takes is bounded, whatever it says.

use std::fmt;

use gotmpl::{MissingKey, Template, TemplateError, Value};

use crate::error::{OptionError, Result};

/// Longest template, in bytes.
const MOST_SOURCE: usize = 16 << 10;
/// Longest tag, in bytes.
const MOST_TAG: usize = 16 << 10;
/// What one call of a function may be given, in bytes: the longest variable (`MAX_ARG_STRLEN` of execve(2)) fits.
const MOST_GIVEN: usize = 128 << 10;
/// Turns of all `range`s.
const MOST_TURNS: u64 = 10_000;
/// Go's own functions whose results may be longer than what they are given.
const GROWING: [&str; 6] = ["print", "println", "printf", "html", "js", "urlquery"];

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
        let template = Template::new("log-tag").missing_key(MissingKey::Error).max_range_iters(MOST_TURNS);
        let template = functions(template).parse(source);
        let template = template.map_err(|error| OptionError::new(sentence(source, &error)))?;
        Ok(Self { source, template })
    }

    /// # Errors
    /// A field that there is not; it would take too much.
    pub(crate) fn fill(&self, facts: &Value) -> Result<String> {
        let mut text = Bounded(String::new());
        match self.template.execute_fmt(&mut text, facts) {
            Ok(()) => Ok(text.0),
            Err(TemplateError::Write) => {
                Err(OptionError::new(format!("the tag would be longer than {MOST_TAG} bytes")))
            }
            Err(error) => Err(OptionError::new(sentence(self.source, &error))),
        }
    }
}

/// Takes [`MOST_TAG`] bytes.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MOST_TAG {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
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

/// A template that gets functions whose calls are bounded.
struct Functions(Template);

impl Functions {
    /// Adds one that refuses to be given too much: each may return more than it was given, and be given that again.
    fn add(
        self,
        name: &'static str,
        function: impl Fn(&[Value]) -> gotmpl::Result<Value> + Send + Sync + 'static,
    ) -> Self {
        Self(self.0.func(name, move |args| {
            if args.iter().map(weight).sum::<usize>() > MOST_GIVEN {
                return Err(TemplateError::Exec(format!("{name} is given more than {MOST_GIVEN} bytes")));
            }
            function(args)
        }))
    }
}

/// One of Go's own functions, by a template that calls it.
fn own(name: &str, args: &[Value]) -> gotmpl::Result<Value> {
    let call: String = (0..args.len()).map(|index| format!(" (index . {index})")).collect();
    let template = Template::new(name).parse(&format!("{{{{{name}{call}}}}}"))?;
    Ok(Value::String(template.execute_to_string(&Value::List(args.into()))?.into()))
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

/// The most spaces that `pad` adds on one side.
const PAD_LIMIT: usize = 1 << 12;

/// The functions that Docker adds to Go's.
fn functions(template: Template) -> Template {
    fn text(args: &[Value], index: usize) -> String {
        args.get(index).map(ToString::to_string).unwrap_or_default()
    }
    fn count(args: &[Value], index: usize) -> usize {
        let number = args.get(index).and_then(Value::as_int).unwrap_or(0);
        usize::try_from(number).unwrap_or(0).min(PAD_LIMIT)
    }
    let string = |text: String| Ok(Value::String(text.into()));
    GROWING
        .into_iter()
        .fold(Functions(template), |functions, name| functions.add(name, move |args| own(name, args)))
        .add("json", move |args| string(args.first().map_or_else(|| "null".to_owned(), json)))
        .add("split", |args| {
            let (text, by) = (text(args, 0), text(args, 1));
            Ok(Value::List(text.split(by.as_str()).map(|part| Value::String(part.into())).collect()))
        })
        .add("join", move |args| {
            let parts: Vec<String> = match args.first() {
                Some(Value::List(items)) => items.iter().map(ToString::to_string).collect(),
                _ => Vec::new(),
            };
            string(parts.join(&text(args, 1)))
        })
        .add("title", move |args| {
            let text = text(args, 0);
            let words = text.split_inclusive(' ').map(|word| {
                let mut letters = word.chars();
                letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
            });
            string(words.collect())
        })
        .add("lower", move |args| string(text(args, 0).to_lowercase()))
        .add("upper", move |args| string(text(args, 0).to_uppercase()))
        .add("pad", move |args| {
            let source = text(args, 0);
            if source.is_empty() {
                return string(source);
            }
            string(format!("{}{source}{}", " ".repeat(count(args, 1)), " ".repeat(count(args, 2))))
        })
        .add("truncate", move |args| string(text(args, 0).chars().take(count(args, 1)).collect()))
        .0
}

fn json(value: &Value) -> String {
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    match value {
        Value::Nil | Value::Function(_) => "null".to_owned(),
        Value::String(text) => quote(text),
        Value::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        Value::Map(members) => {
            let members = members.iter().map(|(name, member)| format!("{}:{}", quote(name), json(member)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn filled(source: &str) -> std::result::Result<String, String> {
        let facts = [("Name".into(), Value::String("web".into()))].into_iter().collect();
        let tag = Tag::parse(source).map_err(|error| error.to_string())?;
        tag.fill(&Value::Map(Arc::new(facts))).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_tag_takes_is_bounded() {
        assert_eq!(
            filled("{{printf \"%s-%03d\" .Name 7}} {{print 1 2}} {{html \"<\"}}").unwrap(),
            "web-007 1 2 &lt;"
        );
        assert_eq!(filled("{{range 3}}x{{end}}").unwrap(), "xxx");
        let told = |source: &str| filled(source).unwrap_err();
        assert!(told("{{range 9000}}four{{end}}").contains("would be longer"));
        assert!(told("{{range 99999}}{{end}}").contains("range"));
        assert!(told(&"x".repeat(MOST_SOURCE + 1)).contains("is longer"));
        for double in ["print $a $a", "printf \"%s%s\" $a $a", "json (json $a)", "pad $a 4096 4096"] {
            let source = format!("{{{{$a := \"'\\\"'\"}}}}{}", format!("{{{{$a = {double}}}}}").repeat(99));
            let error = told(&source);
            assert!(error.contains("is given more than"), "{double}: {error}");
        }
    }
}
