//! JSON in which nothing is said twice and nothing is overlooked.
//!
//! Two readers that differ in which of two equal keys they believe can be shown two different texts by one
//! signature. Depth is limited by `serde_json` (128).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Any JSON value; objects in the order they are written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// Whole numbers that fit; others are of no use here.
    Integer(i64),
    OtherNumber,
    Text(String),
    Array(Vec<Json>),
    Object(Object),
}

/// An object whose members are taken out one by one, so that what is left is what nobody knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object(Vec<(String, Json)>);

/// What is wrong with a text, without saying where it came from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("invalid JSON: {0}")]
    Syntax(String),
    #[error("{0:?} is missing")]
    Missing(&'static str),
    #[error("{name:?} is not {expected}")]
    Type { name: String, expected: &'static str },
    #[error("unknown key {0:?}")]
    Unknown(String),
}

pub(crate) fn parse(bytes: &[u8]) -> Result<Json, JsonError> {
    serde_json::from_slice(bytes).map_err(|error| JsonError::Syntax(error.to_string()))
}

/// Reads an object.
pub(crate) fn object(bytes: &[u8]) -> Result<Object, JsonError> {
    parse(bytes)?.into_object("the document")
}

impl Json {
    pub(crate) fn into_object(self, name: &str) -> Result<Object, JsonError> {
        match self {
            Self::Object(object) => Ok(object),
            _ => Err(type_error(name, "an object")),
        }
    }

    pub(crate) fn into_array(self, name: &str) -> Result<Vec<Json>, JsonError> {
        match self {
            Self::Array(items) => Ok(items),
            _ => Err(type_error(name, "an array")),
        }
    }

    pub(crate) fn into_text(self, name: &str) -> Result<String, JsonError> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(type_error(name, "a string")),
        }
    }

    /// A number, or one written as a string, as protobuf's JSON writes 64 bits.
    pub(crate) fn into_integer(self, name: &str) -> Result<i64, JsonError> {
        match self {
            Self::Integer(number) => Ok(number),
            Self::Text(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
                text.parse().ok().ok_or_else(|| type_error(name, "a whole number"))
            }
            _ => Err(type_error(name, "a whole number")),
        }
    }
}

impl Object {
    /// Takes a member out; `null` is as good as absent.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(at).1).filter(|value| *value != Json::Null)
    }

    pub(crate) fn need(&mut self, name: &'static str) -> Result<Json, JsonError> {
        self.take(name).ok_or(JsonError::Missing(name))
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, JsonError> {
        self.take(name).map(|value| value.into_text(name)).transpose()
    }

    pub(crate) fn need_text(&mut self, name: &'static str) -> Result<String, JsonError> {
        self.need(name)?.into_text(name)
    }

    pub(crate) fn object(&mut self, name: &'static str) -> Result<Option<Object>, JsonError> {
        self.take(name).map(|value| value.into_object(name)).transpose()
    }

    pub(crate) fn need_object(&mut self, name: &'static str) -> Result<Object, JsonError> {
        self.need(name)?.into_object(name)
    }

    pub(crate) fn array(&mut self, name: &'static str) -> Result<Vec<Json>, JsonError> {
        self.take(name).map_or(Ok(Vec::new()), |value| value.into_array(name))
    }

    pub(crate) fn need_integer(&mut self, name: &'static str) -> Result<i64, JsonError> {
        self.need(name)?.into_integer(name)
    }

    /// Refuses what has not been taken.
    pub(crate) fn finish(self) -> Result<(), JsonError> {
        match self.0.into_iter().next() {
            Some((key, _)) => Err(JsonError::Unknown(key)),
            None => Ok(()),
        }
    }

    pub(crate) fn into_members(self) -> Vec<(String, Json)> {
        self.0
    }
}

fn type_error(name: &str, expected: &'static str) -> JsonError {
    JsonError::Type { name: name.into(), expected }
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
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::OtherNumber, Json::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::OtherNumber)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom(format!("the key {key:?} stands there twice")));
            }
            object.push((key, members.next_value()?));
        }
        Ok(Json::Object(Object(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"x":[{"a":1,"\u0061":2}]}"#] {
            assert!(parse(text.as_bytes()).unwrap_err().to_string().contains("stands there twice"), "{text}");
        }
    }

    #[test]
    fn what_is_left_over_is_named() {
        let mut object = object(br#"{"a":1,"b":null,"c":"2"}"#).unwrap();
        assert_eq!(object.need_integer("a"), Ok(1));
        assert_eq!(object.text("b"), Ok(None));
        assert_eq!(object.clone().need_integer("c"), Ok(2));
        assert_eq!(object.finish(), Err(JsonError::Unknown("c".into())));
    }

    #[test]
    fn depth_is_limited_and_nothing_may_follow() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse(deep.as_bytes()).is_err());
        assert!(parse(b"{} {}").is_err());
        assert!(parse(b"{\"a\":+1}").is_err());
    }
}
