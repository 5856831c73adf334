//! Snapshots: a container's root file system on top of an image's layers.

#[cfg(test)]
mod conformance;
mod copy;
mod driver;
mod mapped;
mod overlay;
mod owned;
mod pack;
mod squash;
mod tree;
mod vfs;

use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard};

use oci::Digest;
use sys::idmap::Map;

use self::owned::Owners;
use crate::error::Context;
use crate::image::GraphDriver;
use crate::layer::Meta;
use crate::layout::{self, DIR_MODE};
use crate::state::{State, chain_name, prune};
use crate::store::Inner;
use crate::{Error, Result, Store, label};
use tarball::Time;

pub(crate) use copy::xattrs_of;
pub use driver::{Driver, DriverChoice};
pub(crate) use driver::{choose_driver, image_graph_driver};
pub use mapped::Shown;
pub(crate) use owned::unused;
pub(crate) use pack::pack;

/// What the root directory is when no layer's tar says it.
const ROOT: Meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: Time { seconds: 0, nanos: 0 } };

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
    driver: Driver,
    /// `diff` directories of the layers, topmost first.
    lowers: Arc<Vec<PathBuf>>,
    /// What the root directory is below.
    root: Meta,
    /// What files lie with, where it is not what they are to be in the container.
    owners: Option<Arc<Owners>>,
    /// It is a build's, and of no use after a crash.
    is_fleeting: bool,
    /// SELinux's, of all its files when they are mounted.
    label: Option<String>,
}

impl Snapshot {
    /// The container it belongs to.
    pub fn container(&self) -> &str {
        &self.container
    }

    fn dir(&self) -> PathBuf {
        self.store.inner().layout.snapshot(&self.container)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// The same whose mounts have one label of SELinux's for all files; an empty one is none.
    #[must_use]
    pub fn labelled(self, label: &str) -> Self {
        Self { label: Some(label.to_owned()).filter(|label| !label.is_empty()), ..self }
    }

    fn traits(&self) -> overlay::Traits<'_> {
        overlay::Traits { is_volatile: self.is_fleeting, label: self.label.as_deref() }
    }

    /// Makes a detached mount of the whole root file system: it is in no mount namespace, and the kernel
    /// collects it with its last user. Not while another mount of the same snapshot is alive: overlayfs leaves
    /// that undefined (reach a running container through its own root).
    ///
    /// # Errors
    /// The driver's refusal.
    pub fn mount(&self) -> Result<OwnedFd> {
        match self.driver {
            Driver::Overlay => {
                let (upper, work) = (self.at(layout::snapshot::UPPER), self.at(layout::snapshot::WORK));
                overlay::mount(&self.lowers, &upper, &work, self.traits())
            }
            Driver::Vfs => vfs::mount(&self.copied()?),
        }
    }

    /// As [`Self::mount`], for a container in a user namespace: what is its root's there is the real root's on the
    /// disk, and so on for all ids that the user namespace maps; others are nobody's. On the disk there is no
    /// difference to a container without one.
    ///
    /// # Errors
    /// The driver's refusal; the file system of the store can't show other ids.
    pub fn mount_mapped(&self, shown: Shown<'_>) -> Result<OwnedFd> {
        match self.driver {
            // files lie so already
            _ if self.owners.is_some() => self.mount(),
            Driver::Overlay => mapped::mount(&self.lowers, Some(&self.dir()), self.traits(), shown),
            Driver::Vfs => mapped::directory(&self.copied()?, shown),
        }
    }

    /// As [`Self::mount_image`], for a container in a user namespace.
    ///
    /// # Errors
    /// As of [`Self::mount_mapped`].
    pub fn mount_image_mapped(&self, shown: Shown<'_>) -> Result<OwnedFd> {
        match self.driver {
            _ if self.owners.is_some() => self.mount_image(),
            Driver::Overlay => {
                mapped::view(&self.lowers, self.store.inner().layout.empty(), self.label.as_deref(), shown)
            }
            Driver::Vfs => mapped::directory(&self.copied()?, shown),
        }
    }

