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

    /// How well an image for `offered` serves where `self` is wanted: 0 is best, `None` is not at all. The order is
    /// containerd's: the same processor, its lower variants, and then what it runs as well (386 on amd64, arm on arm64).
    pub fn rank(&self, offered: &Self) -> Option<usize> {
        let offered = offered.normalized();
        self.normalized().served_by().iter().position(|served| {
            (&served.0, &served.1, &served.2)
                == (&offered.os, &offered.architecture, &offered.variant.clone().unwrap_or_default())
        })
    }

    /// Other tools' names, and variants that are the same as none, in their one form.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let lower = |text: &str| text.to_ascii_lowercase();
        let (os, architecture) = (lower(&self.os), lower(&self.architecture));
        let variant = self.variant.as_deref().map(lower).unwrap_or_default();
        let number = variant.trim_start_matches('v');
        let variant = match (architecture.as_str(), number) {
            ("armhf", _) | ("arm", "") => "v7".to_owned(),
            ("armel", _) => "v6".to_owned(),
            ("arm64" | "aarch64", "8" | "8.0") | ("amd64" | "x86_64" | "x86-64", "1") => String::new(),
            ("arm" | "arm64" | "aarch64" | "amd64" | "x86_64" | "x86-64", number) if !number.is_empty() => {
                format!("v{number}")
            }
            _ => variant,
        };
        let os = if os == "macos" { "darwin".to_owned() } else { os };
        let variant = Some(variant).filter(|variant| !variant.is_empty());
        Self { os, architecture: alias(architecture), variant, ..self.clone() }
    }

    /// System, processor and variant of what this platform runs, best first.
    fn served_by(&self) -> Vec<(String, String, String)> {
        let variant = self.variant.clone().unwrap_or_default();
        let number: u8 = variant.trim_start_matches('v').parse().unwrap_or(0);
        let entry = |architecture: &str, variant: String| (self.os.clone(), architecture.to_owned(), variant);
        let mut served = vec![entry(&self.architecture, variant)];
        let arm = |from: u8| (5..=from).rev().map(|number| entry("arm", format!("v{number}")));
        match self.architecture.as_str() {
            "amd64" => {
                served.extend((2..number).rev().map(|number| entry("amd64", format!("v{number}"))));
                if number > 1 {
                    served.push(entry("amd64", String::new()));
                }
                served.push(entry("386", String::new()));
            }
            "arm64" => {
                served.extend((9..number).rev().map(|number| entry("arm64", format!("v{number}"))));
                if number > 8 {
                    served.push(entry("arm64", String::new()));
                }
                served.extend(arm(8));
            }
            "arm" if number > 5 => served.extend(arm(number - 1)),
            _ => {}
        }
        served
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
    fn the_best_of_an_index() {
        let parse = |text: &str| Platform::parse(text).unwrap();
        let best = |wanted: &str, offered: &[&str]| {
            let ranked = offered.iter().filter_map(|o| Some((parse(wanted).rank(&parse(o))?, *o)));
            ranked.min().map(|(_, offered)| offered.to_owned())
        };
        let all =
            ["linux/arm/v6", "linux/arm/v7", "linux/386", "linux/arm64/v8", "linux/amd64", "windows/amd64"];
        assert_eq!(best("linux/amd64", &all).unwrap(), "linux/amd64");
        assert_eq!(best("linux/amd64/v3", &all).unwrap(), "linux/amd64");
        assert_eq!(best("linux/amd64", &["linux/386", "linux/arm64"]).unwrap(), "linux/386");
        assert_eq!(best("linux/amd64", &["linux/amd64/v2"]), None);
        assert_eq!(best("linux/amd64/v3", &["linux/amd64/v2", "linux/amd64"]).unwrap(), "linux/amd64/v2");
        assert_eq!(best("linux/arm64", &all).unwrap(), "linux/arm64/v8");
        assert_eq!(best("linux/arm64", &all[..2]).unwrap(), "linux/arm/v7");
        assert_eq!(best("linux/arm/v6", &all).unwrap(), "linux/arm/v6");
        assert_eq!(best("linux/arm", &["linux/arm/v5", "linux/arm/v8"]).unwrap(), "linux/arm/v5");
        assert_eq!(best("linux/s390x", &all), None);
        assert_eq!(best("linux/amd64", &["unknown/unknown"]), None);
        assert_eq!(parse("linux/arm64").rank(&parse("linux/aarch64")), Some(0));
    }

    #[test]
    fn variants() {
        let arm = Platform::parse("linux/arm64").unwrap();
        assert!(arm.matches(&Platform::parse("linux/arm64/v8").unwrap()));
        assert!(!arm.matches(&Platform::parse("linux/arm64/v9").unwrap()));
        assert!(!arm.matches(&Platform::parse("linux/amd64").unwrap()));
    }
}
