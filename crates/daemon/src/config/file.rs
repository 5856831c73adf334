//! `daemon.json`.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value as Json;

use super::given::{Given, Value};
use super::table::{Kind, Opt, by_key};

/// Longest configuration file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Reads the file. A missing one is empty, unless it was asked for.
pub(super) fn read(path: &Path, asked_for: bool) -> Result<Given> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_FILE => bail!("the file is longer than {MAX_FILE} bytes"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !asked_for => {
            return Ok(Given::default());
        }
        _ => {}
    }
    let text = std::fs::read_to_string(path)?;
    if text.trim().is_empty() {
        return Ok(Given::default());
    }
    let Json::Object(object) = serde_json::from_str(&text)? else { bail!("it holds no JSON object") };
    let unknown: Vec<_> = object.keys().filter(|key| by_key(key).is_none()).map(String::as_str).collect();
    if !unknown.is_empty() {
        bail!("the following directives don't match any configuration option: {}", unknown.join(", "));
    }
    let mut given = Given::default();
    for (key, json) in object {
        if let Some(option) = by_key(&key)
            && !json.is_null()
        {
            given.set(option, value(option, json).with_context(|| format!("directive {key:?}"))?);
        }
    }
    Ok(given)
}

fn value(option: &Opt, json: Json) -> Result<Value> {
    Ok(match (option.kind, json) {
        (Kind::Text, Json::String(text)) => Value::Text(text),
        (Kind::Flag, Json::Bool(set)) => Value::Flag(set),
        (Kind::Int, Json::Number(number)) => Value::Int(number.as_i64().context("must be an integer")?),
        (Kind::List, Json::Array(list)) => Value::List(
            list.into_iter()
                .map(|item| match item {
                    Json::String(text) => Ok(text),
                    other => bail!("{other} must be a string"),
                })
                .collect::<Result<_>>()?,
        ),
        (Kind::Map, Json::Object(map)) => Value::Map(
            map.into_iter()
                .map(|(name, value)| match value {
                    Json::String(text) => Ok((name, text)),
                    other => bail!("{other} must be a string: write it in quotes"),
                })
                .collect::<Result<_>>()?,
        ),
        (Kind::Structure, json) => Value::Structure(json),
        (kind, other) => bail!("{other} is of the wrong type: must be {}", wanted(kind)),
    })
}

fn wanted(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "a string",
        Kind::Flag => "true or false",
        Kind::Int => "an integer",
        Kind::List => "a list of strings",
        Kind::Map | Kind::Structure => "an object",
    }
}
