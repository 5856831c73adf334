//! Who needs a volume: containers, and containers that are still being made. A volume that is claimed can't be
//! removed between the moment that it was looked up and the moment that its container is known.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::container::MountPoint;
use crate::engine::Inner;

/// Volumes' state in memory.
#[derive(Default)]
pub(crate) struct Volumes {
    /// Container's id → names of volumes.
    claims: Mutex<HashMap<String, Vec<String>>>,
    /// One start at a time makes the mount that others then share; by volume.
    pub(super) starting: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// As long as this lives, the volumes of a container that is being made stay.
pub(crate) struct Claim {
    engine: Arc<Inner>,
    container: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.engine).remove(&self.container);
    }
}

/// Claims the volumes of a container that is not in the registry yet.
pub(crate) fn claim(engine: &Arc<Inner>, container: &str, mounts: &[MountPoint]) -> Claim {
    let names = mounts.iter().map(|mount| mount.name.clone()).filter(|name| !name.is_empty()).collect();
    lock(engine).insert(container.to_owned(), names);
    Claim { engine: Arc::clone(engine), container: container.to_owned() }
}

/// The claims, which don't grow while this is held.
pub(super) fn lock(engine: &Inner) -> MutexGuard<'_, HashMap<String, Vec<String>>> {
    engine.volumes.claims.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ids of containers that have a volume, or will.
pub(super) fn users(engine: &Inner, claims: &HashMap<String, Vec<String>>, name: &str) -> Vec<String> {
    let containers = engine.containers.all();
    let has = |mount: &MountPoint| mount.kind == crate::container::MountKind::Volume && mount.name == name;
    let users = containers.iter().filter(|entry| entry.snapshot().mounts.iter().any(has));
    let mut users: Vec<String> = users.map(|entry| entry.id.clone()).collect();
    let claimed = claims.iter().filter(|(_, names)| names.iter().any(|claimed| claimed == name));
    users.extend(claimed.map(|(id, _)| id.clone()));
    users.sort();
    users.dedup();
    users
}
