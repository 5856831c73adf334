//! All containers, by id and by name, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::{mpsc, oneshot};

use super::stats::Slot;
use super::task::Request;
use crate::container::{Container, Link};
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
    /// Some container has links: without any, nobody is looked through for them.
    linked: bool,
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
        let mut maps = self.write();
        maps.linked |= !entry.snapshot().links.is_empty();
        maps.by_id.insert(entry.id.clone(), entry);
    }

    /// Running containers that have links to `id`, and those links.
    pub(crate) fn linking(&self, id: &str) -> Vec<(Arc<Container>, Link)> {
        let maps = self.read();
        if !maps.linked {
            return Vec::new();
        }
        let snapshots = maps.by_id.values().map(|entry| entry.snapshot());
        let links = |container: Arc<Container>| {
            let links: Vec<_> = container.links.iter().filter(|link| link.target == id).cloned().collect();
            links.into_iter().map(move |link| (Arc::clone(&container), link))
        };
        snapshots.filter(|container| container.state.running().is_some()).flat_map(links).collect()
    }

    /// Names that links give to containers, `parent/alias`, by the containers' ids.
    pub(crate) fn link_names(&self) -> HashMap<String, Vec<String>> {
        let maps = self.read();
        let mut names: HashMap<String, Vec<String>> = HashMap::new();
        if maps.linked {
            for parent in maps.by_id.values().map(|entry| entry.snapshot()) {
                for link in &parent.links {
                    names
                        .entry(link.target.clone())
                        .or_default()
                        .push(format!("{}/{}", parent.name, link.alias));
                }
            }
        }
        names
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
        if let Some((parent, alias)) = bare.rsplit_once('/') {
            let parent =
                maps.names.get(parent).and_then(|id| maps.by_id.get(id)).map(|entry| entry.snapshot());
            let link =
                parent.and_then(|parent| parent.links.iter().find(|link| link.alias == alias).cloned());
            if let Some(entry) = link.and_then(|link| maps.by_id.get(&link.target)) {
                return Ok(Arc::clone(entry));
            }
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
