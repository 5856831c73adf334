//! What happened, as values, for whoever wants to know (webhooks, metrics).

use std::net::SocketAddr;

use jiff::Timestamp;
use oci::Digest;
use tokio::sync::broadcast;

use super::name::{Name, Tag};

/// How many events wait for a listener that is slow; one that misses some is told how many.
const WAITING: usize = 4096;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Something was put.
    Push,
    /// Something was fetched.
    Pull,
    /// A blob of another repository was taken over.
    Mount,
    /// Something was deleted.
    Delete,
}

/// To what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A blob.
    Blob {
        /// Its digest.
        digest: Digest,
        /// Its size in bytes, where it is known.
        size: Option<u64>,
    },
    /// A manifest.
    Manifest {
        /// Its digest.
        digest: Digest,
        /// Its size in bytes, where it is known.
        size: Option<u64>,
        /// Its media type, where it is known.
        media_type: Option<String>,
        /// The tag that it was named by.
        tag: Option<Tag>,
    },
    /// A tag, and not what it points to.
    Tag(Tag),
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub action: Action,
    /// Where.
    pub repository: Name,
    /// To what.
    pub target: Target,
    /// By which user; none when nobody signed in.
    pub user: Option<String>,
    /// From where.
    pub peer: Option<SocketAddr>,
    /// With which program, as it says.
    pub agent: Option<String>,
}

/// The place where events are told.
#[derive(Debug)]
pub struct Events(broadcast::Sender<Event>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }
}

impl Events {
    /// Hears of everything from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }

    /// Tells everybody who listens.
    pub fn tell(&self, event: Event) {
        // nobody needs to listen
        drop(self.0.send(event));
    }
}
