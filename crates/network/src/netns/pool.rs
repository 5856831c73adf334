//! Namespaces made ahead of their need, as making one takes longer than all the rest of joining a
//! container to a network.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Namespace, STACK_LEN};
use crate::error::Result;

/// How many are kept ready. One start takes one; the next start of a client that runs containers
/// one after another finds it replaced.
const READY: usize = 2;

/// Namespaces that wait for a container. They die with the daemon, whatever kills it.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    ready: Vec<Namespace>,
    refilling: bool,
}

impl Pool {
    /// A namespace: a ready one, or else a new one.
    pub(crate) fn take(&self) -> Result<Namespace> {
        let ready = lock(&self.state).ready.pop();
        ready.map_or_else(Namespace::new, Ok)
    }

    /// Frees those that wait.
    pub(crate) fn clear(&self) {
        lock(&self.state).ready.clear();
    }

    /// Makes more in the background, until enough are ready. Called when a start has no more use
    /// for the processor.
    pub(crate) fn refill(&self) {
        {
            let mut state = lock(&self.state);
            if state.refilling || state.ready.len() >= READY {
                return;
            }
            state.refilling = true;
        }
        let state = Arc::clone(&self.state);
        let started = std::thread::Builder::new()
            .name("berth-netns".to_owned())
            .stack_size(STACK_LEN)
            .spawn(move || fill(&state));
        if started.is_err() {
            // The next start makes its own.
            lock(&self.state).refilling = false;
        }
    }
}

/// Makes namespaces until enough are ready. Each `unshare` leaves the previous one behind.
fn fill(state: &Mutex<State>) {
    loop {
        let made = Namespace::unshare();
        let mut state = lock(state);
        match made {
            Ok(namespace) => state.ready.push(namespace),
            // Whoever needs one will meet the same error and report it.
            Err(_) => {
                state.refilling = false;
                return;
            }
        }
        if state.ready.len() >= READY {
            state.refilling = false;
            return;
        }
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
