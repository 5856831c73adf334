//! Python: installed distributions, and pinned requirements.

use super::package;
use crate::{Ecosystem, Packages};

type Result<T> = std::result::Result<T, String>;

/// `METADATA` and `PKG-INFO`: fields like a mail's, up to the first empty line.
pub(super) fn metadata(bytes: &[u8], source: &str, found: &mut Packages) -> Result<()> {
    let whole = String::from_utf8_lossy(bytes);
    let head = || whole.lines().take_while(|line| !line.is_empty());
    let field = |name: &str| head().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let license = match field("License-Expression:") {
        "" => field("License:"),
        expression => expression,
    };
    found.add(package(Ecosystem::PyPi, field("Name:"), field("Version:"), license, source));
    Ok(())
}

/// What is pinned to one version; what is not says nothing of what is installed.
pub(super) fn requirements(bytes: &[u8], source: &str, found: &mut Packages) -> Result<()> {
    for line in String::from_utf8_lossy(bytes).lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some((name, version)) = line.split_once("==").filter(|_| !line.starts_with('-')) else {
            continue;
        };
        let name = name.split('[').next().unwrap_or_default().trim();
        let version = version.trim_start_matches('=').trim();
        let version = version.split([' ', ';', ',', '\\']).next().unwrap_or_default();
        let sound =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.+!".contains(&byte));
        if sound(name) && sound(version) {
            found.add(package(Ecosystem::PyPi, name, version, "", source));
        }
    }
    Ok(())
}
