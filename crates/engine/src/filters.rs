//! `--filter name=value`: a bag of words, and how Docker compares them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

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

    /// Of a prune: every `label` is among `labels`, and not every `label!`.
    #[must_use]
    pub fn spares_not(&self, labels: &BTreeMap<String, String>) -> bool {
        self.labels("label", labels) && !(self.contains("label!") && self.labels("label!", labels))
    }

    /// Of a prune: what is younger than this moment stays.
    ///
    /// # Errors
    /// There are several `until`; it is no moment.
    pub fn until(&self) -> Result<Option<Timestamp>> {
        if self.get("until").count() > 1 {
            return Err(Error::bad_parameter("more than one until filter specified"));
        }
        self.moment("until")
    }

    /// The moment that a filter names: RFC 3339 (without a zone: UTC), seconds since 1970, or a duration before now
    /// (`24h`, `1h30m`, `1.5s`).
    ///
    /// # Errors
    /// It is none of these.
    pub fn moment(&self, name: &str) -> Result<Option<Timestamp>> {
        let Some(text) = self.get(name).next() else { return Ok(None) };
        let seconds = |text: &str| {
            let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
            let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
            let nanos = decimals.get(..decimals.len().min(9)).filter(|_| digits(decimals))?;
            Timestamp::new(whole.parse().ok()?, format!("{nanos:0<9}").parse().ok()?).ok()
        };
        let before = |text: &str| Timestamp::now().checked_sub(duration(text)?).ok();
        let civil = |text: &str| {
            let zoned = text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC);
            Some(zoned.ok()?.timestamp())
        };
        let moment =
            seconds(text).or_else(|| before(text)).or_else(|| text.parse().ok()).or_else(|| civil(text));
        moment.map(Some).ok_or_else(|| {
            Error::bad_parameter(format!("failed to parse value as time or duration: \"{text}\""))
        })
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

/// A duration as Go writes it (`1h30m`, `1.5s`, `300ms`).
#[must_use]
pub fn duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let mut total = SignedDuration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit_end =
            rest[number_end..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| number_end + at);
        let number: f64 = rest[..number_end].parse().ok()?;
        let unit = match &rest[number_end..unit_end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(SignedDuration::try_from_secs_f64(number * unit).ok()?)?;
        rest = &rest[unit_end..];
    }
    Some(if negative { -total } else { total })
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
        assert_eq!(moment("10.5").unwrap().unwrap().as_millisecond(), 10_500);
        assert_eq!(moment("1970-01-02").unwrap().unwrap().as_second(), 86_400);
        assert_eq!(moment("1970-01-01T00:00:09").unwrap().unwrap().as_second(), 9);
        assert!(moment("1h30m").unwrap().unwrap() < Timestamp::now());
        for wrong in ["yesterday", "1x", "h", "", "1.2.3", "-", "1.x"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_go_s() {
        let millis = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!((millis("1.5s"), millis("300ms"), millis("-1m")), (Some(1500), Some(300), Some(-60_000)));
        assert_eq!((millis("10"), millis("s"), millis("1d")), (None, None, None));
    }

    #[test]
    fn a_label_that_is_spared() {
        let have = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        let spares_not = |pairs: &[(&str, &str)]| filters(pairs).spares_not(&have);
        assert!(spares_not(&[]) && spares_not(&[("label", "a")]) && spares_not(&[("label!", "b")]));
        assert!(!spares_not(&[("label", "b")]) && !spares_not(&[("label!", "a=1")]));
        let twice = filters(&[("until", "1h"), ("until", "2h")]).until();
        assert_eq!(twice.unwrap_err().to_string(), "more than one until filter specified");
    }

    #[test]
    fn flags_and_unknown_names_are_checked() {
        assert_eq!(filters(&[("dangling", "1")]).flag("dangling").unwrap(), Some(true));
        assert!(filters(&[("dangling", "maybe")]).flag("dangling").is_err());
        assert_eq!(filters(&[("x", "y")]).only(&["id"]).unwrap_err().to_string(), "invalid filter 'x'");
    }
}
