//! The directory that a layer is unpacked into. Nothing in it is ever reached by a string from the archive:
//! every step is one name below an open directory, and a symbolic link in the way is resolved by the kernel
//! with this directory as its root (`openat2(2)`, `RESOLVE_IN_ROOT`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::meta::{Meta, set_xattr};
use super::opaque;
use crate::error::Context;
use crate::{Error, Result};
use tarball::{show, split};

/// Directories kept open. Tars list files directory by directory, so few are enough.
const CACHE: usize = 128;
/// Directories are ours alone until the layer is complete.
const WORKING_MODE: Mode = Mode::RWXU;

/// An open directory, and its path without symbolic links.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) fd: OwnedFd,
    pub(super) path: Vec<u8>,
}

impl Parent {
    /// The path of an entry of this directory.
    pub(super) fn join(&self, name: &[u8]) -> Vec<u8> {
        if self.path.is_empty() { name.to_vec() } else { [&self.path, &b"/"[..], name].concat() }
    }
}

/// What a directory gets when the layer is complete.
#[derive(Debug)]
pub(super) struct DirectoryMeta {
    pub(super) meta: Meta,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The tree being made.
#[derive(Debug)]
pub(super) struct Tree {
    root: Arc<Parent>,
    /// The host's path of the root, as the kernel spells it.
    host_path: Vec<u8>,
    shadow: PathBuf,
    cache: HashMap<Vec<u8>, Arc<Parent>>,
    /// How often a path was replaced; only for those that were.
    generations: HashMap<Vec<u8>, u32>,
    /// Directories that the tar has named.
    pub(super) named: BTreeMap<Vec<u8>, DirectoryMeta>,
    /// Directories that had to be made for something in them.
    pub(super) implied: BTreeSet<Vec<u8>>,
    /// Directories that hide what lies below.
    pub(super) opaque: BTreeSet<Vec<u8>>,
}

fn host_path(fd: &OwnedFd) -> Result<Vec<u8>> {
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(rustix::fs::readlinkat(CWD, &link, Vec::new()).context("find the path of a directory")?.into_bytes())
}

const DIRECTORY: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

impl Tree {
    /// `dir` is the empty directory to fill; contents that are replaced go to `shadow`.
    pub(super) fn new(dir: &Path, shadow: PathBuf) -> Result<Self> {
        let fd = rustix::fs::openat(CWD, dir, DIRECTORY, Mode::empty()).at("open", dir)?;
        Ok(Self {
            host_path: host_path(&fd)?,
            root: Arc::new(Parent { fd, path: Vec::new() }),
            shadow,
            cache: HashMap::new(),
            generations: HashMap::new(),
            named: BTreeMap::new(),
            implied: BTreeSet::new(),
            opaque: BTreeSet::new(),
        })
    }

    pub(super) fn generation(&self, path: &[u8]) -> u32 {
        self.generations.get(path).copied().unwrap_or(0)
    }

    /// The directory of this (cleaned) path, made when it isn't there.
    pub(super) fn parent(&mut self, path: &[u8]) -> Result<Arc<Parent>> {
        if path.is_empty() {
            return Ok(self.root.clone());
        }
        if let Some(parent) = self.cache.get(path) {
            return Ok(parent.clone());
        }
        let (up, name) = split(path);
        let up = self.parent(up)?;
        let opened = match rustix::fs::openat(&up.fd, name, DIRECTORY, Mode::empty()) {
            Ok(fd) => Parent { fd, path: up.join(name) },
            Err(Errno::NOENT) => self.make_implied(&up, name)?,
            Err(Errno::NOTDIR | Errno::LOOP) => self.through(&up, name)?,
            Err(error) => return Err(Error::io(format!("open {:?}", show(path)), error)),
        };
        let opened = Arc::new(opened);
        if self.cache.len() >= CACHE {
            self.cache.clear();
        }
        self.cache.insert(path.to_vec(), opened.clone());
        Ok(opened)
    }

    /// The directory of this (cleaned) path, if it is there.
    pub(super) fn existing(&mut self, path: &[u8]) -> Result<Option<Arc<Parent>>> {
        if path.is_empty() || self.cache.contains_key(path) {
            return self.parent(path).map(Some);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.root.fd, path, flags, Mode::empty(), resolve) {
            Ok(_) => self.parent(path).map(Some),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(Error::io(format!("open {:?}", show(path)), error)),
        }
    }

    fn make_implied(&mut self, up: &Parent, name: &[u8]) -> Result<Parent> {
        let path = up.join(name);
        self.make_directory(up, name)?;
        let fd = rustix::fs::openat(&up.fd, name, DIRECTORY, Mode::empty())
            .context(&format!("open {:?}", show(&path)))?;
        self.implied.insert(path.clone());
        Ok(Parent { fd, path })
    }

