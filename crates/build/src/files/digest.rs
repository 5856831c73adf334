//! The digest of a tree's contents: names, kinds, bytes, modes, owners, attributes and link targets, and no times.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use oci::Digest;
use rustix::fs::{FileType, Stat};
use sha2::{Digest as _, Sha256};
use sys::path::Root;
use tarball::MAX_DEPTH;

use super::attributes::{kind, xattrs};
use super::copy::ids_of;
use super::select::{clean, select};
use super::walk::{Filter, Item, each, open_dir};
use crate::graph::Copy;
use crate::{Cancel, Error, Result};

/// Bytes that are read at once.
const STEP: usize = 64 << 10;

/// The digest of what a copy would take, with the names that it would give.
///
/// # Errors
/// There is nothing to take, or it can't be read.
pub fn digest_copy(tree: &Root, copy: &Copy, cancel: &Cancel) -> Result<Digest> {
    let filter = Filter::of(copy)?;
    let found = select(tree, copy)?;
    let mut sum = Sum::new(&filter, cancel);
    for one in found {
        // a directory whose contents are copied has no name of its own
        let named = !(one.is_dir() && copy.contents_only) || copy.parents;
        let name = if copy.parents { Some(one.path.as_os_str()) } else { one.path.file_name() };
        let name = name.filter(|_| named).map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default();
        let path = one.compared(copy);
        if one.is_dir() {
            sum.directory(one.handle.as_fd(), &one.stat, &name, &path, !named)?;
        } else if filter.takes(&path) {
            let item = Item { name: &name, handle: one.handle.as_fd(), stat: &one.stat, is_open: false };
            sum.thing(&item, &path)?;
        }
    }
    Ok(sum.finish())
}

/// The digest of what is at a path and beneath it.
///
/// # Errors
/// Nothing is there, or it can't be read.
pub fn digest_path(tree: &Root, path: &str, cancel: &Cancel) -> Result<Digest> {
    let copy = Copy { source: path.to_owned(), follow_symlinks: true, ..Copy::default() };
    let filter = Filter::of(&copy)?;
    let mut sum = Sum::new(&filter, cancel);
    for one in select(tree, &copy)? {
        let path = clean(path).to_string_lossy().into_owned();
        if one.is_dir() {
            sum.directory(one.handle.as_fd(), &one.stat, b"", &path, false)?;
        } else {
            let item = Item { name: b"", handle: one.handle.as_fd(), stat: &one.stat, is_open: false };
            sum.thing(&item, &path)?;
        }
    }
    Ok(sum.finish())
}

struct Sum<'a> {
    sum: Sha256,
    filter: &'a Filter,
    cancel: &'a Cancel,
    buffer: Vec<u8>,
    depth: usize,
}

impl<'a> Sum<'a> {
    fn new(filter: &'a Filter, cancel: &'a Cancel) -> Self {
        Self { sum: Sha256::new(), filter, cancel, buffer: vec![0; STEP], depth: 0 }
    }

    fn finish(self) -> Digest {
        Digest::from_sha256(self.sum.finalize().into())
    }

    /// A piece with its length in front, so that no two lists of pieces are alike.
    fn piece(&mut self, bytes: &[u8]) {
        self.sum.update((bytes.len() as u64).to_le_bytes());
        self.sum.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.sum.update(number.to_le_bytes());
    }

    fn directory(
        &mut self,
        handle: BorrowedFd<'_>,
        stat: &Stat,
        name: &[u8],
        path: &str,
        only_contents: bool,
    ) -> Result<()> {
        if self.depth > MAX_DEPTH {
            return Err(Error::path(path, "directories lie too deep"));
        }
        self.cancel.check()?;
        let opened = open_dir(handle).map_err(|error| Error::path(path, error))?;
        if !only_contents && (path.is_empty() || self.filter.takes_all() || self.filter.takes(path)) {
            self.head(opened.as_fd(), stat, name, path)?;
        }
        self.sum.update([b'(']);
        self.depth += 1;
        self.contents(&opened, path)?;
        self.depth -= 1;
        self.sum.update([b')']);
        Ok(())
    }

    fn contents(&mut self, opened: &OwnedFd, path: &str) -> Result<()> {
        each(opened, path, &mut |item, path| {
            if item.kind() == FileType::Directory {
                return self.directory(item.handle, item.stat, item.name, path, false);
            }
            if self.filter.takes(path) { self.thing(item, path) } else { Ok(()) }
        })
    }

    /// What all kinds have.
    fn head(&mut self, opened: BorrowedFd<'_>, stat: &Stat, name: &[u8], path: &str) -> Result<()> {
        self.plain(stat, name);
        for (key, value) in xattrs(opened).map_err(|error| Error::path(path, error))? {
            self.piece(&key);
            self.piece(&value);
        }
        Ok(())
    }

    fn plain(&mut self, stat: &Stat, name: &[u8]) {
        self.piece(name);
        self.number(stat.st_mode.into());
        let (uid, gid) = ids_of(stat);
        self.number(uid.into());
        self.number(gid.into());
    }

    fn thing(&mut self, item: &Item<'_>, path: &str) -> Result<()> {
        let failed = |error: rustix::io::Errno| Error::path(path, error);
        let (stat, name) = (item.stat, item.name);
        match kind(stat) {
            FileType::RegularFile => {
                let file = item.file().map_err(failed)?;
                self.head(file.as_fd(), stat, name, path)?;
                let size = stat.st_size.cast_unsigned();
                self.number(size);
                let mut come = 0;
                // a file's end is not asked for where it is known; one of no size may have contents all the same (/proc)
                while size == 0 || come < size {
                    let count = rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut self.buffer))
                        .map_err(failed)?;
                    if count == 0 {
                        break;
                    }
                    come += count as u64;
                    let (sum, buffer) = (&mut self.sum, &self.buffer);
                    sum.update(&buffer[..count]);
                }
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(item.handle, "", Vec::new()).map_err(failed)?;
                self.plain(stat, name);
                self.piece(target.as_bytes());
            }
            // no copy has one
            FileType::Socket => {}
            _ => {
                self.plain(stat, name);
                self.number(stat.st_rdev);
            }
        }
        Ok(())
    }
}
