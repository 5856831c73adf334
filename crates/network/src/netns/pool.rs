//! Namespaces made ahead of their need, as making one takes longer than all the rest of joining a
//! container to a network.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use sys::mount::{self, Attr};

use super::{Namespace, STACK_LEN};
use crate::error::Result;

/// How many are kept ready. One start takes one; the next start of a client that runs containers
/// one after another finds it replaced.
const READY: usize = 2;
/// Containers that may be on their way from their namespace to their `/sys` at once, and profit of [`Ready::sysfs`].
const UNDER_WAY: usize = 4;

/// Namespaces that wait for a container. They die with the daemon, whatever kills it.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    ready: Vec<Ready>,
    /// Those of the namespaces taken last, the newest at the end.
    taken: VecDeque<OwnedFd>,
    refilling: bool,
}

#[derive(Debug)]
struct Ready {
    namespace: Namespace,
    /// A mount of its sysfs, nowhere attached. The container mounts it as its `/sys`: the kernel looks for it among those of all
    /// namespaces, newest first, and would pass them all (1.4 ms at 1,000, measured on 6.18) before it makes a new one.
    sysfs: Option<OwnedFd>,
}

impl Ready {
    /// Makes a namespace and leaves the calling thread in it.
    fn unshare() -> Result<Self> {
        let namespace = Namespace::unshare()?;
        let attr = Attr::RDONLY | Attr::NOSUID | Attr::NODEV | Attr::NOEXEC;
        let sysfs = mount::filesystem("sysfs", &[], attr).ok();
        Ok(Self { namespace, sysfs })
    }
}

impl Pool {
    /// A namespace: a ready one, or else a new one.
    pub(crate) fn take(&self) -> Result<Namespace> {
        let mut state = lock(&self.state);
        let Some(Ready { namespace, sysfs }) = state.ready.pop() else {
            drop(state);
            return Namespace::new();
        };
        state.taken.extend(sysfs);
        Ok(namespace)
    }

    /// Frees those that wait.
    pub(crate) fn clear(&self) {
        let mut state = lock(&self.state);
        state.ready.clear();
        state.taken.clear();
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
        let done: Vec<_> = {
            let taken = &mut lock(state).taken;
            taken.drain(..taken.len().saturating_sub(UNDER_WAY)).collect()
        };
        // A close that waits for the kernel, which no start has to wait for.
        drop(done);
        let made = Ready::unshare();
        let mut state = lock(state);
        match made {
            Ok(ready) => state.ready.push(ready),
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