    /// Something that is no directory stands where one is needed.
    fn through(&mut self, up: &Parent, name: &[u8]) -> Result<Parent> {
        let path = up.join(name);
        let stat = self.stat(up, name)?;
        match stat {
            Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let fd = rustix::fs::openat2(&self.root.fd, &path[..], flags, Mode::empty(), resolve)
                    .map_err(|error| Error::Entry {
                        name: show(&path),
                        reason: format!("a symbolic link that leads to no directory is in the way ({error})"),
                    })?;
                let host = host_path(&fd)?;
                let inside = host.strip_prefix(self.host_path.as_slice()).unwrap_or_default();
                let path = inside.strip_prefix(b"/").unwrap_or(inside).to_vec();
                Ok(Parent { fd, path })
            }
            Some(stat) if is_whiteout(&stat) => {
                self.clear(up, name)?;
                self.opaque.insert(path);
                self.make_implied(up, name)
            }
            _ => Err(Error::Entry { name: show(&path), reason: "is not a directory".into() }),
        }
    }

    pub(super) fn make_directory(&self, up: &Parent, name: &[u8]) -> Result<()> {
        rustix::fs::mkdirat(&up.fd, name, WORKING_MODE)
            .context(&format!("make directory {:?}", show(&up.join(name))))
    }

    pub(super) fn stat(&self, up: &Parent, name: &[u8]) -> Result<Option<Stat>> {
        match rustix::fs::statat(&up.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Error::io(format!("stat {:?}", show(&up.join(name))), error)),
        }
    }

    /// Removes whatever has this name, and keeps the contents that the tar must be put together from.
    pub(super) fn clear(&mut self, up: &Parent, name: &[u8]) -> Result<()> {
        let Some(stat) = self.stat(up, name)? else { return Ok(()) };
        let path = up.join(name);
        let what = format!("replace {:?}", show(&path));
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                self.forget(&path);
                self.clear_directory(up, name)?;
                rustix::fs::unlinkat(&up.fd, name, AtFlags::REMOVEDIR).context(&what)
            }
            FileType::RegularFile => self.keep_content(up, name, path),
            kind => {
                if kind == FileType::Symlink {
                    self.cache.clear();
                }
                rustix::fs::unlinkat(&up.fd, name, AtFlags::empty()).context(&what)
            }
        }
    }

    fn clear_directory(&mut self, up: &Parent, name: &[u8]) -> Result<()> {
        let path = up.join(name);
        let what = format!("replace {:?}", show(&path));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&up.fd, name, flags, Mode::empty()).context(&what)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd).context(&what)? {
            let entry = entry.context(&what)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        let this = Parent { fd, path };
        names.iter().try_for_each(|name| self.clear(&this, name))
    }

    /// The n-th file at a path is kept under the digest of the path and n.
    fn keep_content(&mut self, up: &Parent, name: &[u8], path: Vec<u8>) -> Result<()> {
        let what = format!("replace {:?}", show(&path));
        if self.generations.is_empty() {
            std::fs::create_dir(&self.shadow).at("make", &self.shadow)?;
        }
        let to = self.shadow.join(shadow_name(&path, self.generation(&path)));
        *self.generations.entry(path).or_insert(0) += 1;
        rustix::fs::renameat(&up.fd, name, CWD, &to).context(&what)
    }

    fn forget(&mut self, path: &[u8]) {
        let below = |other: &[u8]| {
            other.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        self.cache.clear();
        self.named.retain(|other, _| !below(other));
        self.implied.retain(|other| !below(other));
        self.opaque.retain(|other| !below(other));
    }

    /// Gives the directories that the tar has named their attributes; contents can't change their times any more.
    pub(super) fn finish_directories(&self) -> Result<()> {
        for (path, directory) in &self.named {
            let fd = self.open_directory(path)?;
            directory.meta.apply(&fd, &directory.xattrs, path)?;
        }
        for path in self.opaque.iter().filter(|path| !path.is_empty()) {
            let fd = self.open_directory(path)?;
            set_xattr(&fd, opaque().as_bytes(), b"y", path)?;
        }
        Ok(())
    }

    fn open_directory(&self, path: &[u8]) -> Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        rustix::fs::openat2(&self.root.fd, path, flags, Mode::empty(), resolve)
            .context(&format!("open {:?}", show(path)))
    }
}

/// The name of a replaced content.
pub(super) fn shadow_name(path: &[u8], generation: u32) -> String {
    format!("{}-{generation}", oci::Digest::sha256(path).hex())
}
