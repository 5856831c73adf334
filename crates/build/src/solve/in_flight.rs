//! Two builds that need the same work do it once.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use oci::Digest;

use crate::{Cancel, Result};

#[derive(Debug, Default)]
struct Shared {
    keys: Mutex<HashSet<Digest>>,
    changed: Condvar,
}

/// Keys of work that is being done.
#[derive(Debug, Default)]
pub(super) struct InFlight(Arc<Shared>);

/// The work on a key, as long as this lives.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    shared: &'a Shared,
    key: Digest,
}

impl InFlight {
    /// Waits until nobody else works on `key`.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`] while it waits.
    pub(super) fn take(&self, key: &Digest, cancel: &Cancel) -> Result<Turn<'_>> {
        let shared = Arc::clone(&self.0);
        let _awake = cancel.on_cancel(move || {
            // whoever looks at the flag has it in hand, or waits already
            drop(shared.keys.lock());
            shared.changed.notify_all();
        });
        let mut keys = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
        while !keys.insert(key.clone()) {
            cancel.check()?;
            keys = self.0.changed.wait(keys).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(Turn { shared: &self.0, key: key.clone() })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.shared.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.shared.changed.notify_all();
    }
}