    /// Makes a detached mount of the image's files, without what was written over them and with nothing to write to.
    /// There may be several at once.
    ///
    /// # Errors
    /// The driver's refusal.
    pub fn mount_image(&self) -> Result<OwnedFd> {
        match self.driver {
            Driver::Overlay => {
                overlay::view(&self.lowers, self.store.inner().layout.empty(), self.label.as_deref())
            }
            Driver::Vfs => vfs::mount(&self.copied()?),
        }
    }

    /// The copy of a driver without mounts of its own, labelled.
    fn copied(&self) -> Result<PathBuf> {
        let root = self.at(layout::snapshot::ROOT);
        self.label.as_deref().map_or(Ok(()), |label| label::once(&root, label))?;
        Ok(root)
    }

    /// Bytes of the files that the container wrote (Docker's `SizeRw`).
    ///
    /// # Errors
    /// When the tree can't be read.
    pub fn upper_size(&self) -> Result<u64> {
        match self.driver {
            Driver::Overlay => tree::size(&self.at(layout::snapshot::UPPER)),
            Driver::Vfs => vfs::changed_size(&self.at(layout::snapshot::ROOT), &self.lowers),
        }
    }

    /// What the container changed, sorted by path; also while it runs. Only what it wrote is walked, however
    /// large the image is. `scaffold` are absolute paths that every container gets (places to mount on): where
    /// the image has none of it and they are empty, they are no change.
    ///
    /// # Errors
    /// When the tree can't be read.
    pub fn changes(&self, scaffold: &[&str]) -> Result<Vec<Change>> {
        match self.driver {
            Driver::Overlay => overlay::changes(&self.top(), &self.lowers, scaffold),
            Driver::Vfs => vfs::changes(&self.top(), &self.lowers, scaffold),
        }
    }

    /// The directory that the container writes to.
    fn top(&self) -> PathBuf {
        match self.driver {
            Driver::Overlay => self.at(layout::snapshot::UPPER),
            Driver::Vfs => self.at(layout::snapshot::ROOT),
        }
    }

    /// Writes the layer of an image that makes these [`Snapshot::changes`].
    ///
    /// # Errors
    /// When a file can't be read; the output's failure.
    pub(crate) fn pack(&self, changes: &[Change], output: impl io::Write) -> Result<()> {
        pack(&self.top(), self.owners.as_deref().map(|owners| &owners.0), changes, output)
    }

    /// Whether what was written lies by itself, so that it may become a layer as it is.
    pub(crate) fn is_apart(&self) -> bool {
        matches!(self.driver, Driver::Overlay)
    }

    /// Moves what was written to `to`, as a directory that looks like the root of the layers below.
    pub(crate) fn give_away(&self, to: &PathBuf) -> Result<()> {
        fs::rename(self.top(), to).at("rename to", to)?;
        if let Some(own) = self.store.inner().label.get() {
            // files that a container wrote have its label
            label::always(to, own)?;
        }
        set_root(to, self.root)
    }

    /// The directories, for `inspect`.
    pub fn graph_driver(&self) -> GraphDriver {
        driver::snapshot_graph_driver(self.driver, &self.dir(), &self.lowers)
    }
}

impl Store {
    /// Makes the root file system of a container: the image's layers and an empty writable one. With `owners`, a mapping
    /// for a user namespace, its files lie with the owners that they have outside of it, also those of the image, whose
    /// layers are copied for that: for where [`Snapshot::mount_mapped`] could not show them so.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::SnapshotExists`]; the driver's refusal.
    pub fn create_snapshot(&self, container: &str, image: &Digest, owners: Option<&Map>) -> Result<Snapshot> {
        check_name(container)?;
        let state = self.inner().lock();
        let entry = state.images.get(image).ok_or_else(|| Error::NoSuchImage(image.to_string()))?;
        let chain = chain_name(entry.image.diff_ids());
        self.new_snapshot(container, chain, state, owners, false)
    }

    /// Makes a root file system of these layers, lowest first, and an empty writable one, for as long as this process:
    /// nothing that is written to it is ever synchronised.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the layers are not here in this order; otherwise as [`Self::create_snapshot`].
    pub fn create_snapshot_on(&self, container: &str, layers: &[Digest]) -> Result<Snapshot> {
        check_name(container)?;
        self.new_snapshot(container, chain_name(layers), self.inner().lock(), None, true)
    }

