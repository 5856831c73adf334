//! The functions that Docker adds to Go's, and Go's whose results may be longer than what they are given.

use gotmpl::{Template, TemplateError, Value};

use crate::Unparsed;
use crate::json;

/// Go's that grow; they are called through a bound.
const GROWING: [&str; 6] = ["print", "println", "printf", "html", "js", "urlquery"];

pub(crate) fn all(template: Unparsed) -> Unparsed {
    let spaces = template.bounds.spaces;
    GROWING
        .into_iter()
        .fold(template, |template, name| template.with(name, move |args| own(name, args)))
        .with("json", |args| {
            let mut out = String::new();
            json::write(&mut out, args.first().unwrap_or(&Value::Nil), &|_| None);
            string(out)
        })
        .with("split", |args| Ok(Value::List(split(&text(args, 0), &text(args, 1)).into())))
        .with("join", |args| {
            let parts: Vec<String> = match args.first() {
                Some(Value::List(items)) => items.iter().map(ToString::to_string).collect(),
                _ => Vec::new(),
            };
            string(parts.join(&text(args, 1)))
        })
        .with("title", |args| string(title(&text(args, 0))))
        .with("lower", |args| string(text(args, 0).to_lowercase()))
        .with("upper", |args| string(text(args, 0).to_uppercase()))
        .with("pad", move |args| {
            let source = text(args, 0);
            if source.is_empty() {
                return string(source);
            }
            let room = |index| " ".repeat(count(args, index).min(spaces));
            string(format!("{}{source}{}", room(1), room(2)))
        })
        .with("truncate", |args| string(text(args, 0).chars().take(count(args, 1)).collect()))
}

/// One of Go's own functions, by a template that calls it.
fn own(name: &str, args: &[Value]) -> Result<Value, TemplateError> {
    let call: String = (0..args.len()).map(|index| format!(" (index . {index})")).collect();
    let template = Template::new(name).parse(&format!("{{{{{name}{call}}}}}"))?;
    string(template.execute_to_string(&Value::List(args.into()))?)
}

fn string(text: String) -> Result<Value, TemplateError> {
    Ok(Value::String(text.into()))
}

fn text(args: &[Value], index: usize) -> String {
    args.get(index).map(ToString::to_string).unwrap_or_default()
}

fn count(args: &[Value], index: usize) -> usize {
    let number = args.get(index).and_then(Value::as_int).unwrap_or(0);
    usize::try_from(number).unwrap_or(0)
}

/// By nothing: into its characters.
fn split(text: &str, by: &str) -> Vec<Value> {
    if by.is_empty() {
        return text.chars().map(|c| Value::String(c.to_string().into())).collect();
    }
    text.split(by).map(|part| Value::String(part.into())).collect()
}

/// The first letter of every word in upper case.
fn title(text: &str) -> String {
    let mut after_letter = false;
    text.chars()
        .map(|c| {
            let changed = if after_letter { c } else { c.to_uppercase().next().unwrap_or(c) };
            after_letter = c.is_alphanumeric() || c == '_' || c == '\'';
            changed
        })
        .collect()
}
