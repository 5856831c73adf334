//! Blobs that an operation is unpacking right now, so that another one doesn't.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use oci::Digest;

/// News of a layer that a pull brings in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerNews {
    /// Bytes of the blob that have arrived.
    Downloaded {
        /// So far, those of an interrupted pull included.
        current: u64,
        /// In all.
        total: u64,
    },
    /// Bytes of the blob that are unpacked.
    Extracted {
        /// So far.
        current: u64,
        /// In all.
        total: u64,
    },
    /// Whoever fetched it has ended, well or not: [`crate::Pull::claim`] says which.
    Ended,
}

/// Hears of a layer's progress, in threads that work: it must be quick.
pub type Listener = Arc<dyn Fn(&LayerNews) + Send + Sync>;

/// Those who want to hear of a blob.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<Hearing>);

#[derive(Default)]
struct Hearing {
    all: Vec<Listener>,
    downloaded: Option<LayerNews>,
    extracted: Option<LayerNews>,
}

impl Listeners {
    /// Who comes late hears first how far it is: it may be long until there is news.
    pub(crate) fn add(&self, listener: Listener) {
        let mut hearing = self.lock();
        hearing.downloaded.iter().chain(&hearing.extracted).for_each(|news| listener(news));
        hearing.all.push(listener);
    }

    pub(crate) fn tell(&self, news: &LayerNews) {
        let mut hearing = self.lock();
        match news {
            LayerNews::Downloaded { .. } => hearing.downloaded = Some(news.clone()),
            LayerNews::Extracted { .. } => hearing.extracted = Some(news.clone()),
            LayerNews::Ended => {}
        }
        let all = hearing.all.clone();
        drop(hearing);
        all.iter().for_each(|listener| listener(news));
    }

    fn lock(&self) -> MutexGuard<'_, Hearing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listeners")
    }
}

/// A set that one can wait on.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    blobs: Mutex<HashMap<Digest, Arc<Listeners>>>,
    changed: Condvar,
}

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Listeners>>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether the blob wasn't there yet.
    pub(crate) fn insert(&self, blob: &Digest) -> bool {
        self.claim(blob, None).is_some()
    }

    /// Takes the blob, unless another has: then `listener` hears of it.
    pub(crate) fn claim(&self, blob: &Digest, listener: Option<Listener>) -> Option<Arc<Listeners>> {
        let mut blobs = self.lock();
        let (listeners, ours) = match blobs.get(blob) {
            Some(listeners) => (listeners.clone(), false),
            None => (Arc::default(), true),
        };
        listener.into_iter().for_each(|listener| listeners.add(listener));
        if ours {
            blobs.insert(blob.clone(), listeners.clone());
        }
        ours.then_some(listeners)
    }

    pub(crate) fn contains(&self, blob: &Digest) -> bool {
        self.lock().contains_key(blob)
    }

    pub(crate) fn remove(&self, blob: &Digest) {
        let listeners = self.lock().remove(blob);
        self.changed.notify_all();
        listeners.into_iter().for_each(|listeners| listeners.tell(&LayerNews::Ended));
    }

    /// Waits until the blob isn't there. Who waits has removed its own blobs before, so nobody waits in a circle.
    pub(crate) fn wait(&self, blob: &Digest) {
        let mut blobs = self.lock();
        while blobs.contains_key(blob) {
            blobs = self.changed.wait(blobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
