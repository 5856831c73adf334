//! All containers, by id and by name, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::{mpsc, oneshot};

use super::stats::Slot;
use super::task::Request;
use crate::container::Container;
use crate::error::{Error, Result};
use crate::shim::ShimHandle;

/// Requests that may wait for one container's task.
const BACKLOG: usize = 64;

/// What everyone may know of one container; its task alone writes here.
pub(crate) struct Entry {
    pub(crate) id: String,
    snapshot: RwLock<Arc<Container>>,
    shim: Mutex<Option<ShimHandle>>,
    requests: mpsc::Sender<Request>,
    /// What readers of its statistics share.
    pub(crate) stats: Slot,
}

impl Entry {
    /// An entry and the receiving end for its task.
    pub(crate) fn new(container: Container) -> (Arc<Self>, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(BACKLOG);
        let id = container.id.clone();
        let snapshot = RwLock::new(Arc::new(container));
        (Arc::new(Self { id, snapshot, shim: Mutex::default(), requests, stats: Slot::default() }), receiver)
    }

    /// The present snapshot.
    pub(crate) fn snapshot(&self) -> Arc<Container> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the snapshot.
    pub(crate) fn publish(&self, container: Container) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(container);
    }

    /// The shim, while there is one.
    pub(crate) fn shim(&self) -> Option<ShimHandle> {
        self.lock_shim().clone()
    }

    /// Replaces the shim.
    pub(crate) fn set_shim(&self, shim: Option<ShimHandle>) {
        *self.lock_shim() = shim;
    }

    fn lock_shim(&self) -> MutexGuard<'_, Option<ShimHandle>> {
        self.shim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the container's task something; a container that is gone need not know.
    pub(crate) async fn tell(&self, request: Request) {
        let _ = self.requests.send(request).await;
    }

    /// Asks the container's task, and waits for its answer.
    ///
    /// # Errors
    /// The task's refusal; the container is gone.
    pub(crate) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let gone = || Error::no_such_container(&self.id);
        self.requests.send(request(reply)).await.map_err(|_closed| gone())?;
        answer.await.map_err(|_dropped| gone())?
    }
}

#[derive(Default)]
struct Maps {
    by_id: BTreeMap<String, Arc<Entry>>,
    /// Name → id, also of containers that are still being made.
    names: HashMap<String, String>,
}

/// The map of all containers.
#[derive(Default)]
pub(crate) struct Registry(RwLock<Maps>);

impl Registry {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Maps> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Maps> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a name for an id.
    ///
    /// # Errors
    /// Another container holds it.
    pub(crate) fn reserve(&self, name: &str, id: &str) -> Result<()> {
        let mut maps = self.write();
        if let Some(holder) = maps.names.get(name) {
            return Err(Error::name_in_use(name, holder));
        }
        maps.names.insert(name.to_owned(), id.to_owned());
        Ok(())
    }

    /// Gives a name back, if this id holds it.
    pub(crate) fn release(&self, name: &str, id: &str) {
        let mut maps = self.write();
        if maps.names.get(name).is_some_and(|holder| holder == id) {
            maps.names.remove(name);
        }
    }

    /// Adds a container.
    pub(crate) fn insert(&self, entry: Arc<Entry>) {
        self.write().by_id.insert(entry.id.clone(), entry);
    }

    /// Takes a container out, with its name.
    pub(crate) fn remove(&self, id: &str) {
        let mut maps = self.write();
        maps.by_id.remove(id);
        maps.names.retain(|_, holder| holder != id);
    }

    /// Takes all out: their tasks end.
    pub(crate) fn clear(&self) {
        *self.write() = Maps::default();
    }

    /// All containers.
    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.read().by_id.values().cloned().collect()
    }

    /// A container by whole id, name, or unambiguous beginning of its id; in this order.
    ///
    /// # Errors
    /// None, or several.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Entry>> {
        let maps = self.read();
        if let Some(entry) = maps.by_id.get(name) {
            return Ok(Arc::clone(entry));
        }
        let bare = name.strip_prefix('/').unwrap_or(name);
        if let Some(entry) = maps.names.get(bare).and_then(|id| maps.by_id.get(id)) {
            return Ok(Arc::clone(entry));
        }
        if name.is_empty() {
            return Err(Error::no_such_container(name));
        }
        let mut fitting = maps.by_id.range(name.to_owned()..).take_while(|(id, _)| id.starts_with(name));
        match (fitting.next(), fitting.next()) {
            (Some((_, entry)), None) => Ok(Arc::clone(entry)),
            (Some(_), Some(_)) => {
                Err(Error::bad_parameter(format!("multiple IDs found with provided prefix: {name}")))
            }
            _ => Err(Error::no_such_container(name)),
        }
    }
}
