//! Copying files with all that belongs to them.

use std::collections::HashMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::owned::Owners;
use super::tree::{is_directory, is_opaque, is_whiteout, kind, names, open_directory, stat};
use crate::Result;
use crate::error::Context;
use crate::layer::{Meta, meta, opaque, set_xattr};
use tarball::{is_reserved, show};

/// The extended attributes of an open file.
pub(crate) fn xattrs_of(fd: impl AsFd) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let fd = fd.as_fd();
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    read_xattrs(
        |list: &mut Vec<u8>| rustix::fs::listxattr(&*path, rustix::buffer::spare_capacity(list)),
        |key, value: &mut Vec<u8>| rustix::fs::getxattr(&*path, key, rustix::buffer::spare_capacity(value)),
    )
}

/// Those of a directory's entry, which is not followed.
fn xattrs_at(dir: &OwnedFd, name: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    read_xattrs(
        |list: &mut Vec<u8>| rustix::fs::llistxattr(&path[..], rustix::buffer::spare_capacity(list)),
        |key, value: &mut Vec<u8>| {
            rustix::fs::lgetxattr(&path[..], key, rustix::buffer::spare_capacity(value))
        },
    )
}

/// The kernel's limits on a list of names and on a value.
const MAX_XATTR: usize = 64 << 10;

fn read_xattrs(
    list: impl Fn(&mut Vec<u8>) -> rustix::io::Result<usize>,
    get: impl Fn(&CStr, &mut Vec<u8>) -> rustix::io::Result<usize>,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut keys = Vec::with_capacity(1024);
    let listed = match list(&mut keys) {
        Err(Errno::RANGE) => {
            keys.reserve(MAX_XATTR);
            list(&mut keys)
        }
        listed => listed,
    };
    match listed {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        listed => listed.context("list attributes")?,
    };
    let mut found = Vec::new();
    for key in keys.split_inclusive(|&b| b == 0) {
        let Ok(key) = CStr::from_bytes_with_nul(key) else { continue };
        if is_reserved(key.to_bytes()) {
            continue;
        }
        let mut value = Vec::with_capacity(MAX_XATTR);
        get(key, &mut value).context(&format!("read attribute {:?}", show(key.to_bytes())))?;
        found.push((key.to_bytes().to_vec(), value));
    }
    Ok(found)
}

