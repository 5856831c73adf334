//! Values with a form of their own.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use engine::config::Runtime;
use engine::container::Ulimit;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::given::{Given, Value, wrong};
use super::table::Opt;

/// A flag's words, in the form that the file has.
pub(super) fn structure(option: &Opt, words: &[String]) -> Result<Value> {
    let json = match option.key {
        "runtimes" => object(option, words, |path| Ok(json!({ "path": path })))?,
        "default-ulimits" => object(option, words, |limits| {
            let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
            let number = |text: &str| {
                text.parse::<i64>().map_err(|_unparsed| wrong(option, limits, "SOFT[:HARD], both integers"))
            };
            Ok(json!({ "Soft": number(soft)?, "Hard": number(hard)? }))
        })?,
        "default-address-pools" => {
            Json::Array(words.iter().map(|word| pool(option, word)).collect::<Result<_>>()?)
        }
        "default-network-opts" => network_options(option, words)?,
        _ => Json::Array(words.iter().cloned().map(Json::String).collect()),
    };
    Ok(Value::Structure(json))
}

fn object(option: &Opt, words: &[String], value: impl Fn(&str) -> Result<Json>) -> Result<Json> {
    let mut map = Map::new();
    for word in words {
        let (name, text) = word.split_once('=').ok_or_else(|| wrong(option, word, "NAME=VALUE"))?;
        map.insert(name.to_owned(), value(text)?);
    }
    Ok(Json::Object(map))
}

fn pool(option: &Opt, word: &str) -> Result<Json> {
    let parts: BTreeMap<_, _> = word.split(',').filter_map(|part| part.split_once('=')).collect();
    match (parts.get("base"), parts.get("size").and_then(|size| size.parse::<u8>().ok())) {
        (Some(base), Some(size)) if parts.len() == 2 => Ok(json!({ "base": base, "size": size })),
        _ => Err(wrong(option, word, "base=CIDR,size=PREFIX")),
    }
}

/// `bridge=com.docker.network.driver.mtu=1400`: options by driver.
fn network_options(option: &Opt, words: &[String]) -> Result<Json> {
    let mut drivers = BTreeMap::<&str, BTreeMap<&str, &str>>::new();
    for word in words {
        let parts = word.split_once('=').and_then(|(driver, rest)| Some((driver, rest.split_once('=')?)));
        let (driver, (name, value)) = parts
            .filter(|(driver, (name, _))| !driver.is_empty() && !name.is_empty())
            .ok_or_else(|| wrong(option, word, "DRIVER=NAME=VALUE"))?;
        drivers.entry(driver).or_default().insert(name, value);
    }
    Ok(json!(drivers))
}

pub(super) fn typed<T: Default + for<'de> Deserialize<'de>>(given: &Given, key: &str) -> Result<T> {
    match given.get(key) {
        Some(Value::Structure(json)) => {
            serde_json::from_value(json.clone()).with_context(|| format!("invalid value of {key:?}"))
        }
        _ => Ok(T::default()),
    }
}

/// `runtimes`
pub(super) fn runtimes(given: &Given) -> Result<BTreeMap<String, Runtime>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        path: String,
        #[serde(default, rename = "runtimeArgs")]
        args: Vec<String>,
    }
    let entries: BTreeMap<String, Entry> = typed(given, "runtimes")?;
    Ok(entries
        .into_iter()
        .map(|(name, entry)| (name, Runtime { path: entry.path, args: entry.args }))
        .collect())
}

/// `default-ulimits`
pub(super) fn ulimits(given: &Given) -> Result<Vec<Ulimit>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "PascalCase")]
    struct Entry {
        #[serde(default, rename = "Name")]
        _name: String,
        soft: i64,
        hard: i64,
    }
    let entries: BTreeMap<String, Entry> = typed(given, "default-ulimits")?;
    entries
        .into_iter()
        .map(|(name, Entry { soft, hard, .. })| {
            if hard != -1 && (soft > hard || soft == -1) {
                bail!("invalid default ulimit {name}: soft limit {soft} is above hard limit {hard}");
            }
            Ok(Ulimit { name, soft, hard })
        })
        .collect()
}

/// `default-address-pools`
pub(super) fn address_pools(given: &Given) -> Result<Vec<(String, u8)>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        base: String,
        size: u8,
    }
    let entries: Vec<Entry> = typed(given, "default-address-pools")?;
    Ok(entries.into_iter().map(|entry| (entry.base, entry.size)).collect())
}

/// `default-network-opts`
pub(super) fn default_network_options(given: &Given) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    typed(given, "default-network-opts")
}

/// Bytes, with `b`, `k`, `m`, `g` or `t` behind (powers of 1024).
pub(super) fn bytes(text: &str) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let text = text.strip_suffix('i').unwrap_or(text);
    let (digits, shift) = match text.char_indices().next_back()? {
        (end, 'k') => (&text[..end], 10),
        (end, 'm') => (&text[..end], 20),
        (end, 'g') => (&text[..end], 30),
        (end, 't') => (&text[..end], 40),
        _ => (text, 0),
    };
    digits.trim().parse::<i64>().ok().filter(|number| *number >= 0)?.checked_mul(1 << shift)
}
