//! A package, and its URL.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::MAX_PACKAGES;

/// Most remarks.
const MAX_REMARKS: usize = 64;
/// Longest name, version or license that is believed.
const MAX_TEXT: usize = 512;

/// Whose a package is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ecosystem {
    /// Debian's.
    Deb,
    /// Alpine's.
    Apk,
    /// Red Hat's and SUSE's.
    Rpm,
    /// Rust's.
    Cargo,
    /// Node's.
    Npm,
    /// Python's.
    PyPi,
    /// Go's.
    Golang,
    /// Ruby's.
    Gem,
    /// PHP's.
    Composer,
}

impl Ecosystem {
    /// The type in a package URL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Cargo => "cargo",
            Self::Npm => "npm",
            Self::PyPi => "pypi",
            Self::Golang => "golang",
            Self::Gem => "gem",
            Self::Composer => "composer",
        }
    }
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Package {
    /// Whose.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its processor; empty for none.
    pub architecture: String,
    /// What it says of its license; empty for nothing.
    pub license: String,
    /// Who made it; empty for nobody.
    pub supplier: String,
    /// The file that names it.
    pub source: String,
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// The packages, sorted.
    pub all: Vec<Package>,
    /// `ID` of `os-release`.
    pub distribution: String,
    /// `VERSION_ID` of it.
    pub version: String,
    /// `PRETTY_NAME` of it.
    pub pretty: String,
    /// What could not be read.
    pub remarks: Vec<String>,
}

impl Packages {
    /// Adds a package, if it has a name and there is room.
    pub(crate) fn add(&mut self, package: Package) {
        let sound = |text: &str| text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
        let texts = [&package.name, &package.version, &package.architecture, &package.license];
        if package.name.is_empty() || !texts.into_iter().all(|text| sound(text)) {
            return;
        }
        if self.all.len() < MAX_PACKAGES {
            self.all.push(package);
        } else {
            self.remark(format!("more than {MAX_PACKAGES} packages: the rest is not listed"));
        }
    }

    /// Notes what could not be read.
    pub(crate) fn remark(&mut self, remark: String) {
        if self.remarks.len() < MAX_REMARKS && !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    /// Each once, in one order.
    pub(crate) fn settle(&mut self) {
        self.all.sort();
        let mut seen = BTreeSet::new();
        self.all.retain(|package| {
            seen.insert((
                package.ecosystem,
                package.name.clone(),
                package.version.clone(),
                package.architecture.clone(),
            ))
        });
    }
}

impl Package {
    /// Its package URL.
    pub fn purl(&self, within: &Packages) -> String {
        let mut url = format!("pkg:{}/", self.ecosystem.name());
        let system = matches!(self.ecosystem, Ecosystem::Deb | Ecosystem::Apk | Ecosystem::Rpm);
        if system && !within.distribution.is_empty() {
            let _ = write!(url, "{}/", escaped(&within.distribution));
        }
        let name = match self.ecosystem {
            // PEP 503's one form of a name
            Ecosystem::PyPi => self.name.to_lowercase().replace(['_', '.'], "-"),
            _ => self.name.clone(),
        };
        let parts: Vec<String> = name.split('/').map(escaped).collect();
        url.push_str(&parts.join("/"));
        if !self.version.is_empty() {
            let _ = write!(url, "@{}", escaped(&self.version));
        }
        let mut sign = '?';
        let distribution = match (within.distribution.as_str(), within.version.as_str()) {
            (_, "") | ("", _) => String::new(),
            (name, version) => format!("{name}-{version}"),
        };
        for (key, value) in [("arch", self.architecture.as_str()), ("distro", distribution.as_str())] {
            if system && !value.is_empty() {
                let _ = write!(url, "{sign}{key}={}", escaped(value));
                sign = '&';
            }
        }
        url
    }
}

/// As a package URL wants it: everything but what needs no escape.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => {
                out.push(char::from(byte));
            }
            byte => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}