/// Lays one layer's diff over a whole tree.
pub(super) struct Overlay<'a> {
    root: &'a OwnedFd,
    /// Where the first name of a file with several lies in the copy.
    links: HashMap<(u64, u64), Vec<u8>>,
    /// Overlayfs's own marks are copied, not followed, and owners become others.
    owners: Option<&'a Owners>,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(root: &'a OwnedFd) -> Self {
        Self { root, links: HashMap::new(), owners: None }
    }

    /// For a copy of one layer, in overlayfs's form like itself, with other owners.
    pub(super) fn as_it_lies(root: &'a OwnedFd, owners: &'a Owners) -> Self {
        Self { root, links: HashMap::new(), owners: Some(owners) }
    }

    fn meta(&self, stat: &Stat) -> Result<Meta> {
        self.owners.map_or_else(|| Ok(meta(stat)), |owners| owners.meta(meta(stat)))
    }

    /// Copies what is in `from` over what is in `to`; `path` is `to`'s within the copy.
    pub(super) fn directory(&mut self, from: &OwnedFd, to: &OwnedFd, path: &[u8]) -> Result<()> {
        for name in names(from)? {
            let Some(stat) = stat(from, &name)? else { continue };
            let path = if path.is_empty() { name.clone() } else { [path, b"/", &name].concat() };
            if is_whiteout(&stat) && self.owners.is_none() {
                remove(to, &name)?;
            } else if is_directory(&stat) {
                self.subdirectory(from, to, &name, &stat, &path)?;
            } else {
                self.file(from, to, &name, &stat, path)?;
            }
        }
        Ok(())
    }

    fn subdirectory(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &[u8],
        stat: &Stat,
        path: &[u8],
    ) -> Result<()> {
        let from = open_directory(from, name)?;
        let there = super::tree::stat(to, name)?;
        let merge = there.as_ref().is_some_and(is_directory) && !is_opaque(&from);
        if !merge {
            remove(to, name)?;
            rustix::fs::mkdirat(to, name, Mode::RWXU).context(&format!("make {:?}", show(path)))?;
        }
        let to = open_directory(to, name)?;
        if self.owners.is_some() && is_opaque(&from) {
            set_xattr(&to, opaque().as_bytes(), b"y", name)?;
        }
        self.directory(&from, &to, path)?;
        self.meta(stat)?.apply(&to, &xattrs_of(&from)?, path)
    }

    fn file(&mut self, from: &OwnedFd, to: &OwnedFd, name: &[u8], stat: &Stat, path: Vec<u8>) -> Result<()> {
        remove(to, name)?;
        let what = format!("copy {:?}", show(&path));
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) {
                return rustix::fs::linkat(self.root, &first[..], to, name, AtFlags::empty()).context(&what);
            }
            self.links.insert((stat.st_dev, stat.st_ino), path);
        }
        let meta = self.meta(stat)?;
        match kind(stat) {
            FileType::RegularFile => regular(from, to, name, stat, &meta, &what),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, name, Vec::new()).context(&what)?;
                rustix::fs::symlinkat(&target, to, name).context(&what)?;
                meta.apply_at(to, name, &xattrs_at(from, name)?, true)
            }
            kind => {
                rustix::fs::mknodat(to, name, kind, Mode::from_raw_mode(meta.mode & 0o777), stat.st_rdev)
                    .context(&what)?;
                meta.apply_at(to, name, &xattrs_at(from, name)?, false)
            }
        }
    }
}

fn regular(from: &OwnedFd, to: &OwnedFd, name: &[u8], stat: &Stat, meta: &Meta, what: &str) -> Result<()> {
    let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let from = rustix::fs::openat(from, name, read, Mode::empty()).context(what)?;
    let to = rustix::fs::openat(to, name, write, Mode::RUSR | Mode::WUSR).context(what)?;
    // A clone shares the blocks until one of the two is written to; few file systems can.
    if stat.st_size > 0 && rustix::fs::ioctl_ficlone(&to, &from).is_err() {
        contents(&from, &to, stat.st_size.cast_unsigned()).context(what)?;
    }
    meta.apply(&to, &xattrs_of(&from)?, name)
}

/// Copies the data within the kernel, hole by hole.
fn contents(from: &OwnedFd, to: &OwnedFd, size: u64) -> rustix::io::Result<()> {
    rustix::fs::ftruncate(to, size)?;
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(from, rustix::fs::SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error),
        };
        let end = rustix::fs::seek(from, rustix::fs::SeekFrom::Hole(start))?;
        range(from, to, start, end)?;
        at = end;
    }
    Ok(())
}

fn range(from: &OwnedFd, to: &OwnedFd, start: u64, end: u64) -> rustix::io::Result<()> {
    let (mut read, mut written) = (start, start);
    while read < end {
        let left = usize::try_from(end - read).unwrap_or(usize::MAX);
        match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut written), left) {
            // Shorter than it was.
            Ok(0) => return Err(Errno::IO),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Removes whatever has this name.
fn remove(dir: &OwnedFd, name: &[u8]) -> Result<()> {
    let what = format!("remove {:?}", show(name));
    match stat(dir, name)? {
        None => Ok(()),
        Some(stat) if is_directory(&stat) => {
            let inner = open_directory(dir, name)?;
            names(&inner)?.iter().try_for_each(|name| remove(&inner, name))?;
            rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR).context(&what)
        }
        Some(_) => rustix::fs::unlinkat(dir, name, AtFlags::empty()).context(&what),
    }
}
