//! What every request can reach.

use std::sync::{Arc, Mutex, PoisonError};

use engine::Engine;
use tokio::sync::watch;

use crate::authz::Authorization;
use crate::buildkit::{Builds, History, Sessions, Uploads};
use crate::metrics::Metrics;

/// The daemon's own state, beside the engine's.
pub(crate) struct App {
    /// All verbs.
    pub(crate) engine: Engine,
    /// What clients lend to builds.
    pub(crate) sessions: Sessions,
    /// Builds by BuildKit's protocol.
    pub(crate) builds: Builds,
    /// Contexts that come beside their builds.
    pub(crate) uploads: Uploads,
    /// Builds that were.
    pub(crate) history: History,
    /// Who is asked before requests are answered.
    pub(crate) authorization: Authorization,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Clients are told to build by BuildKit's protocol.
    pub(crate) buildkit: bool,
    reloaded: Mutex<Reloaded>,
    busy: watch::Sender<usize>,
}

/// Settings that may change while the daemon runs.
#[derive(Clone)]
pub(crate) struct Reloaded {
    /// The daemon's labels.
    pub(crate) labels: Vec<String>,
    /// Debug logging is on.
    pub(crate) debug: bool,
}

/// A request that is being worked on; shutdown waits for it.
pub(crate) struct Busy(Arc<App>);

impl App {
    /// How many requests are being worked on, now and later.
    pub(crate) fn work(&self) -> watch::Receiver<usize> {
        self.busy.subscribe()
    }

    /// State over an open engine.
    ///
    /// # Errors
    /// The history of builds can't be read.
    pub(crate) fn new(engine: Engine, buildkit: bool) -> std::io::Result<Self> {
        let config = engine.config();
        let reloaded = Reloaded { labels: config.labels.clone(), debug: config.debug };
        let history = History::open(&engine.build_history())?;
        Ok(Self {
            engine,
            sessions: Sessions::default(),
            builds: Builds::default(),
            uploads: Uploads::default(),
            history,
            authorization: Authorization::default(),
            metrics: Metrics::default(),
            buildkit,
            reloaded: Mutex::new(reloaded),
            busy: watch::Sender::new(0),
        })
    }

    /// Settings as they are now.
    pub(crate) fn reloaded(&self) -> Reloaded {
        self.reloaded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over new settings.
    pub(crate) fn reload(&self, labels: Vec<String>, debug: bool) {
        *self.reloaded.lock().unwrap_or_else(PoisonError::into_inner) = Reloaded { labels, debug };
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        self.busy.send_modify(|count| *count += 1);
        Busy(Arc::clone(self))
    }

    /// Waits until no request is being worked on.
    pub(crate) async fn idle(&self) {
        // The sender lives in self, so this ends only by the count.
        let _ = self.busy.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.send_modify(|count| *count -= 1);
    }
}
