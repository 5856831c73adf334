//! `[metrics]` and `[[webhooks]]`: who hears of what happens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Seconds;
use crate::client::url::Url;

/// `[metrics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Address and port of `/metrics`, which asks nobody who they are.
    pub listen: SocketAddr,
}

/// `[[webhooks]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where events are posted to.
    pub url: String,
    /// The file with the key of the signature.
    pub secret: Option<PathBuf>,
    /// PEM: authorities that are trusted beside the machine's.
    pub ca: Option<PathBuf>,
    /// What is told.
    #[serde(default = "everything")]
    pub actions: Vec<Happening>,
    /// Of which repositories, as in `[[rights]]`.
    #[serde(default = "everywhere")]
    pub repositories: Vec<String>,
    /// Of blobs, too, and not only of manifests and tags.
    #[serde(default)]
    pub blobs: bool,
    /// How long an answer may take.
    #[serde(default = "timeout")]
    pub timeout: Seconds,
    /// How often an event is posted before it is given up.
    #[serde(default = "attempts")]
    pub attempts: u32,
}

/// What webhooks can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Happening {
    /// Something was put.
    Push,
    /// Something was fetched.
    Pull,
    /// A blob was taken over from another repository.
    Mount,
    /// Something was deleted.
    Delete,
}

fn everything() -> Vec<Happening> {
    vec![Happening::Push, Happening::Pull, Happening::Mount, Happening::Delete]
}

fn everywhere() -> Vec<String> {
    vec!["**".into()]
}

fn timeout() -> Seconds {
    Seconds::of(10)
}

fn attempts() -> u32 {
    5
}

impl Webhook {
    pub(super) fn anchor(&mut self, base: &Path) {
        for path in self.secret.iter_mut().chain(&mut self.ca) {
            *path = base.join(&path);
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        Url::parse(&self.url).map_err(|error| format!("webhooks.url {:?}: {error}", self.url))?;
        if self.attempts == 0 {
            return Err("webhooks.attempts must be at least 1".into());
        }
        Ok(())
    }
}
