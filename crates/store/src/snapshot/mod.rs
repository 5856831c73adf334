//! Snapshots: a container's root file system on top of an image's layers.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use oci::Digest;

use crate::image::GraphDriver;
use crate::{Error, Result, Store};

/// Which driver to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// Overlay where it works, else plain copies.
    #[default]
    Auto,
    /// Overlay or nothing.
    Overlay,
    /// Plain copies.
    Vfs,
}

/// The driver in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The kernel's overlay file system.
    Overlay,
    /// Plain copies.
    Vfs,
}

impl Driver {
    /// Docker's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay2",
            Self::Vfs => "vfs",
        }
    }
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Its content or attributes are new (Docker: 0, `C`).
    Modified,
    /// It is new (1, `A`).
    Added,
    /// It is gone (2, `D`).
    Deleted,
}

/// One difference between a snapshot and its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Absolute path within the root file system.
    pub path: PathBuf,
    /// What happened.
    pub kind: ChangeKind,
}

/// What a sweep removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Containers' root file systems without a container.
    pub snapshots: Vec<String>,
    /// Layers without an image or a snapshot.
    pub layers: usize,
}

/// A container's root file system.
#[derive(Clone, Debug)]
pub struct Snapshot {
    store: Store,
    container: String,
}

impl Snapshot {
    /// The container it belongs to.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// Makes a detached mount of the whole root file system: it is in no mount namespace, and the kernel
    /// collects it with its last user. Not while another mount of the same snapshot is alive: overlayfs leaves
    /// that undefined (reach a running container through its own root).
    ///
    /// # Errors
    /// The driver's refusal.
    pub fn mount(&self) -> Result<OwnedFd> {
        Err(Error::NoSuchSnapshot(self.container.clone()))
    }

    /// Bytes of the files that the container wrote (Docker's `SizeRw`).
    ///
    /// # Errors
    /// When the tree can't be read.
    pub fn upper_size(&self) -> Result<u64> {
        Err(Error::NoSuchSnapshot(self.container.clone()))
    }

    /// What the container changed, sorted by path.
    ///
    /// # Errors
    /// When the tree can't be read.
    pub fn changes(&self) -> Result<Vec<Change>> {
        Err(Error::NoSuchSnapshot(self.container.clone()))
    }

    /// The directories, for `inspect`.
    pub fn graph_driver(&self) -> GraphDriver {
        GraphDriver { name: self.store.driver().name(), data: Default::default() }
    }
}

impl Store {
    /// Makes the root file system of a container: the image's layers and an empty writable one.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::SnapshotExists`]; the driver's refusal.
    pub fn create_snapshot(&self, container: &str, image: &Digest) -> Result<Snapshot> {
        let _ = container;
        Err(Error::NoSuchImage(image.to_string()))
    }

    /// The root file system of a container.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`].
    pub fn snapshot(&self, container: &str) -> Result<Snapshot> {
        Err(Error::NoSuchSnapshot(container.into()))
    }

    /// Removes the root file system of a container. When it returns, the directory is out of sight and its
    /// space is certain to come back: a thread removes it, and after a crash the next `open` does.
    /// A container without one is no error.
    ///
    /// # Errors
    /// When the directory can't be renamed.
    pub fn remove_snapshot(&self, container: &str) -> Result<()> {
        Err(Error::NoSuchSnapshot(container.into()))
    }

    /// Removes the root file systems of containers that are not in `live`, and layers that nothing refers to.
    ///
    /// # Errors
    /// The first failure, after all was tried.
    pub fn sweep(&self, live: &HashSet<String>) -> Result<Swept> {
        let _ = live;
        Ok(Swept::default())
    }
}
