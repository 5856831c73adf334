//! `~/.docker/config.json`, shared with Docker.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// More than any sane configuration.
const LIMIT: u64 = 4 << 20;

/// The directory: `DOCKER_CONFIG`, else `~/.docker`.
pub(crate) fn default_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("DOCKER_CONFIG").filter(|dir| !dir.is_empty()) {
        return PathBuf::from(dir);
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).unwrap_or_else(|| "/root".into());
    PathBuf::from(home).join(".docker")
}

/// The configuration; an absent or broken file counts as empty.
pub(crate) fn load(dir: &Path) -> Value {
    read_json(&dir.join("config.json"))
}

/// One setting that is text.
pub(crate) fn text(dir: &Path, key: &str) -> Option<String> {
    load(dir).get(key).and_then(Value::as_str).filter(|value| !value.is_empty()).map(str::to_owned)
}

/// A JSON file, or null.
pub(crate) fn read_json(path: &Path) -> Value {
    let mut text = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut text));
    match read {
        Ok(_) => serde_json::from_slice(&text).unwrap_or_default(),
        Err(_) => Value::Null,
    }
}
