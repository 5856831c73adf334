//! A registry: repositories, blobs and uploads on a storage, behind HTTP.
//!
//! `http` turns connections into [`http::call::Call`]s, `handlers` answer one endpoint each, `repository` knows what a
//! repository is, and `storage` keeps the bytes. [`events`] and [`activity`] are for what works beside the requests.

pub mod activity;
pub mod auth;
pub mod config;
pub mod error;
pub mod events;
pub mod gc;
mod handlers;
mod http;
mod limits;
mod live;
mod metrics;
pub mod name;
mod program;
mod quota;
mod random;
mod repository;
pub mod retention;
pub mod storage;
mod sweep;
mod upstream;
mod webhooks;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use activity::Activity;
use auth::AuthError;
use config::Config;
use events::Events;
use live::Live;
use repository::uploads::Sessions;
use storage::{Meta, Storage};

pub use http::listen::Server;
pub use metrics::serve as serve_metrics;
pub use program::{PROGRAM, ProgramError, options, run};
pub use webhooks::forever as tell_webhooks;

/// What all requests share.
pub struct Registry {
    /// How it is set.
    pub config: Config,
    /// Where the bytes are.
    pub storage: Arc<dyn Storage>,
    /// Who is using what.
    pub activity: Activity,
    /// What happens.
    pub events: Events,
    live: RwLock<Arc<Live>>,
    pub(crate) metrics: metrics::Metrics,
    pub(crate) uploads: Sessions,
    pub(crate) quotas: quota::Quotas,
    pub(crate) upstream: Option<upstream::Upstream>,
    /// One collector at a time.
    collecting: tokio::sync::Mutex<()>,
}

impl Registry {
    /// A registry on a storage.
    ///
    /// # Errors
    /// When files that the configuration names can't be used.
    pub fn new(config: Config, storage: Arc<dyn Storage>) -> Result<Self, AuthError> {
        let live = RwLock::new(Live::read(&config)?);
        let upstream = config.upstream.as_ref().map(upstream::Upstream::new).transpose()?;
        Ok(Self {
            config,
            storage,
            activity: Activity::default(),
            events: Events::default(),
            metrics: metrics::Metrics::default(),
            live,
            upstream,
            uploads: Sessions::default(),
            quotas: quota::Quotas::default(),
            collecting: tokio::sync::Mutex::default(),
        })
    }

    /// Reads anew who may what, and certificates. With an error everything stays as it was.
    ///
    /// # Errors
    /// When files that the configuration names can't be used.
    pub fn reload(&self, config: &Config) -> Result<(), AuthError> {
        let live = Live::read(config)?;
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = live;
        Ok(())
    }

    /// No instance collects an object of this age soon: a push may rely on it without touching it.
    pub(crate) fn is_young(&self, meta: &Meta) -> bool {
        // a time in the future is a clock that differs: young enough
        SystemTime::now().duration_since(meta.modified).map_or(true, |age| age < self.config.gc.grace.0 / 2)
    }

    /// As it was read last.
    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }
}
