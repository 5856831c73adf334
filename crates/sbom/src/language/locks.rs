//! Lock files of Cargo, npm, Composer and Bundler.

use serde_json::Value;

use super::package;
use crate::{Ecosystem, Packages};

/// Packages within packages, in npm's older lock files.
const MAX_DEPTH: usize = 64;

type Result<T> = std::result::Result<T, String>;

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn json(bytes: &[u8]) -> Result<Value> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if value.is_object() { Ok(value) } else { Err("it is no object".to_owned()) }
}

pub(super) fn cargo(bytes: &[u8], source: &str, found: &mut Packages) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Lock {
        #[serde(default)]
        package: Vec<One>,
    }
    #[derive(serde::Deserialize)]
    struct One {
        name: String,
        version: String,
    }
    let whole = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let lock: Lock = toml::from_str(whole).map_err(|error| error.message().to_owned())?;
    for one in lock.package {
        found.add(package(Ecosystem::Cargo, &one.name, &one.version, "", source));
    }
    Ok(())
}

pub(super) fn npm(bytes: &[u8], source: &str, found: &mut Packages) -> Result<()> {
    let lock = json(bytes)?;
    if let Some(packages) = lock.get("packages").and_then(Value::as_object) {
        for (path, one) in packages {
            let named = path.rsplit_once("node_modules/").map(|(_, name)| name);
            let name = Some(text(one, "name")).filter(|name| !name.is_empty() && named.is_some()).or(named);
            let is_link = one.get("link").and_then(Value::as_bool).unwrap_or(false);
            if let Some(name) = name.filter(|_| !is_link) {
                found.add(package(Ecosystem::Npm, name, text(one, "version"), text(one, "license"), source));
            }
        }
        return Ok(());
    }
    dependencies(&lock, source, 0, found)
}

fn dependencies(of: &Value, source: &str, depth: usize, found: &mut Packages) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err("packages lie too deep in each other".to_owned());
    }
    for (name, one) in of.get("dependencies").and_then(Value::as_object).into_iter().flatten() {
        found.add(package(Ecosystem::Npm, name, text(one, "version"), "", source));
        dependencies(one, source, depth + 1, found)?;
    }
    Ok(())
}

/// `package.json` of an installed package; one that has no name or version is a part of another.
pub(super) fn node_package(bytes: &[u8], source: &str, found: &mut Packages) -> Result<()> {
    let one = json(bytes)?;
    if !text(&one, "version").is_empty() {
        found.add(package(
            Ecosystem::Npm,
            text(&one, "name"),
            text(&one, "version"),
            text(&one, "license"),
            source,
        ));
    }
    Ok(())
}

pub(super) fn composer(bytes: &[u8], source: &str, found: &mut Packages) -> Result<()> {
    let lock = json(bytes)?;
    let lists = ["packages", "packages-dev"].into_iter().filter_map(|key| lock.get(key)?.as_array());
    for one in lists.flatten() {
        let license = one.pointer("/license/0").and_then(Value::as_str).unwrap_or_default();
        found.add(package(Ecosystem::Composer, text(one, "name"), text(one, "version"), license, source));
    }
    Ok(())
}

/// Under `specs:`, a package has four spaces before it, and what it needs has six.
pub(super) fn gem(bytes: &[u8], source: &str, found: &mut Packages) -> Result<()> {
    let whole = String::from_utf8_lossy(bytes);
    let mut specs = false;
    for line in whole.lines() {
        if !line.starts_with("    ") {
            specs = line.trim() == "specs:";
            continue;
        }
        let own = line.strip_prefix("    ").filter(|rest| specs && !rest.starts_with(' '));
        if let Some((name, version)) = own.and_then(|own| own.split_once(" (")) {
            found.add(package(Ecosystem::Gem, name, version.trim_end_matches(')'), "", source));
        }
    }
    Ok(())
}
