//! Volumes with driver options that running containers have mounted already: a further container gets a copy of that
//! mount, so that all see the same files (a second tmpfs would be another one).

use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::container::task::blocking;
use crate::container::{Container, MountKind, MountPoint};
use crate::engine::Inner;
use crate::error::Error;

/// Mounts of other containers, by volume. While this lives, nobody else mounts one of these volumes anew.
#[derive(Default)]
pub(crate) struct Shared {
    pub(super) mounts: HashMap<String, OwnedFd>,
    /// How often the container mounts each volume, less the times it has done so.
    times: HashMap<String, usize>,
    guards: Vec<OwnedMutexGuard<()>>,
}

impl Shared {
    /// Counts one mount of a volume; whether there will be another.
    pub(super) fn wanted_again(&mut self, name: &str) -> bool {
        let left = self.times.entry(name.to_owned()).or_default();
        *left = left.saturating_sub(1);
        *left > 0
    }
}

fn devices(mounts: &[MountPoint]) -> impl Iterator<Item = &MountPoint> {
    mounts.iter().filter(|mount| mount.kind == MountKind::Volume && mount.device)
}

/// Collects what a container that is about to start finds mounted already.
pub(crate) async fn shared(engine: &Inner, container: &Container) -> Shared {
    let mut shared = Shared::default();
    // in one order for all, so that no two wait for each other
    for mount in devices(&container.mounts) {
        *shared.times.entry(mount.name.clone()).or_default() += 1;
    }
    let names: BTreeSet<&str> = devices(&container.mounts).map(|mount| mount.name.as_str()).collect();
    for name in names {
        let gate = {
            let mut starting = engine.volumes.starting.lock().unwrap_or_else(PoisonError::into_inner);
            // whoever is done has let go of its gate
            starting.retain(|_, gate| Arc::strong_count(gate) > 1);
            Arc::clone(starting.entry(name.to_owned()).or_default())
        };
        shared.guards.push(gate.lock_owned().await);
        if let Some(mount) = find(engine, name).await {
            shared.mounts.insert(name.to_owned(), mount);
        }
    }
    shared
}

async fn find(engine: &Inner, name: &str) -> Option<OwnedFd> {
    for entry in engine.containers.all() {
        let other = entry.snapshot();
        let has = devices(&other.mounts).any(|mount| mount.name == name);
        if !has {
            continue;
        }
        let Some(shim) = entry.shim() else { continue };
        // one that does not run has nothing to share; a container that runs has what it is asked for itself
        let Ok((mount, namespace)) = shim.mount(name).await else { continue };
        let copied = blocking(move || {
            sys::mount::clone_from(namespace.as_fd(), mount.as_fd())
                .map_err(|errno| Error::because("copy a mount of another container", errno))
        });
        match copied.await {
            Ok(copy) => return Some(copy),
            Err(error) => tracing::debug!(volume = name, container = %other.id, %error, "not shared"),
        }
    }
    None
}
