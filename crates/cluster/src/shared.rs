//! What the session with the store and those who ask it share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::model::Host;
use crate::own::Own;
use crate::view::View;
use crate::{Lost, Options};

/// How long one who asks waits for a session that is being made.
const PATIENCE: Duration = Duration::from_secs(5);

/// How it stands with the store.
#[derive(Debug, Clone)]
pub(crate) enum Link {
    /// A session is being made.
    Opening,
    /// There is one, with this lease.
    Up(i64),
    /// There is none.
    Down(Error),
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) client: Client,
    pub(crate) keys: Keys,
    pub(crate) host: Mutex<Host>,
    own: Mutex<Own>,
    pub(crate) view: watch::Sender<Arc<View>>,
    pub(crate) link: watch::Sender<Link>,
    /// The store has to be compared with what we hold.
    resync: Notify,
    /// And everything of ours written again.
    rewrite: AtomicBool,
    lost: mpsc::UnboundedSender<Lost>,
    pub(crate) closing: watch::Sender<bool>,
    /// Where what goes on in the background runs.
    runtime: OnceLock<tokio::runtime::Handle>,
}

impl Shared {
    pub(crate) fn new(options: Options, lost: mpsc::UnboundedSender<Lost>) -> Result<Self> {
        Ok(Self {
            client: Client::new(&options.store)?,
            keys: Keys::new(&options.store.path),
            host: Mutex::new(options.host.clone()),
            options,
            own: Mutex::default(),
            view: watch::Sender::new(Arc::default()),
            link: watch::Sender::new(Link::Opening),
            resync: Notify::new(),
            rewrite: AtomicBool::new(false),
            lost,
            closing: watch::Sender::new(false),
            runtime: OnceLock::new(),
        })
    }

    pub(crate) fn set_runtime(&self) {
        let _ = self.runtime.set(tokio::runtime::Handle::current());
    }

    /// `None` before the start: there is no session that could know of anything.
    pub(crate) fn runtime(&self) -> Option<&tokio::runtime::Handle> {
        self.runtime.get()
    }

    pub(crate) fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn host(&self) -> Host {
        self.host.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn host_id(&self) -> &str {
        &self.options.host.id
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// The session's lease: waits for one that is being made, not for a store that does not answer.
    ///
    /// # Errors
    /// The store can't be reached.
    pub(crate) async fn lease(&self) -> Result<i64> {
        let mut link = self.link.subscribe();
        let settled = link.wait_for(|link| !matches!(link, Link::Opening));
        let link = match tokio::time::timeout(PATIENCE, settled).await {
            Ok(Ok(link)) => link.clone(),
            _ => Link::Opening,
        };
        match link {
            Link::Up(lease) => Ok(lease),
            Link::Down(error) => Err(error),
            Link::Opening => Err(self.client.gone("no session yet")),
        }
    }

    /// Whether this is still the session's lease.
    pub(crate) fn is_current(&self, lease: i64) -> bool {
        matches!(*self.link.borrow(), Link::Up(current) if current == lease)
    }

    /// Waits until what we know is as new as this; not for long, for it comes or the session ends.
    pub(crate) async fn seen(&self, revision: i64) {
        let mut view = self.view.subscribe();
        let _ = tokio::time::timeout(PATIENCE, view.wait_for(|view| view.revision >= revision)).await;
    }

    /// Has the store compared with what we hold; with `rewrite`, everything of ours is written again.
    pub(crate) fn ask_resync(&self, rewrite: bool) {
        if rewrite {
            self.rewrite.store(true, Ordering::SeqCst);
        }
        self.resync.notify_one();
    }

    pub(crate) async fn resync_asked(&self) {
        self.resync.notified().await;
    }

    pub(crate) fn take_rewrite(&self) -> bool {
        self.rewrite.swap(false, Ordering::SeqCst)
    }

    /// Tells that a container's address is somebody else's.
    pub(crate) fn tell_lost(&self, lost: Lost) {
        // nobody listens any more when everything ends
        let _ = self.lost.send(lost);
    }
}
