//! Query strings: reading with Docker's rules for booleans, and writing.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Characters that Go's `url.QueryEscape` leaves as they are.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Most parameters that are read from one query string; the rest is ignored.
const MAX_PARAMETERS: usize = 1024;

/// The parameters of a request, in order; a name may occur more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// An empty query.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads what stands behind the `?`. Bytes that are not UTF-8 become U+FFFD.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs = text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .take(MAX_PARAMETERS)
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name), decode(value))
            })
            .collect();
        Self { pairs }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.push(name, value);
        self
    }

    /// Adds `name=1` when `on`, else nothing.
    #[must_use]
    pub fn flagged(self, name: &str, on: bool) -> Self {
        if on { self.with(name, "1") } else { self }
    }

    /// Adds a parameter.
    pub fn push(&mut self, name: &str, value: impl ToString) {
        self.pairs.push((name.to_owned(), value.to_string()));
    }

    /// The first value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a name, unless it is empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Every value of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a boolean parameter is set: everything but absence, `""`, `0`, `no`, `false` and `none`.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(truth)
    }

    /// A boolean parameter whose absence means `default`.
    #[must_use]
    pub fn flag_or(&self, name: &str, default: bool) -> bool {
        self.get(name).map_or(default, truth)
    }

    /// An integer parameter; absent or empty is `None`.
    ///
    /// # Errors
    /// A sentence that names the parameter and its value, when that is no integer.
    pub fn int(&self, name: &str) -> Result<Option<i64>, String> {
        self.text(name)
            .map(|text| {
                text.trim()
                    .parse()
                    .map_err(|_unparsed| format!("invalid value {text:?} for {name}: not an integer"))
            })
            .transpose()
    }

    /// Whether there is no parameter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The text to put behind the `?`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.pairs {
            if !out.is_empty() {
                out.push('&');
            }
            out.extend(utf8_percent_encode(name, QUERY));
            out.push('=');
            out.extend(utf8_percent_encode(value, QUERY));
        }
        out
    }
}

fn truth(value: &str) -> bool {
    !matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let query = Query::new().with("filters", r#"{"a b":["c&d"]}"#).with("n", 3).flagged("x", true);
        assert_eq!(Query::parse(&query.encode()), query);
    }

    #[test]
    fn docker_booleans() {
        let query = Query::parse("a=1&b=0&c=False&d=&e&f=true&g=None&h=x");
        let set = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| query.flag(name));
        assert_eq!(set, [true, false, false, false, false, true, false, true]);
        assert!(query.flag_or("absent", true));
    }

    #[test]
    fn integers() {
        let query = Query::parse("a=10&b=&c=ten");
        assert_eq!(query.int("a"), Ok(Some(10)));
        assert_eq!(query.int("b"), Ok(None));
        assert_eq!(query.int("c"), Err("invalid value \"ten\" for c: not an integer".into()));
    }
}
