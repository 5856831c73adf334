//! Variables: what a stage's words expand from, and what its commands see.

use std::collections::BTreeMap;

use dockerfile::expand;
use oci::Platform;

use super::Options;

/// Arguments that are in scope, in the order of their declaration.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments(Vec<(String, Option<String>)>);

impl Arguments {
    pub(super) fn set(&mut self, name: &str, value: Option<String>) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), value));
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.clone())
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Those with a value that no variable of this environment hides, sorted by name: what commands see.
    pub(super) fn visible(&self, env: &[String]) -> Vec<String> {
        let hidden = |name: &str| env.iter().any(|pair| key(pair) == name);
        let given = self.0.iter().filter(|(name, _)| !hidden(name));
        let mut given: Vec<String> =
            given.filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?))).collect();
        given.sort();
        given
    }
}

/// The name in `NAME=value`.
pub(super) fn key(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name)
}

/// A variable's value.
pub(super) fn value<'a>(env: &'a [String], name: &str) -> Option<&'a str> {
    env.iter()
        .rev()
        .find_map(|pair| pair.split_once('=').filter(|(known, _)| *known == name))
        .map(|(_, value)| value)
}

/// Puts a variable there, in the place of one of its name.
pub(super) fn put(env: &mut Vec<String>, name: &str, value: &str) {
    let pair = format!("{name}={value}");
    match env.iter_mut().find(|known| key(known) == name) {
        Some(known) => *known = pair,
        None => env.push(pair),
    }
}

/// What is built for and on, by the names that a Dockerfile knows it by.
pub(super) fn platforms(options: &Options) -> BTreeMap<&'static str, String> {
    let host = Platform::host();
    let target = options.platform.clone().unwrap_or_else(Platform::host);
    let variant = |platform: &Platform| platform.variant.clone().unwrap_or_default();
    BTreeMap::from([
        ("TARGETPLATFORM", target.to_string()),
        ("TARGETOS", target.os.clone()),
        ("TARGETARCH", target.architecture.clone()),
        ("TARGETVARIANT", variant(&target)),
        ("BUILDPLATFORM", host.to_string()),
        ("BUILDOS", host.os.clone()),
        ("BUILDARCH", host.architecture.clone()),
        ("BUILDVARIANT", variant(&host)),
    ])
}

/// Expands one word.
pub(super) fn word(
    text: &str,
    escape: char,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<String, expand::ExpandError> {
    expand::word(text, escape, lookup)
}
