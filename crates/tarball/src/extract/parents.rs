//! The directories that entries go into, opened name by name and kept open for a while.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sys::path::Root;

use crate::{Error, Result, show, split};

/// Directories kept open. Tars list files directory by directory, so few are enough.
const CACHE: usize = 64;
/// Mode of directories that the archive leaves out.
const IMPLIED: Mode = Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP).union(Mode::ROTH).union(Mode::XOTH);
/// How often a directory is made while somebody else takes it away.
const MAX_TRIES: usize = 64;

/// What a symbolic link in the way of a path means.
#[derive(Clone, Copy, Debug)]
pub enum Through<'a> {
    /// What it means in this root, where the directory that is unpacked into has this path.
    Root(&'a Root, &'a Path),
    /// An attempt to get out.
    Refused,
}

pub(super) struct Parents<'a> {
    dir: Arc<OwnedFd>,
    through: Through<'a>,
    open: HashMap<Vec<u8>, Arc<OwnedFd>>,
}

/// Opens a directory by its name, without following a link.
pub(super) fn open_directory(up: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(up, name, flags, Mode::empty())
}

impl<'a> Parents<'a> {
    pub(super) fn new(dir: OwnedFd, through: Through<'a>) -> Self {
        Self { dir: Arc::new(dir), through, open: HashMap::new() }
    }

    /// The directory of this (cleaned) path, made when it isn't there.
    pub(super) fn get(&mut self, path: &[u8]) -> Result<Arc<OwnedFd>> {
        if path.is_empty() {
            return Ok(self.dir.clone());
        }
        if let Some(open) = self.open.get(path) {
            return Ok(open.clone());
        }
        let (up, name) = split(path);
        let up = self.get(up)?;
        let opened = Arc::new(self.open_or_make(up.as_fd(), name, path)?);
        if self.open.len() >= CACHE {
            self.open.clear();
        }
        self.open.insert(path.to_vec(), opened.clone());
        Ok(opened)
    }

    /// The directory of this path, if it is there and no link leads to it.
    pub(super) fn existing(&mut self, path: &[u8]) -> Option<Arc<OwnedFd>> {
        if path.is_empty() {
            return Some(self.dir.clone());
        }
        if let Some(open) = self.open.get(path) {
            return Some(open.clone());
        }
        let (up, name) = split(path);
        let up = self.existing(up)?;
        open_directory(up.as_fd(), name, OFlags::PATH).ok().map(Arc::new)
    }

    /// Something was removed: the directories that are open may not be those of the paths any more.
    pub(super) fn forget(&mut self) {
        self.open.clear();
    }

    fn open_or_make(&self, up: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<OwnedFd> {
        for _ in 0..MAX_TRIES {
            match open_directory(up, name, OFlags::PATH) {
                Err(Errno::NOENT) => match rustix::fs::mkdirat(up, name, IMPLIED) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(Error::at("create", path, error)),
                },
                Err(Errno::NOTDIR | Errno::LOOP) => return self.past_link(path),
                opened => return opened.map_err(|error| Error::at("open", path, error)),
            }
        }
        Err(Error::at("create", path, Errno::AGAIN))
    }

    fn past_link(&self, path: &[u8]) -> Result<OwnedFd> {
        let Through::Root(root, dir) = self.through else {
            return Err(Error::entry(path, "something that is no directory is in the way"));
        };
        root.open(dir.join(OsStr::from_bytes(path)), OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
            .map_err(|error| Error::io(format!("open {:?}", show(path)), error))
    }
}
