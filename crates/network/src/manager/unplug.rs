//! Pairs of containers that have ended, and whose namespaces stay.

use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::live::unplug;
use crate::error::Error;
use crate::netlink::{Protocol, Socket};
use crate::netns::STACK_LEN;

/// How long the kernel has to free a namespace with all that is in it. It frees many at once, whereas each pair that is
/// removed for itself keeps everybody else from changing anything for a grace period: 32 containers that came and went
/// at the same time took 2.5 times what they take without (measured on 6.18).
const GRACE: Duration = Duration::from_secs(1);

/// A thread that looks after pairs that mostly die by themselves; a connection whose other end is silent keeps a
/// namespace for minutes, long after the last process. It ends with the network, having removed what is left.
#[derive(Debug, Default)]
pub(super) struct Unplugger(OnceLock<Sender<String>>);

impl Unplugger {
    /// Removes these interfaces of the host's in a while, if they are still there. Nobody waits for it.
    pub(super) fn later(&self, names: impl Iterator<Item = String>) {
        for name in names {
            // It ends when we do.
            let _ = self.0.get_or_init(start).send(name);
        }
    }
}

fn start() -> Sender<String> {
    let (sender, names) = mpsc::channel();
    let thread = std::thread::Builder::new().name("berth-unplug".to_owned()).stack_size(STACK_LEN);
    if let Err(error) = thread.spawn(move || while remove_some(&names) {}) {
        tracing::warn!("interfaces of containers that end stay until their namespaces go: {error}");
    }
    sender
}

/// Waits for a first name, and for others as long as it has grace; `false` when no more can come.
fn remove_some(names: &Receiver<String>) -> bool {
    let Ok(first) = names.recv() else { return false };
    let (mut ended, end) = (vec![first], Instant::now() + GRACE);
    let more = loop {
        match names.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(name) => ended.push(name),
            Err(RecvTimeoutError::Timeout) => break true,
            Err(RecvTimeoutError::Disconnected) => break false,
        }
    };
    match Socket::open(Protocol::Route) {
        Ok(mut host) => {
            ended.iter().filter_map(|name| unplug(&mut host, name).err()).for_each(|error| warn(&error))
        }
        Err(error) => warn(&error),
    }
    more
}

fn warn(error: &Error) {
    tracing::warn!("a container's interface stays until its namespace goes: {error}");
}
