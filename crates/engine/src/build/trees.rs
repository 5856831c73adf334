//! Trees as directories in hand: layers as a mount that nobody else sees, a build's own files as they lie there.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ::build::solve::Tree;
use oci::Digest;
use store::{Hold, Scratch, Store};
use sys::path::Root;
use tokio::sync::Notify;

use super::contexts::InUse;
use super::mounts::Sight;
use crate::engine::Inner;

/// What one build has in hand.
pub(super) struct Trees {
    store: Store,
    /// Layers that stay as long as the build, by their stack.
    holds: Mutex<HashMap<Vec<Digest>, Hold>>,
    /// Directories of this build's own.
    files: Mutex<HashMap<u64, Directory>>,
    /// Told when all that is let go of.
    over: Arc<Notify>,
}

impl Drop for Trees {
    fn drop(&mut self) {
        self.holds.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        self.files.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        self.over.notify_one();
    }
}

/// A directory that a build has for itself.
#[derive(Clone)]
pub(super) enum Directory {
    /// It goes with the build.
    Own(Arc<Scratch>),
    /// A directory in one that goes with it.
    Part {
        /// What it goes with.
        _place: Arc<Scratch>,
        /// Where it is.
        path: PathBuf,
    },
    /// It stays for the next.
    Kept(Arc<InUse>),
}

impl Directory {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Own(place) => place.path(),
            Self::Part { path, .. } => path,
            Self::Kept(kept) => kept.path(),
        }
    }
}

fn failed(what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ::build::Error {
    ::build::Error::because(what, error)
}

impl Trees {
    pub(super) fn new(engine: &Inner) -> Self {
        let (store, over) = (engine.store.clone(), Arc::clone(&engine.builder.collect));
        Self { store, holds: Mutex::default(), files: Mutex::default(), over }
    }

    /// Keeps layers until the build is over.
    pub(super) fn hold(&self, layers: &[Digest]) -> bool {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        if holds.contains_key(layers) {
            return true;
        }
        let Some(hold) = self.store.hold(layers) else { return false };
        holds.insert(layers.to_vec(), hold);
        true
    }

    /// Keeps what was just made, and gives it as a tree.
    pub(super) fn take(&self, hold: Hold) -> Tree {
        let layers = hold.layers().to_vec();
        let before = self.holds.lock().unwrap_or_else(PoisonError::into_inner).insert(layers.clone(), hold);
        drop(before);
        Tree::Layers(layers)
    }

    /// Puts a directory among the build's own.
    pub(super) fn add(&self, place: Arc<Scratch>) -> Tree {
        self.put(Directory::Own(place))
    }

    /// As [`Self::add`], of either kind.
    pub(super) fn put(&self, directory: Directory) -> Tree {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let number = files.len() as u64;
        files.insert(number, directory);
        Tree::Files(number)
    }

    /// A tree to read from.
    ///
    /// # Errors
    /// It is gone; the kernel's refusal.
    pub(super) fn open(&self, tree: &Tree) -> ::build::Result<Root> {
        Ok(Root::in_root(self.mount(tree, Sight::default())?))
    }

    /// A tree as a mount of its own that nothing can be written to.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn mount(&self, tree: &Tree, sight: Sight<'_>) -> ::build::Result<OwnedFd> {
        let Sight { user, label } = sight;
        match tree {
            Tree::Layers(layers) => match user {
                Some(user) => self.store.mount_layers_mapped(layers, label, user.shown()),
                None => self.store.mount_layers(layers, label),
            }
            .map_err(|error| failed("mount layers", error)),
            Tree::Files(number) => {
                let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
                let place = files.get(number).cloned();
                drop(files);
                let gone = || failed("open a directory of the build", "it is gone");
                let place = place.ok_or_else(gone)?;
                sight.show(place.path()).map_err(|error| failed("label a directory of the build", error))?;
                let mount = sys::mount::clone_path(place.path(), false)
                    .map_err(|error| failed("open a directory of the build", error))?;
                let change = sys::mount::Change {
                    set: sys::mount::Attr::RDONLY,
                    idmap: user.map(|user| user.shown().user),
                    ..sys::mount::Change::default()
                };
                sys::mount::change(mount.as_fd(), &change)
                    .map_err(|error| failed("open a directory of the build", error))?;
                Ok(mount)
            }
        }
    }
}
