//! Lists: `--format table|json|TEMPLATE` over rows of named fields.

use std::collections::BTreeMap;

use super::table::{self, LIST};
use super::template::{self, Data, Format};
use crate::error::{Error, Result};
use crate::out::Out;

/// One entry of a list: fields by name, and the labels that `{{.Label "key"}}` asks for.
#[derive(Debug, Default)]
pub(crate) struct Row {
    /// Name and text of each field.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// A field that is an object: its text and its JSON, or nothing known.
    pub(crate) object: Option<(&'static str, Option<(String, String)>)>,
    /// Fields that are true or false.
    pub(crate) switches: Vec<(&'static str, bool)>,
    /// Labels by key.
    pub(crate) labels: BTreeMap<String, String>,
}

/// What a list is called and made of.
pub(crate) struct Columns {
    /// Every field and its header in a table.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// The template of the table that is printed when nothing else is asked for.
    pub(crate) default: &'static str,
    /// Docker's name of the type, for the message about a field that does not exist.
    pub(crate) kind: &'static str,
}

/// What `--format` asks for.
enum Wish {
    Table(String),
    Plain(String),
}

fn wish(format: &str, default: &str) -> Wish {
    match format {
        "" | "table" => Wish::Table(default.to_owned()),
        "json" => Wish::Plain("{{json .}}".to_owned()),
        other => match other.strip_prefix("table") {
            Some(template) => Wish::Table(template.trim_start().to_owned()),
            None => Wish::Plain(other.to_owned()),
        },
    }
}

/// Prints rows as `format` asks.
pub(crate) fn print(out: &Out, format: &str, columns: &Columns, rows: &[Row]) -> Result<()> {
    out.text(&render(format, columns, rows)?)
}

/// Rows as `format` asks.
pub(crate) fn render(format: &str, columns: &Columns, rows: &[Row]) -> Result<String> {
    let (table, template) = match wish(format, columns.default) {
        Wish::Table(template) => (true, template),
        Wish::Plain(template) => (false, template),
    };
    let format = Format::parse(&template)
        .map_err(|error| match columns.kind {
            template::PS => {
                Error::said(error.to_string().replace("template parsing error", "failed to parse template"))
            }
            _ => error,
        })?
        .of_kind(columns.kind);
    let mut text = String::new();
    for row in rows {
        text.push_str(&format.render(Data::from_row(row))?);
        text.push('\n');
    }
    if !table {
        return Ok(text);
    }
    let header = format.render_headers(columns.headers)?;
    Ok(table::align(&format!("{header}\n{text}"), LIST))
}

/// `key=value,key=value`, sorted by key.
pub(crate) fn labels(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

/// The first 12 characters of an id, without the name of its hash.
pub(crate) fn short_id(id: &str) -> &str {
    let digest = id.split_once(':').map_or(id, |(_, digest)| digest);
    digest.get(..12).unwrap_or(digest)
}

/// At most `width` characters, the last one an ellipsis when there were more.
pub(crate) fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_ellipsis() {
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("x"), "x");
        assert_eq!(ellipsis("abcdef", 4), "abc…");
        assert_eq!(ellipsis("abcd", 4), "abcd");
    }
}
