//! The client against registries: Debian's, and small ones that misbehave.

mod access;
mod hostile;
mod memory;
mod registries;
mod strangers;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::registry::Site;
use registry::client::{Client, Config, Credentials, Repository, Retry, Time};

/// How long anything may take; it ends a hang, and measures nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client that loses patience soon and tries again at once, whose `certs.d` is `root`.
fn config(root: Option<&Path>) -> Config {
    Config {
        certs_d: root.map(Path::to_owned).into_iter().collect(),
        retry: Retry { attempts: 3, base: Duration::from_millis(20), cap: Duration::from_millis(100) },
        time: Time { stall: Duration::from_millis(500), head: Duration::from_secs(5), ..Time::default() },
        ..Config::default()
    }
}

/// A repository of a registry, seen by whoever knows its password.
fn repository(client: &Client, site: &Site, path: &str) -> Result<Repository> {
    let reference = oci::Reference::parse(&site.name(path))?;
    Ok(client.repository(&reference, credentials(site)))
}

fn credentials(site: &Site) -> Credentials {
    match &site.login {
        Some((username, password)) => {
            Credentials::Basic { username: username.clone(), password: password.clone() }
        }
        None => Credentials::Anonymous,
    }
}

/// A `certs.d` with the registry's folder.
fn certs_d(site: &Site) -> Result<tempfile::TempDir> {
    let root = tempfile::tempdir()?;
    let folder = site.certificates.as_ref().context("the registry has no certificates")?;
    std::os::unix::fs::symlink(folder, root.path().join(&site.address))?;
    Ok(root)
}

/// Ends what hangs.
async fn soon<T>(work: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.context("hangs")
}
