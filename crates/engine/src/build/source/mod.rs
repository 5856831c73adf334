//! What is fetched for a build from web servers and git repositories: bounded, and with what an earlier build fetched
//! of it as long as that is still true.

mod git;
mod http;
mod program;
mod trust;

use std::future::Future;
use std::sync::Arc;

use ::build::graph::Source;
use ::build::{Cancel, Error, Result};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::lent::Lent;
use super::trees::Directory;
use crate::engine::Inner;

/// Told how many bytes have come, of how many; 0 of unknown.
pub(super) type Tell<'a> = &'a dyn Fn(u64, u64);

/// Fetches for one build.
pub(super) struct Fetcher {
    pub(super) engine: Arc<Inner>,
    pub(super) runtime: Handle,
    pub(super) cancel: Cancel,
    /// The client, if it can be asked.
    pub(super) lent: Option<Arc<dyn Lent>>,
}

impl Fetcher {
    /// The files of a URL or a repository; `None` for another source.
    ///
    /// # Errors
    /// They can't be had, or are not what they should be.
    pub(super) fn fetch(&self, source: &Source, tell: Tell<'_>) -> Result<Option<Directory>> {
        match source {
            Source::Http(http) => self.http(http, tell).map(Some),
            Source::Git(git) => self.git(git, tell).map(Some),
            _ => Ok(None),
        }
    }

    /// Waits, but not for longer than the build is wanted.
    fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let (told, cancelled) = oneshot::channel();
        let _on_cancel = self.cancel.on_cancel(move || {
            let _ = told.send(());
        });
        self.runtime.block_on(async {
            tokio::select! {
                done = work => done,
                Ok(()) = cancelled => Err(Error::Cancelled),
            }
        })
    }
}
