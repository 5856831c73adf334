//! Blobs that an operation is unpacking right now, so that another one doesn't.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use oci::Digest;

/// A set that one can wait on.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    blobs: Mutex<HashSet<Digest>>,
    changed: Condvar,
}

impl InFlight {
    fn lock(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether the blob wasn't there yet.
    pub(crate) fn insert(&self, blob: &Digest) -> bool {
        self.lock().insert(blob.clone())
    }

    pub(crate) fn remove(&self, blob: &Digest) {
        self.lock().remove(blob);
        self.changed.notify_all();
    }

    /// Waits until the blob isn't there. Who waits has removed its own blobs before, so nobody waits in a circle.
    pub(crate) fn wait(&self, blob: &Digest) {
        let mut blobs = self.lock();
        while blobs.contains(blob) {
            blobs = self.changed.wait(blobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
