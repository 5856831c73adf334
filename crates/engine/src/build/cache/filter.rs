//! Filters over the cache's records in containerd's language, as BuildKit's clients write them:
//! `type==regular,shared`; all parts of one must hold, and one of several.

use jiff::{SignedDuration, Timestamp};
use regex_lite::Regex;

use super::CacheRecord;
use crate::error::{Error, Result};
use crate::filters::Filters;

/// Filters of Docker's API.
const FILTERS: [&str; 9] =
    ["id", "parent", "type", "description", "inuse", "shared", "private", "until", "unused-for"];

/// Longest filter, in bytes.
const MAX_FILTER: usize = 4096;
/// Most filters of one request, and most parts of a filter.
const MAX_PARTS: usize = 64;

/// What records must be like; without any filter every record is.
#[derive(Clone, Debug, Default)]
pub struct CacheFilter {
    any: Vec<Vec<Part>>,
    /// A label is asked for, and no record has labels.
    never: bool,
}

#[derive(Clone, Debug)]
struct Part {
    field: Field,
    test: Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Id,
    Parents,
    Description,
    InUse,
    Mutable,
    Immutable,
    Type,
    Shared,
    Private,
}

#[derive(Clone, Debug)]
enum Test {
    Present,
    Is(String),
    IsNot(String),
    Like(Regex),
}

impl CacheFilter {
    /// Reads filters, of which one must hold.
    ///
    /// # Errors
    /// One of them is malformed, names an unknown field or is too long.
    pub fn parse<'a>(filters: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut all = Vec::new();
        for filter in filters.into_iter().filter(|filter| !filter.is_empty()) {
            if filter.len() > MAX_FILTER || all.len() == MAX_PARTS {
                return Err(Error::bad_parameter("the filters of the build cache are too long"));
            }
            all.push(parts(filter)?);
        }
        Ok(Self { any: all, never: false })
    }

    /// Docker's filters, all of which must hold; and for how long a record must not have been used (`until`,
    /// `unused-for`).
    ///
    /// # Errors
    /// A filter is unknown or given twice; a duration is none.
    pub fn of(filters: &Filters) -> Result<(Self, Option<SignedDuration>)> {
        filters.only(&[&FILTERS[..], &["label", "label!"]].concat())?;
        let mut filter = Self { never: filters.contains("label"), ..Self::default() };
        let mut unused = None;
        for name in FILTERS {
            let values: Vec<&str> = filters.get(name).collect();
            let value = match values.as_slice() {
                [] => continue,
                [value] => *value,
                _ => {
                    return Err(Error::bad_parameter(format!(
                        "filter {name:?} of the build cache has more than one value"
                    )));
                }
            };
            match name {
                "until" | "unused-for" if unused.is_some() => {
                    return Err(Error::bad_parameter(
                        "filters \"until\" and \"unused-for\" say the same: give one of them",
                    ));
                }
                "until" | "unused-for" => {
                    let since = filters.moment(name)?;
                    unused = since.map(|since| Timestamp::now().duration_since(since));
                }
                "id" => filter.and(name, "~=", value)?,
                "inuse" | "shared" | "private" if value.is_empty() => filter.and(name, "", "")?,
                _ => filter.and(name, "==", value)?,
            }
        }
        Ok((filter, unused))
    }

    /// Adds what must hold beside everything that was said before.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn and(&mut self, field: &str, operator: &str, value: &str) -> Result<()> {
        let part = part(field, operator, value)?;
        if self.any.is_empty() {
            self.any.push(Vec::new());
        }
        self.any.iter_mut().for_each(|all| all.push(part.clone()));
        Ok(())
    }

    /// Whether a record is meant.
    #[must_use]
    pub fn matches(&self, record: &CacheRecord) -> bool {
        let holds =
            self.any.is_empty() || self.any.iter().any(|all| all.iter().all(|part| part.holds(record)));
        holds && !self.never
    }
}

fn wrong(text: &str, why: &str) -> Error {
    Error::bad_parameter(format!("invalid filter {text:?} of the build cache: {why}"))
}

/// Reads the parts of one filter.
fn parts(filter: &str) -> Result<Vec<Part>> {
    let mut all = Vec::new();
    let mut rest = filter;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (field, after) = rest.split_at(end);
        let operator = ["==", "!=", "~="].into_iter().find(|operator| after.starts_with(operator));
        let (value, after) = match operator {
            Some(operator) => value(filter, &after[operator.len()..])?,
            None => (String::new(), after),
        };
        all.push(part(field, operator.unwrap_or_default(), &value)?);
        if all.len() > MAX_PARTS {
            return Err(wrong(filter, "it has too many parts"));
        }
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(all),
            None => return Err(wrong(filter, "a comma or an operator (==, !=, ~=) is missing")),
        }
    }
}

