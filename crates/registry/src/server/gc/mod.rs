//! Garbage is collected while everything goes on.
//!
//! A pass looks at each repository: what its manifests refer to is in use, and a link to any other blob goes. Then it looks at
//! all blobs: one that no manifest refers to and no repository has a link to goes. Both only when the storage says that
//! they are older than the grace period was when the pass began, and nobody uses them here ([`super::activity`]).
//!
//! That is safe with pushes, and with other instances that collect, because whoever comes to rely on something that is no
//! longer young touches it first, and whoever takes a reference away touches what it referred to; and because
//! [`Storage::delete_aged`](super::storage::Storage::delete_aged) looks at the age once more. Nothing is remembered between
//! passes: one that is interrupted has removed garbage, and left garbage.

mod pass;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::Signal;
use tokio::time::sleep;

use super::storage::Result;
use super::{Registry, retention};
use pass::Pass;

/// What a pass did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Manifests that were read.
    pub manifests: u64,
    /// Manifests that can't be read: everything of their repositories stays.
    pub damaged: u64,
    /// Links of repositories to blobs that went.
    pub links: u64,
    /// Blobs and manifests' bytes that went.
    pub blobs: u64,
    /// The bytes that they had.
    pub bytes: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} blobs of {} bytes and {} places of blobs in repositories, beside {} manifests",
            self.blobs, self.bytes, self.links, self.manifests
        )
    }
}

/// Collects once. Several callers do so one after the other.
///
/// # Errors
/// When the storage fails; what is garbage still goes another time.
pub async fn collect(registry: &Registry) -> Result<Report> {
    let _alone = registry.collecting.lock().await;
    let mut pass = Pass::new(registry);
    pass.repositories().await?;
    pass.blobs().await?;
    registry.metrics.collected(&pass.report);
    Ok(pass.report)
}

/// Applies the rules of retention and collects, at the start, after each interval, and whenever the signal comes, until it is dropped.
pub(super) async fn forever(registry: Arc<Registry>, mut asked: Signal) {
    let config = &registry.config.gc;
    let mut wait = Duration::ZERO;
    loop {
        let wanted = async { if config.enabled { sleep(wait).await } else { std::future::pending().await } };
        tokio::select! {
            () = wanted => {}
            Some(()) = asked.recv() => {}
        }
        if let Err(error) = retention::apply(&registry).await {
            tracing::error!("cannot apply the rules of retention: {error}");
        }
        let since = Instant::now();
        match collect(&registry).await {
            Ok(report) => {
                tracing::info!("garbage was collected in {}ms: {report}", since.elapsed().as_millis());
            }
            Err(error) => {
                registry.metrics.collection_failed();
                tracing::error!("cannot collect garbage: {error}");
            }
        }
        wait = config.interval.0;
    }
}