    fn new_snapshot(
        &self,
        container: &str,
        chain: String,
        mut state: MutexGuard<'_, State>,
        owners: Option<&Map>,
        is_fleeting: bool,
    ) -> Result<Snapshot> {
        let inner = self.inner();
        if state.snapshots.contains_key(container) {
            return Err(Error::SnapshotExists(container.into()));
        }
        let (lowers, root) = stack(inner, &state, &chain)?;
        // From here on the layers stay, whatever becomes of the image.
        state.snapshots.insert(container.into(), chain.clone());
        if is_fleeting {
            state.fleeting.insert(container.into());
        }
        let owners = owners.map(|map| Arc::new(Owners(map.clone())));
        state.owners.extend(owners.iter().map(|owners| (container.to_owned(), owners.text())));
        drop(state);
        let (store, container_name, driver) = (self.clone(), container.to_owned(), inner.driver);
        let snapshot = Snapshot {
            store,
            container: container_name,
            driver,
            lowers,
            root,
            owners,
            is_fleeting,
            label: None,
        };
        let made = snapshot.shown().and_then(|snapshot| snapshot.make(&chain).map(|()| snapshot));
        if made.is_err() {
            // The first failure is the one to tell.
            let _ = self.remove_snapshot(container);
        }
        made
    }

    /// The root file system of a container.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`]; [`Error::Damaged`] when its layers are gone.
    pub fn snapshot(&self, container: &str) -> Result<Snapshot> {
        let inner = self.inner();
        let state = inner.lock();
        let missing = || Error::NoSuchSnapshot(container.into());
        let chain = state.snapshots.get(container).ok_or_else(missing)?;
        let (lowers, root) = stack(inner, &state, chain)?;
        let is_fleeting = state.fleeting.contains(container);
        let owners = state.owners.get(container).map(|text| Owners::read(text).map(Arc::new)).transpose()?;
        drop(state);
        // What was made by another driver stays usable.
        let is_copy = inner.layout.snapshot(container).join(layout::snapshot::ROOT).exists();
        let driver = if is_copy { Driver::Vfs } else { Driver::Overlay };
        let (store, container) = (self.clone(), container.into());
        Snapshot { store, container, driver, lowers, root, owners, is_fleeting, label: None }.shown()
    }

    /// Removes the root file system of a container. When it returns, the directory is out of sight and its
    /// space is certain to come back: a thread removes it, and after a crash the next `open` does.
    /// What is called `ID.anything` goes with `ID`. A container without one is no error.
    ///
    /// # Errors
    /// When the directory can't be renamed.
    pub fn remove_snapshot(&self, container: &str) -> Result<()> {
        let inner = self.inner();
        let mut state = inner.lock();
        let its = |name: &&String| *name == container || owner(name) == container;
        let names: Vec<String> = state.snapshots.keys().filter(its).cloned().collect();
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            inner.trash.discard(&inner.layout.snapshot(&name))?;
            state.snapshots.remove(&name);
            state.fleeting.remove(&name);
            state.owners.remove(&name);
        }
        prune(&mut state, &inner.layout, &inner.trash).map(drop)
    }

    /// Removes the root file systems of containers that are not in `live`, and layers that nothing refers to. A
    /// snapshot called `ID.anything` belongs to the container `ID`, too.
    ///
    /// # Errors
    /// The first failure, after all was tried.
    pub fn sweep(&self, live: &HashSet<String>) -> Result<Swept> {
        let inner = self.inner();
        let dead: Vec<String> =
            inner.lock().snapshots.keys().filter(|name| !live.contains(owner(name))).cloned().collect();
        let mut swept = Swept::default();
        let mut done = Ok(());
        for container in dead {
            let removed = self.remove_snapshot(&container);
            if removed.is_ok() {
                swept.snapshots.push(container);
            }
            done = done.and(removed);
        }
        done?;
        swept.layers = prune(&mut inner.lock(), &inner.layout, &inner.trash)?.len();
        Ok(swept)
    }
}