/// A value, in quotes or up to the next comma, and what is behind it.
fn value<'a>(filter: &str, text: &'a str) -> Result<(String, &'a str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        return Ok((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            letter => value.push(letter),
        }
    }
    Err(wrong(filter, "a quote is not closed"))
}

fn part(field: &str, operator: &str, value: &str) -> Result<Part> {
    let known = match field {
        "id" => Field::Id,
        "parent" | "parents" => Field::Parents,
        "description" => Field::Description,
        "inuse" => Field::InUse,
        "mutable" => Field::Mutable,
        "immutable" => Field::Immutable,
        "type" => Field::Type,
        "shared" => Field::Shared,
        "private" => Field::Private,
        other => return Err(wrong(other, "there is no such field")),
    };
    let test = match operator {
        "" => Test::Present,
        "==" => Test::Is(value.to_owned()),
        "!=" => Test::IsNot(value.to_owned()),
        _ => Test::Like(Regex::new(value).map_err(|error| wrong(value, &error.to_string()))?),
    };
    Ok(Part { field: known, test })
}

impl Part {
    fn holds(&self, record: &CacheRecord) -> bool {
        let flag = match self.field {
            Field::InUse => Some(record.in_use),
            Field::Mutable => Some(record.mutable),
            Field::Immutable => Some(!record.mutable),
            Field::Shared => Some(record.shared),
            Field::Private => Some(!record.shared),
            Field::Id | Field::Parents | Field::Description | Field::Type => None,
        };
        let words: Vec<&str> = match (self.field, flag) {
            (_, Some(true)) => vec!["true", "1"],
            (_, Some(false)) => vec!["false", "0"],
            (Field::Id, _) => vec![&record.id],
            (Field::Parents, _) => record.parents.iter().map(String::as_str).collect(),
            (Field::Description, _) => vec![&record.description],
            _ => vec![record.kind.name()],
        };
        match (&self.test, flag) {
            (Test::Present, Some(flag)) => flag,
            (Test::Present, None) => words.iter().any(|word| !word.is_empty()),
            (Test::Is(value), _) => words.contains(&value.as_str()),
            (Test::IsNot(value), _) => !words.contains(&value.as_str()),
            (Test::Like(pattern), _) => words.iter().any(|word| pattern.is_match(word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    fn matches(filters: &[&str]) -> bool {
        let record = CacheRecord { shared: true, parents: vec!["p".into()], ..record("abc", 1) };
        CacheFilter::parse(filters.iter().copied()).unwrap().matches(&record)
    }

    #[test]
    fn filters_are_containerd_s() {
        for holds in [
            &[][..],
            &["id==abc"],
            &["id~=^ab"],
            &["shared,type==regular"],
            &["id==x", "shared==true"],
            &["description==\"about abc, \\\"it\\\"\""],
            &["parents==p", "private"],
            &["immutable,id!=x"],
        ] {
            assert!(matches(holds), "{holds:?}");
        }
        for not in [&["id==ab"][..], &["shared,private"], &["inuse"], &["mutable"], &["type!=regular"]] {
            assert!(!matches(not), "{not:?}");
        }
    }

    #[test]
    fn malformed_filters_are_named() {
        for (filter, why) in [
            ("colour==red", "\"colour\""),
            ("id=abc", "an operator"),
            ("id==\"abc", "not closed"),
            ("id~=(", "(\""),
            ("", ""),
        ] {
            match CacheFilter::parse([filter]) {
                Err(error) => assert!(error.to_string().contains(why) && !why.is_empty(), "{error}"),
                Ok(_) => assert!(filter.is_empty(), "{filter}"),
            }
        }
        assert!(CacheFilter::parse(["x".repeat(MAX_FILTER + 1).as_str()]).is_err());
    }

    #[test]
    fn what_must_hold_beside() {
        let mut filter = CacheFilter::parse(["id==abc", "id==abd"]).unwrap();
        filter.and("type", "==", "regular").unwrap();
        assert!(filter.matches(&record("abd", 1)) && !filter.matches(&record("x", 1)));
        filter.and("inuse", "", "").unwrap();
        assert!(!filter.matches(&record("abd", 1)));
    }
}
