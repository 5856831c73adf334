//! JSON whose objects keep their order, so that what the daemon said can be shown as it said it.

use std::fmt;
use std::fmt::Write as _;

use ::template::json::quote;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// Any number.
    Number(serde_json::Number),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// Members in the order of the text.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// A member of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A member deep inside.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// Text.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// As one line.
    pub(crate) fn compact(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, None, 0);
        out
    }

    /// As one line that Go has written with HTML escaping on, as it writes files.
    pub(crate) fn compact_escaped(&self) -> String {
        // outside of strings there are none
        self.compact().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
    }

    /// As [`Self::pretty`], with HTML escaping on.
    pub(crate) fn pretty_escaped(&self) -> String {
        self.pretty().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
    }

    /// On many lines, each level indented by four spaces, as `inspect` prints.
    pub(crate) fn pretty(&self) -> String {
        self.indented("    ")
    }

    /// On many lines, each level indented by `indent`.
    pub(crate) fn indented(&self, indent: &str) -> String {
        let mut out = String::new();
        self.write(&mut out, Some(indent), 0);
        out
    }

    fn write(&self, out: &mut String, indent: Option<&str>, depth: usize) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(number) => drop(write!(out, "{number}")),
            Self::String(text) => quote(out, text),
            Self::Array(items) => {
                write_group(out, ('[', ']'), items, indent, depth, |out, item| {
                    item.write(out, indent, depth + 1);
                });
            }
            Self::Object(members) => {
                write_group(out, ('{', '}'), members, indent, depth, |out, (key, value)| {
                    quote(out, key);
                    out.push_str(if indent.is_some() { ": " } else { ":" });
                    value.write(out, indent, depth + 1);
                });
            }
        }
    }
}

fn write_group<T>(
    out: &mut String,
    (open, close): (char, char),
    items: &[T],
    indent: Option<&str>,
    depth: usize,
    mut one: impl FnMut(&mut String, &T),
) {
    let line = |out: &mut String, depth: usize| {
        if let Some(indent) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(indent, depth));
        }
    };
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        line(out, depth + 1);
        one(out, item);
    }
    if !items.is_empty() {
        line(out, depth);
    }
    out.push(close);
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Json::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut all = Vec::new();
        while let Some(member) = members.next_entry()? {
            all.push(member);
        }
        Ok(Json::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_layout_are_kept() {
        let json: Json = serde_json::from_str(r#"{"b":1,"a":[],"c":{},"d":["<x>",null,true,1.5]}"#).unwrap();
        assert_eq!(json.compact(), r#"{"b":1,"a":[],"c":{},"d":["<x>",null,true,1.5]}"#);
        assert_eq!(
            json.pretty(),
            "{\n    \"b\": 1,\n    \"a\": [],\n    \"c\": {},\n    \"d\": [\n        \"<x>\",\n        null,\n        true,\n        1.5\n    ]\n}"
        );
        assert_eq!(json.at(&["d"]), json.get("d"));
    }
}
