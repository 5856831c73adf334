//! The `filters` parameter: `{"label":["a=b"]}`, or `{"label":{"a=b":true}}` as old clients write it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Longest `filters` text that is read, in bytes.
const MAX_LEN: usize = 64 * 1024;

/// Filter names, each with its values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Filters {
    map: BTreeMap<String, BTreeSet<String>>,
}

/// Why a `filters` parameter can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Not JSON of the documented shape, or too long.
    #[error("invalid filter: {0}")]
    Malformed(String),
    /// A name that this endpoint does not know.
    #[error("invalid filter '{0}'")]
    Unknown(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    List(Vec<String>),
    Map(BTreeMap<String, bool>),
}

impl Filters {
    /// No filter.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the parameter's text; empty means no filter.
    ///
    /// # Errors
    /// When it is not JSON of the documented shape.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if text.len() > MAX_LEN {
            return Err(FilterError::Malformed(format!("longer than {MAX_LEN} bytes")));
        }
        let raw: BTreeMap<String, Option<Values>> =
            serde_json::from_str(text).map_err(|error| FilterError::Malformed(error.to_string()))?;
        let map = raw.into_iter().map(|(name, values)| (name, values.map(Values::set).unwrap_or_default()));
        Ok(Self { map: map.collect() })
    }

    /// Adds a value to a name.
    pub fn add(&mut self, name: &str, value: &str) {
        self.map.entry(name.to_owned()).or_default().insert(value.to_owned());
    }

    /// Refuses names that are not among `known`.
    ///
    /// # Errors
    /// Names the first unknown one.
    pub fn only(&self, known: &[&str]) -> Result<(), FilterError> {
        match self.map.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(FilterError::Unknown(name.clone())),
            None => Ok(()),
        }
    }

    /// The values of a name, sorted.
    pub fn get<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.map.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Every name with its values, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.map.iter().map(|(name, values)| (name.as_str(), values))
    }

    /// Whether there is no filter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The parameter's text, in the map form that every API version since 1.22 reads.
    #[must_use]
    pub fn encode(&self) -> String {
        let map: BTreeMap<_, BTreeMap<_, bool>> = self
            .map
            .iter()
            .map(|(name, values)| (name, values.iter().map(|value| (value, true)).collect()))
            .collect();
        serde_json::to_string(&map).unwrap_or_default()
    }
}

impl Values {
    fn set(self) -> BTreeSet<String> {
        match self {
            Self::List(list) => list.into_iter().collect(),
            Self::Map(map) => map.into_iter().filter(|(_, on)| *on).map(|(value, _)| value).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_the_same() {
        let list = Filters::parse(r#"{"label":["a=b","c"],"status":["running"]}"#).unwrap();
        let map =
            Filters::parse(r#"{"label":{"a=b":true,"c":true,"d":false},"status":{"running":true}}"#).unwrap();
        assert_eq!(list, map);
        assert_eq!(Filters::parse(&list.encode()).unwrap(), list);
        assert_eq!(list.get("label").collect::<Vec<_>>(), ["a=b", "c"]);
    }

    #[test]
    fn wrong_input_is_named() {
        assert!(Filters::parse("").unwrap().is_empty());
        assert!(Filters::parse("{").unwrap_err().to_string().starts_with("invalid filter: "));
        let filters = Filters::parse(r#"{"colour":["red"]}"#).unwrap();
        assert_eq!(filters.only(&["label"]).unwrap_err().to_string(), "invalid filter 'colour'");
    }
}
