//! Which crate may use which: arrows point down only.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use crate::run;

/// A crate of the workspace and those it may use directly, lowest floor first.
const ALLOWED: &[(&str, &[&str])] = &[
    ("oci", &[]),
    ("dockerfile", &[]),
    ("template", &[]),
    ("sys", &[]),
    ("tarball", &["sys"]),
    ("explore", &["oci", "tarball"]),
    ("sbom", &["oci", "sys", "tarball"]),
    ("store", &["oci", "sys", "tarball"]),
    ("trust", &["oci"]),
    ("registry", &["oci", "sys", "store"]),
    ("network", &["sys"]),
    ("cluster", &["sys"]),
    ("runtime", &["oci", "sys"]),
    ("shim", &["sys", "runtime"]),
    ("logdriver", &["sys", "shim", "template"]),
    ("build", &["dockerfile", "oci", "sys", "tarball"]),
    (
        "engine",
        &[
            "oci",
            "sys",
            "tarball",
            "store",
            "registry",
            "trust",
            "network",
            "cluster",
            "runtime",
            "shim",
            "logdriver",
            "build",
            "sbom",
            "dockerfile",
        ],
    ),
    ("api", &["oci"]),
    ("buildkit", &["sys"]),
    ("daemon", &["api", "build", "buildkit", "dockerfile", "engine", "logdriver", "oci", "registry", "sys"]),
    ("cli", &["api", "buildkit", "dockerfile", "explore", "oci", "sys", "tarball", "template"]),
];

/// Outside crates that only some of ours may use, and why.
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("libc", &["sys"], "raw system calls live in sys"),
    (
        "tokio",
        &["engine", "daemon", "cli", "registry", "cluster", "buildkit"],
        "mechanisms block; runtime and shim have no async",
    ),
    ("hyper", &["daemon", "cli", "registry", "buildkit"], "HTTP stays in the rim"),
    ("clap", &["runtime", "daemon", "cli"], "only programs read command lines"),
    ("anyhow", &["runtime", "daemon", "cli"], "libraries have typed errors"),
    ("gotmpl", &["template"], "what a template takes is bounded there"),
];

pub(super) fn check() -> Result<Vec<Finding>> {
    let metadata = run::output(&mut run::cargo(["metadata", "--format-version=1", "--no-deps", "--offline"]))
        .or_else(|_| run::output(&mut run::cargo(["metadata", "--format-version=1", "--no-deps"])))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata lists no packages")? {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(may) = allowed.get(name) else {
            if !matches!(name, "xtask" | "e2e" | "fuzzing") {
                findings.push(Finding::new(name, "is not in the layer table of xtask/src/tidy/layers.rs"));
            }
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            if dependency["kind"].as_str() == Some("dev") {
                continue;
            }
            let used = dependency["name"].as_str().unwrap_or_default();
            findings.extend(judge(name, may, &allowed, used));
        }
    }
    Ok(findings)
}

fn judge(name: &str, may: &[&str], ours: &BTreeMap<&str, &[&str]>, used: &str) -> Option<Finding> {
    if ours.contains_key(used) && !may.contains(&used) {
        return Some(Finding::new(
            format!("crates/{name}"),
            format!("may not use {used}: arrows point down only"),
        ));
    }
    let (_, who, why) = RESERVED.iter().find(|(crate_, ..)| *crate_ == used)?;
    (!who.contains(&name))
        .then(|| Finding::new(format!("crates/{name}"), format!("may not use {used}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_up_and_a_reserved_crate_are_found() {
        let ours: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
        assert!(judge("store", ours["store"], &ours, "engine").is_some());
        assert!(judge("engine", ours["engine"], &ours, "store").is_none());
        assert!(judge("store", ours["store"], &ours, "libc").is_some());
        assert!(judge("sys", ours["sys"], &ours, "libc").is_none());
    }
}
