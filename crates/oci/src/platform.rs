//! Operating system and processor that an image is for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::serde_null;

/// A platform as an index or `--platform` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Go's name of the processor: `amd64`, `arm64`, …
    #[serde(default, deserialize_with = "serde_null::or_default")]
    pub architecture: String,
    /// Go's name of the operating system: `linux`.
    #[serde(default, deserialize_with = "serde_null::or_default")]
    pub os: String,
    /// Version of the operating system (Windows images).
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features of the operating system that the image needs.
    #[serde(
        rename = "os.features",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "serde_null::or_default"
    )]
    pub os_features: Vec<String>,
    /// Variant of the processor: `v7`, `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform that this program was compiled for.
    pub fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" => "ppc64le",
            "loongarch64" => "loong64",
            other => other,
        };
        Self { architecture: architecture.into(), os: "linux".into(), ..Self::default() }
    }

    /// Parses `os[/architecture[/variant]]`, as `--platform` takes it; what is left out is the host's.
    ///
    /// # Errors
    /// The text itself when it has an empty or a superfluous part.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is an invalid OS platform specifier");
        let mut parts = text.split('/').map(str::to_ascii_lowercase);
        let host = Self::host();
        let first = parts.next().filter(|p| !p.is_empty()).ok_or_else(refused)?;
        let second = parts.next();
        let variant = parts.next();
        let all = [second.as_deref(), variant.as_deref()];
        if parts.next().is_some() || all.into_iter().flatten().any(str::is_empty) {
            return Err(refused());
        }
        Ok(match (first.as_str(), second) {
            ("linux" | "windows" | "darwin" | "freebsd", None) => {
                Self { os: first, architecture: host.architecture, ..Self::default() }
            }
            (_, None) => {
                let architecture = alias(first);
                if !ARCHITECTURES.contains(&architecture.as_str()) {
                    return Err(format!("{text:?}: unknown operating system or architecture"));
                }
                Self { os: host.os, architecture, ..Self::default() }
            }
            (_, Some(second)) => Self { os: first, architecture: alias(second), variant, ..Self::default() },
        })
    }

    /// Can an image for `self` run where `host` is wanted? An unnamed variant matches any, and the default
    /// variant of `arm64` is `v8`.
    pub fn matches(&self, host: &Self) -> bool {
        self.os == host.os
            && self.architecture == host.architecture
            && match (self.default_variant(), host.default_variant()) {
                (Some(mine), Some(wanted)) => mine == wanted,
                _ => true,
            }
    }

    fn default_variant(&self) -> Option<&str> {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", None | Some("8")) => Some("v8"),
            (_, Some("")) => None,
            (_, variant) => variant,
        }
    }
}

/// Processors that may be named without an operating system.
const ARCHITECTURES: [&str; 14] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
    "riscv64", "s390x", "wasm",
];

/// Names that other tools use for a processor.
fn alias(architecture: String) -> String {
    match architecture.as_str() {
        "x86_64" | "x86-64" => "amd64".into(),
        "aarch64" => "arm64".into(),
        "armhf" | "armel" => "arm".into(),
        "i386" => "386".into(),
        _ => architecture,
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match self.variant.as_deref() {
            Some(variant) if !variant.is_empty() => write!(f, "/{variant}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_docker_takes() {
        assert_eq!(Platform::parse("linux/arm64/v8").unwrap().to_string(), "linux/arm64/v8");
        assert_eq!(Platform::parse("aarch64").unwrap().architecture, "arm64");
        assert_eq!(Platform::parse("linux").unwrap(), Platform::host());
        for bad in ["", "linux/", "linux//v8", "a/b/c/d", "nonsense"] {
            assert!(Platform::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variants() {
        let arm = Platform::parse("linux/arm64").unwrap();
        assert!(arm.matches(&Platform::parse("linux/arm64/v8").unwrap()));
        assert!(!arm.matches(&Platform::parse("linux/arm64/v9").unwrap()));
        assert!(!arm.matches(&Platform::parse("linux/amd64").unwrap()));
    }
}