impl Snapshot {
    /// The same whose layers are those with the owners that it has.
    fn shown(self) -> Result<Self> {
        let Some(owners) = self.owners.clone() else { return Ok(self) };
        let lowers = Arc::new(owners.layers(self.store.inner(), &self.lowers)?);
        Ok(Self { lowers, root: owners.meta(self.root)?, ..self })
    }

    fn make(&self, chain: &str) -> Result<()> {
        let (dir, root) = (self.dir(), self.root);
        let make = |path: &PathBuf, mode| DirBuilder::new().mode(mode).create(path).at("make", path);
        make(&dir, DIR_MODE)?;
        // A link's text is durable with the directory that it is in; a file would have to be synced.
        let base = self.at(layout::snapshot::BASE);
        symlink(chain, &base).at("make", &base)?;
        if let Some(owners) = &self.owners {
            let link = self.at(layout::snapshot::OWNERS);
            symlink(owners.text(), &link).at("make", &link)?;
        }
        match self.driver {
            Driver::Overlay => {
                let upper = self.at(layout::snapshot::UPPER);
                make(&upper, DIR_MODE)?;
                make(&self.at(layout::snapshot::WORK), DIR_MODE)?;
                set_root(&upper, root)
            }
            Driver::Vfs => {
                let path = self.at(layout::snapshot::ROOT);
                make(&path, DIR_MODE)?;
                vfs::fill(&path, &self.lowers)?;
                set_root(&path, root)
            }
        }
    }
}

fn set_root(path: &PathBuf, root: Meta) -> Result<()> {
    let dir = fs::File::open(path).at("open", path)?;
    root.apply(&dir, &[], b"/")
}

impl Store {
    /// A detached mount of these layers, lowest first, that nothing can be written to; with SELinux's label of all files,
    /// unless it is empty.
    ///
    /// # Errors
    /// The layers are not here in this order; the driver's refusal.
    pub fn mount_layers(&self, layers: &[Digest], label: &str) -> Result<OwnedFd> {
        let inner = self.inner();
        let (lowers, _) = stack(inner, &inner.lock(), &chain_name(layers))?;
        overlay::view(&lowers, inner.layout.empty(), Some(label).filter(|label| !label.is_empty()))
    }

    /// As [`Self::mount_layers`], for a container in a user namespace.
    ///
    /// # Errors
    /// As of [`Self::mount_layers`]; the file system of the store can't show other ids.
    pub fn mount_layers_mapped(&self, layers: &[Digest], label: &str, shown: Shown<'_>) -> Result<OwnedFd> {
        let inner = self.inner();
        let (lowers, _) = stack(inner, &inner.lock(), &chain_name(layers))?;
        let label = Some(label).filter(|label| !label.is_empty());
        mapped::view(&lowers, inner.layout.empty(), label, shown)
    }
}

/// The `diff` directories of a stack, topmost first, as far down as anything shows through; and what its root
/// directory is.
fn stack(inner: &Inner, state: &State, chain: &str) -> Result<(Arc<Vec<PathBuf>>, Meta)> {
    let missing = || Error::Damaged(format!("the layers of {chain} are missing"));
    let keys = state.chains.get(chain).cloned().ok_or_else(missing)?;
    let mut lowers = Vec::with_capacity(keys.len());
    let mut root = None;
    for key in keys.iter().rev() {
        lowers.push(inner.layout.layer(key).join(layout::layer::DIFF));
        let Some(layer) = state.layers.get(key) else { continue };
        root = root.or(layer.record.root);
        if layer.record.opaque_root {
            break;
        }
    }
    if lowers.is_empty() {
        lowers.push(inner.layout.empty());
    }
    Ok((Arc::new(lowers), root.unwrap_or(ROOT)))
}

/// The container that a snapshot belongs to.
fn owner(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// A container's id becomes a file name.
fn check_name(container: &str) -> Result<()> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let first = container.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if first && container.len() <= 128 && container.bytes().all(fits) {
        return Ok(());
    }
    Err(Error::io(format!("container id {container:?}"), io::Error::from(io::ErrorKind::InvalidInput)))
}
