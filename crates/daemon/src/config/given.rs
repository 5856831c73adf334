//! Values as they were given, before anyone knows what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Result, bail};

use super::table::{Kind, Opt, State, by_key, refusal};

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Flag(bool),
    Int(i64),
    List(Vec<String>),
    Map(BTreeMap<String, String>),
    Structure(serde_json::Value),
}

/// Values by the option's key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given(BTreeMap<&'static str, Value>);

impl Given {
    pub(super) fn set(&mut self, option: &'static Opt, value: Value) {
        self.0.insert(option.key, value);
    }

    /// These, and of `below` what is not among them.
    pub(super) fn over(self, mut below: Self) -> Self {
        below.0.extend(self.0);
        below
    }

    /// Keys whose values differ, those of `except` left out.
    pub(crate) fn differing(&self, other: &Self, except: &[&str]) -> Vec<&'static str> {
        let keys: BTreeSet<&'static str> = self.0.keys().chain(other.0.keys()).copied().collect();
        let differs = |key: &&'static str| self.0.get(key) != other.0.get(key) && !except.contains(key);
        keys.into_iter().filter(differs).collect()
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        debug_assert!(by_key(key).is_some(), "{key} is not in the table");
        self.0.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key) {
            Some(Value::Flag(set)) => Some(*set),
            _ => None,
        }
    }

    pub(super) fn int(&self, key: &str) -> Option<i64> {
        match self.get(key) {
            Some(Value::Int(number)) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn list(&self, key: &str) -> Vec<String> {
        match self.get(key) {
            Some(Value::List(list)) => list.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn map(&self, key: &str) -> BTreeMap<String, String> {
        match self.get(key) {
            Some(Value::Map(map)) => map.clone(),
            _ => BTreeMap::new(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Flag(set) => set.fmt(f),
            Self::Int(number) => number.fmt(f),
            Self::List(list) => write!(f, "[{}]", list.join(" ")),
            Self::Map(map) => {
                let pairs: Vec<_> = map.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", pairs.join(" "))
            }
            Self::Structure(value) => value.fmt(f),
        }
    }
}

impl Value {
    /// Whether this asks for nothing beyond what is done anyway.
    fn asks_for_nothing(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Flag(set) => !set,
            Self::Int(_) => false,
            Self::List(list) => list.is_empty(),
            Self::Map(map) => map.is_empty(),
            Self::Structure(serde_json::Value::Object(map)) => map.is_empty(),
            Self::Structure(serde_json::Value::Array(list)) => list.is_empty(),
            Self::Structure(value) => value.is_null(),
        }
    }
}

/// Nothing may stand both on the command line and in the file: nobody could tell which one counts.
pub(super) fn refuse_conflicts(flags: &Given, file: &Given) -> Result<()> {
    let both: Vec<_> = flags
        .0
        .iter()
        .filter_map(|(key, flag)| {
            file.0.get(key).map(|file| format!("{key}: (from flag: {flag}, from file: {file})"))
        })
        .collect();
    if both.is_empty() {
        return Ok(());
    }
    bail!(
        "the following directives are specified both as a flag and in the configuration file: {}",
        both.join(", ")
    )
}

/// What is not done is refused by name, not ignored.
pub(super) fn refuse_unsupported(given: &Given, name: impl Fn(&Opt) -> String) -> Result<()> {
    for (key, value) in &given.0 {
        if let Some(option) = by_key(key)
            && !value.asks_for_nothing()
        {
            match option.state {
                State::Works => {}
                State::Never => bail!("{} {}", name(option), refusal(option.key)),
            }
        }
    }
    Ok(())
}

/// The value of a flag's words.
pub(super) fn from_words(option: &Opt, words: Vec<String>) -> Result<Value> {
    let last = words.last().cloned().unwrap_or_default();
    Ok(match option.kind {
        Kind::Text => Value::Text(last),
        Kind::Flag => Value::Flag(flag(&last).ok_or_else(|| wrong(option, &last, "true or false"))?),
        Kind::Int => Value::Int(last.parse().map_err(|_unparsed| wrong(option, &last, "an integer"))?),
        Kind::List => Value::List(words),
        Kind::Map => Value::Map(
            words
                .into_iter()
                .map(|word| match word.split_once('=') {
                    Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
                    None => Err(wrong(option, &word, "NAME=VALUE")),
                })
                .collect::<Result<_>>()?,
        ),
        Kind::Structure => super::parse::structure(option, &words)?,
    })
}

fn flag(word: &str) -> Option<bool> {
    match word {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// An error that names the flag, its value, and what it should be.
pub(super) fn wrong(option: &Opt, value: &str, wanted: &str) -> anyhow::Error {
    anyhow::anyhow!("invalid argument {value:?} for --{}: must be {wanted}", option.flag)
}
