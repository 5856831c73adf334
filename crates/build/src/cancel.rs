//! Giving a build up.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Error, Result};

/// Says that a build is no longer wanted. Clones share it.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Mutex<State>>);

type Call = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    cancelled: bool,
    last: u64,
    calls: Vec<(u64, Call)>,
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

/// Takes a call back when it is dropped.
#[derive(Debug)]
pub struct OnCancel {
    cancel: Cancel,
    number: u64,
}

/// Gives the work up when it is dropped: nobody waits for it any more.
#[derive(Debug)]
pub struct CancelOnDrop(pub Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Cancel {
    /// One that nobody has used yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the build up; whoever asked to be called is called here. Once is enough.
    pub fn cancel(&self) {
        let calls = {
            let mut state = self.lock();
            state.cancelled = true;
            std::mem::take(&mut state.calls)
        };
        calls.into_iter().for_each(|(_, call)| call());
    }

    /// Whether the build was given up.
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// An error when the build was given up.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Calls when the build is given up, at once if it was. Not after the value that is returned was dropped.
    #[must_use = "the call is taken back when this is dropped"]
    pub fn on_cancel(&self, call: impl FnOnce() + Send + 'static) -> OnCancel {
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        if state.cancelled {
            drop(state);
            call();
        } else {
            state.calls.push((number, Box::new(call)));
        }
        OnCancel { cancel: self.clone(), number }
    }
}

impl Drop for OnCancel {
    fn drop(&mut self) {
        self.cancel.lock().calls.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn who_waits_is_called_once_and_who_left_is_not() {
        let (cancel, count) = (Cancel::new(), Arc::new(AtomicU32::new(0)));
        let add = || {
            let count = Arc::clone(&count);
            move || {
                count.fetch_add(1, Ordering::SeqCst);
            }
        };
        drop(cancel.on_cancel(add()));
        let stays = cancel.on_cancel(add());
        assert!(cancel.check().is_ok());
        cancel.cancel();
        cancel.cancel();
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let late = cancel.on_cancel(add());
        assert_eq!(count.load(Ordering::SeqCst), 2);
        drop((stays, late));
        assert!(matches!(cancel.check(), Err(Error::Cancelled)));
    }
}
