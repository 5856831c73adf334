//! `--filter name=value`: a bag of words, and how Docker compares them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::error::{Error, Result};

/// Filters of a list request: several values of one name are alternatives, several names must all hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, BTreeSet<String>>);

impl Filters {
    /// Adds one.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.entry(name.into()).or_default().insert(value.into());
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This name is used.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Values of one name.
    pub fn get(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Fails when a name is none of these.
    ///
    /// # Errors
    /// Docker's `invalid filter 'x'`.
    pub fn only(&self, accepted: &[&str]) -> Result<()> {
        match self.0.keys().find(|name| !accepted.contains(&name.as_str())) {
            Some(name) => Err(Error::bad_parameter(format!("invalid filter '{name}'"))),
            None => Ok(()),
        }
    }

    /// Unused, or one of the values equals `value`.
    #[must_use]
    pub fn exact(&self, name: &str, value: &str) -> bool {
        self.any(name, |wanted| wanted == value)
    }

    /// Unused, or `test` holds for one of the values.
    pub fn any(&self, name: &str, test: impl FnMut(&str) -> bool) -> bool {
        !self.contains(name) || self.get(name).any(test)
    }

    /// Unused, or every `label` / `label=value` is among `labels`.
    #[must_use]
    pub fn labels(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        self.get(name).all(|wanted| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|have| have == value),
            None => labels.contains_key(wanted),
        })
    }

    /// The moment that a filter names: RFC 3339, seconds since 1970, or a duration before now (`24h`, `1h30m`).
    ///
    /// # Errors
    /// It is none of these.
    pub fn moment(&self, name: &str) -> Result<Option<Timestamp>> {
        let Some(text) = self.get(name).next() else { return Ok(None) };
        let seconds =
            || text.parse::<f64>().ok().and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
        let before = || duration(text).and_then(|seconds| Timestamp::from_second(now() - seconds).ok());
        let moment = text.parse().ok().or_else(seconds).or_else(before);
        moment.map(Some).ok_or_else(|| Error::bad_parameter(format!("invalid filter '{name}={text}'")))
    }

    /// The value of a yes/no filter, if it is used.
    ///
    /// # Errors
    /// It is neither true nor false, or both.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        let mut values = self.get(name).map(|value| match value {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            other => Err(Error::bad_parameter(format!("invalid filter '{name}=[{other}]'"))),
        });
        let Some(first) = values.next().transpose()? else { return Ok(None) };
        match values.next().transpose()? {
            Some(second) if second != first => Err(Error::bad_parameter(format!("invalid filter '{name}'"))),
            _ => Ok(Some(first)),
        }
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// Seconds of a duration as Go writes it, in hours, minutes and seconds.
fn duration(text: &str) -> Option<i64> {
    let (mut total, mut number) = (0_i64, String::new());
    for letter in text.chars() {
        let unit = match letter {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            digit => {
                number.push(digit);
                continue;
            }
        };
        total = total.checked_add(std::mem::take(&mut number).parse::<i64>().ok()?.checked_mul(unit)?)?;
    }
    (number.is_empty() && !text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(pairs: &[(&str, &str)]) -> Filters {
        let mut filters = Filters::default();
        for (name, value) in pairs {
            filters.add(*name, *value);
        }
        filters
    }

    #[test]
    fn labels_must_all_match() {
        let have = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        assert!(filters(&[("label", "a=1"), ("label", "b")]).labels("label", &have));
        assert!(!filters(&[("label", "a=2")]).labels("label", &have));
        assert!(filters(&[]).labels("label", &have));
    }

    #[test]
    fn moments_are_read_in_every_form() {
        let moment = |text: &str| filters(&[("until", text)]).moment("until");
        assert_eq!(moment("10").unwrap().unwrap().as_second(), 10);
        assert_eq!(moment("1970-01-01T00:01:00Z").unwrap().unwrap().as_second(), 60);
        assert!(moment("1h30m").unwrap().unwrap() < Timestamp::now());
        assert!(moment("yesterday").is_err());
    }

    #[test]
    fn flags_and_unknown_names_are_checked() {
        assert_eq!(filters(&[("dangling", "1")]).flag("dangling").unwrap(), Some(true));
        assert!(filters(&[("dangling", "maybe")]).flag("dangling").is_err());
        assert_eq!(filters(&[("x", "y")]).only(&["id"]).unwrap_err().to_string(), "invalid filter 'x'");
    }
}
