//! Options about registries.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use engine::registry::RegistryConfig;
use serde::Deserialize;

use super::given::Given;
use super::parse::typed;

/// The longest that a registry may be waited for in silence, in seconds.
const MAX_PATIENCE: u64 = 3600;

/// Proxies as `daemon.json` has them together.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Proxies {
    http_proxy: String,
    https_proxy: String,
    no_proxy: String,
}

pub(super) fn parse(given: &Given) -> Result<RegistryConfig> {
    let defaults = RegistryConfig::default();
    let proxies: Proxies = typed(given, "proxies")?;
    let proxy = |key: &str, together: String| match given.text(key).filter(|text| !text.is_empty()) {
        Some(_) if !together.is_empty() => bail!("{key} is given twice: by itself, and in \"proxies\""),
        Some(text) => Ok(text.to_owned()),
        None => Ok(together),
    };
    let config = RegistryConfig {
        mirrors: given.list("registry-mirrors"),
        insecure: given.list("insecure-registries"),
        nondistributable: given.list("allow-nondistributable-artifacts"),
        max_downloads: count(given, "max-concurrent-downloads", defaults.max_downloads)?,
        max_uploads: count(given, "max-concurrent-uploads", defaults.max_uploads)?,
        max_attempts: attempts(given, defaults.max_attempts)?,
        http_proxy: proxy("http-proxy", proxies.http_proxy)?,
        https_proxy: proxy("https-proxy", proxies.https_proxy)?,
        no_proxy: proxy("no-proxy", proxies.no_proxy)?,
        certificates: certificates().unwrap_or(defaults.certificates),
        patience: patience()?,
    };
    config.check()?;
    Ok(config)
}

/// `BERTH_CERTS_D`: other directories than the machine's, with a colon between two.
fn certificates() -> Option<Vec<PathBuf>> {
    let directories = std::env::var_os("BERTH_CERTS_D").filter(|text| !text.is_empty())?;
    Some(std::env::split_paths(&directories).collect())
}

/// `BERTH_REGISTRY_PATIENCE`: seconds.
fn patience() -> Result<Option<Duration>> {
    const NAME: &str = "BERTH_REGISTRY_PATIENCE";
    let Some(text) = std::env::var_os(NAME).filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.to_str().and_then(|text| text.parse().ok()) {
        Some(seconds @ 1..=MAX_PATIENCE) => Ok(Some(Duration::from_secs(seconds))),
        _ => bail!("invalid {NAME}: {} (seconds, at most {MAX_PATIENCE})", text.display()),
    }
}

fn count(given: &Given, key: &str, default: usize) -> Result<usize> {
    match given.int(key) {
        None => Ok(default),
        Some(number) => {
            let what = key.replace('-', " ").replacen("max", "invalid max", 1);
            usize::try_from(number).map_err(|_negative| anyhow!("{what}: {number}"))
        }
    }
}

fn attempts(given: &Given, default: u32) -> Result<u32> {
    match given.int("max-download-attempts") {
        None => Ok(default),
        Some(number) => match u32::try_from(number) {
            Ok(number) if number > 0 => Ok(number),
            _ => bail!("invalid max download attempts: {number}"),
        },
    }
}
