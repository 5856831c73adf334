//! Log drivers and their options.

use std::collections::BTreeMap;
use std::path::PathBuf;

use shim::protocol::LogRequest;

use crate::container::{Container, ContainerConfig, LogConfig};
use crate::error::{Error, Result};

/// Drivers that the shim has.
pub(crate) const DRIVERS: [&str; 3] = ["json-file", "local", "none"];
/// A log is rotated at this size by default, bytes: an endless log is no default.
const MOST_BYTES: u64 = 10 << 20;
/// How many files by default.
const MOST_FILES: u32 = 3;

/// Completes a request's log settings with the daemon's, and checks them.
///
/// # Errors
/// Docker's sentence about an unknown driver or option.
pub(crate) fn complete(asked: &LogConfig, default: &LogConfig) -> Result<LogConfig> {
    let mut config = asked.clone();
    if config.driver.is_empty() {
        config.driver.clone_from(&default.driver);
    }
    if config.driver == default.driver {
        for (name, value) in &default.options {
            config.options.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    check(&config)?;
    Ok(config)
}

fn check(config: &LogConfig) -> Result<()> {
    let allowed: &[&str] = match config.driver.as_str() {
        "json-file" => &[
            "max-size", "max-file", "compress", "labels", "labels-regex", "env", "env-regex", "tag", "mode",
            "max-buffer-size",
        ],
        "local" => &["max-size", "max-file", "compress", "mode", "max-buffer-size"],
        "none" => &[],
        other => {
            return Err(Error::bad_parameter(format!("logger: no log driver named '{other}' is registered")));
        }
    };
    if let Some(name) = config.options.keys().find(|name| !allowed.contains(&name.as_str())) {
        return Err(Error::bad_parameter(format!("unknown log opt '{name}' for {} log driver", config.driver)));
    }
    for name in ["labels-regex", "env-regex"] {
        if config.options.contains_key(name) {
            return Err(Error::not_implemented(format!("log opt '{name}' is not supported; use 'labels' and 'env'")));
        }
    }
    match config.options.get("mode").map(String::as_str) {
        None | Some("blocking" | "non-blocking") => {}
        Some(other) => return Err(Error::bad_parameter(format!("logger: logging mode not supported: {other}"))),
    }
    size(config)?;
    files(config)?;
    compress(config)?;
    Ok(())
}

fn size(config: &LogConfig) -> Result<u64> {
    match config.options.get("max-size").map(String::as_str) {
        None => Ok(MOST_BYTES),
        Some("-1") => Ok(0),
        Some(text) => bytes(text).ok_or_else(|| Error::bad_parameter(format!("invalid size: '{text}'"))),
    }
}

fn files(config: &LogConfig) -> Result<u32> {
    match config.options.get("max-file") {
        None => Ok(MOST_FILES),
        Some(text) => match text.parse::<u32>() {
            Ok(0) => Err(Error::bad_parameter("max-file cannot be less than 1")),
            Ok(count) => Ok(count),
            Err(error) => Err(Error::because(format!("invalid max-file '{text}'"), error).of_kind(crate::Kind::BadParameter)),
        },
    }
}

fn compress(config: &LogConfig) -> Result<bool> {
    match config.options.get("compress").map(String::as_str) {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(text) => Err(Error::bad_parameter(format!("invalid value for compress: {text}"))),
    }
}

/// `10m`, `1g`, `4096`: multiples of 1024, as Docker reads them.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix("ib").or_else(|| text.strip_suffix('b')).unwrap_or(&text);
    let (number, shift) = match text.chars().last()? {
        'k' => (&text[..text.len() - 1], 10),
        'm' => (&text[..text.len() - 1], 20),
        'g' => (&text[..text.len() - 1], 30),
        't' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    number.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// What the shim is told.
///
/// # Errors
/// An option is wrong.
pub(crate) fn request(config: &LogConfig, container: &Container, path: PathBuf) -> Result<LogRequest> {
    if config.driver == "none" {
        return Ok(LogRequest::default());
    }
    Ok(LogRequest {
        driver: config.driver.clone(),
        path,
        max_size: size(config)?,
        max_file: files(config)?,
        compress: compress(config)?,
        attrs: attributes(config, &container.config, container),
    })
}

/// `labels`, `env` and `tag`: written with each line.
fn attributes(config: &LogConfig, container: &ContainerConfig, whole: &Container) -> BTreeMap<String, String> {
    let words = |name: &str| config.options.get(name).map(String::as_str).unwrap_or_default().split(',');
    let mut attributes = BTreeMap::new();
    for name in words("labels").filter(|name| !name.is_empty()) {
        if let Some(value) = container.labels.get(name) {
            attributes.insert(name.to_owned(), value.clone());
        }
    }
    for name in words("env").filter(|name| !name.is_empty()) {
        let value = container.env.iter().find_map(|var| var.strip_prefix(name)?.strip_prefix('='));
        if let Some(value) = value {
            attributes.insert(name.to_owned(), value.to_owned());
        }
    }
    if let Some(tag) = config.options.get("tag") {
        let tag = tag
            .replace("{{.ID}}", whole.short_id())
            .replace("{{.FullID}}", &whole.id)
            .replace("{{.Name}}", &whole.name)
            .replace("{{.ImageName}}", &container.image)
            .replace("{{.ImageID}}", whole.image_id.get(7..19).unwrap_or_default());
        attributes.insert("tag".to_owned(), tag);
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(driver: &str, options: &[(&str, &str)]) -> LogConfig {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        LogConfig { driver: driver.to_owned(), options }
    }

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        assert_eq!(bytes("10m"), Some(10 << 20));
        assert_eq!(bytes("1GiB"), Some(1 << 30));
        assert_eq!(bytes("512"), Some(512));
        assert_eq!(bytes("x"), None);
    }

    #[test]
    fn unknown_drivers_and_options_are_refused() {
        let default = config("json-file", &[("max-size", "1m")]);
        assert_eq!(complete(&LogConfig::default(), &default).unwrap(), default);
        assert!(complete(&config("fluentd", &[]), &default).is_err());
        assert!(complete(&config("json-file", &[("nope", "1")]), &default).is_err());
        assert!(complete(&config("json-file", &[("max-file", "0")]), &default).is_err());
    }
}
