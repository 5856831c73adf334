//! The signature policy: which images may be pulled and run.

mod pull;
mod run;

use std::path::Path;

use anyhow::Result;
use e2e::daemon::Berth;
use e2e::programs::Ran;
use serde_json::{Value, json};

/// A daemon whose policy is the file that comes with it; there is none yet.
pub(crate) fn daemon() -> Result<(Berth, Policy)> {
    let dir = tempfile::Builder::new().prefix("berth-policy-").tempdir()?;
    let path = dir.path().join("policy.json");
    let policy = Policy { dir };
    policy.write(&json!({"default": accept()}))?;
    let berth = Berth::bare(&["--signature-policy", &path.to_string_lossy()])?;
    Ok((berth, policy))
}

/// A policy's file, and a place for keys.
pub(crate) struct Policy {
    dir: tempfile::TempDir,
}

impl Policy {
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, policy: &Value) -> Result<()> {
        Ok(std::fs::write(self.dir.path().join("policy.json"), policy.to_string())?)
    }
}

pub(crate) fn accept() -> Value {
    json!([{"type": "insecureAcceptAnything"}])
}

pub(crate) fn reject() -> Value {
    json!([{"type": "reject"}])
}

/// The command must have failed, and said so.
pub(crate) fn refused(ran: &Ran, words: &[&str]) -> Result<()> {
    anyhow::ensure!(ran.code != 0, "it was not refused: {}", ran.stdout);
    for word in words {
        anyhow::ensure!(ran.stderr.contains(word), "{:?}\nlacks {word:?}", ran.stderr);
    }
    Ok(())
}
