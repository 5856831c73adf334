//! Copies from one tree into another.

use std::collections::HashMap;
use std::io::{BufReader, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sys::path::Root;
use tarball::{Extract, MAX_DEPTH, Owner, Through};

use super::attributes::{Meta, gid_of, kind, uid_of, xattrs};
use super::select::{Found, clean, select};
use super::walk::{Filter, Item, each, look, open_dir, open_file};
use super::{Decompress, Ids};
use crate::graph::Copy;
use crate::{Cancel, Error, Result};

/// Most that the kernel is asked to copy at once.
const STEP: usize = 16 << 20;
/// Mode of directories that are made on the way.
const PARENT_MODE: u32 = 0o755;

/// Copies what `copy` says from `source` into `target`. `owner` is whose the copies become, if not the originals'.
///
/// # Errors
/// A path is not there, something is in the way, or the disk is full; what was copied until then stays.
pub fn copy(
    target: &Root,
    source: &Root,
    copy: &Copy,
    owner: Option<Ids>,
    decompress: Decompress<'_>,
    cancel: &Cancel,
) -> Result<()> {
    let found = select(source, copy)?;
    let meta = Meta { copy, owner };
    let mut job = Job { target, meta, filter: Filter::of(copy)?, links: HashMap::new(), cancel, decompress };
    for found in &found {
        job.one(found, found_name(copy, found))?;
    }
    Ok(())
}

/// Where in the target something goes, relative to the copy's target; empty for the target itself.
fn found_name(copy: &Copy, found: &Found) -> PathBuf {
    if copy.parents {
        // behind `/./` a path stays as it is
        let base = copy.source.split_once("/./").map(|(base, _)| clean(base)).unwrap_or_default();
        return found.path.strip_prefix(&base).unwrap_or(&found.path).to_owned();
    }
    found.path.file_name().map(PathBuf::from).unwrap_or_default()
}

struct Job<'a> {
    target: &'a Root,
    meta: Meta<'a>,
    filter: Filter,
    /// Copies of files with several names, by the original's device and number: the copy's directory and name.
    links: HashMap<(u64, u64), (OwnedFd, Vec<u8>)>,
    cancel: &'a Cancel,
    decompress: Decompress<'a>,
}

impl Job<'_> {
    fn one(&mut self, found: &Found, name: PathBuf) -> Result<()> {
        self.cancel.check()?;
        let copy = self.meta.copy;
        let is_slashed = copy.target.ends_with('/') || copy.target.ends_with("/.");
        if found.is_dir() && copy.contents_only {
            let into = if copy.parents { clean(&copy.target).join(&name) } else { clean(&copy.target) };
            let directory = self.directory_at(&into)?;
            let contents = open_dir(found.handle.as_fd()).map_err(|error| failed(&found.path, error))?;
            self.contents(&contents, &found.compared(copy), &directory, 0)?;
            // the root of a tree stays what it is
            if !into.as_os_str().is_empty() && self.filter.takes_all() && copy.parents {
                self.meta_of(&contents, &directory, found, &into)?;
            }
            return Ok(());
        }
        if found.is_dir() {
            let into = clean(&copy.target).join(&name);
            let directory = self.directory_at(&into)?;
            let contents = open_dir(found.handle.as_fd()).map_err(|error| failed(&found.path, error))?;
            self.contents(&contents, &found.compared(copy), &directory, 0)?;
            return self.meta_of(&contents, &directory, found, &into);
        }
        if !self.filter.takes(&found.compared(copy)) {
            return Ok(());
        }
        if copy.unpack && self.unpack(found)? {
            return Ok(());
        }
        let into = clean(&copy.target);
        let is_dir = || self.target.stat(&into).is_ok_and(|stat| kind(&stat) == FileType::Directory);
        let place = if is_slashed || copy.parents || is_dir() { into.join(&name) } else { into };
        let (up, last) = match (place.parent(), place.file_name()) {
            (Some(up), Some(last)) => (up.to_owned(), last.to_owned()),
            _ => return Err(Error::path(&copy.target, "is a directory")),
        };
        let directory = self.directory_at(&up)?;
        let last = last.as_bytes();
        let item = Item { name: last, handle: found.handle.as_fd(), stat: &found.stat };
        self.make(&item, &directory, last, &found.path.to_string_lossy())
    }

    /// A directory of the target, made with its parents if it is missing.
    fn directory_at(&self, path: &Path) -> Result<OwnedFd> {
        self.directory_of(path, self.meta.owner)
    }

    fn directory_of(&self, path: &Path, owner: Option<Ids>) -> Result<OwnedFd> {
        let shown = || format!("/{}", path.display());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match self.target.open(path, flags, Mode::empty()) {
            Ok(directory) => return Ok(directory),
            Err(Errno::NOENT) if self.meta.copy.make_parents => {}
            Err(Errno::NOTDIR) => return Err(Error::path(shown(), "cannot copy to non-directory")),
            Err(error) => return Err(Error::path(shown(), error)),
        }
        super::make::parents(self.target, path, PARENT_MODE, owner, self.meta.copy.timestamp)?;
        self.target.open(path, flags, Mode::empty()).map_err(|error| Error::path(shown(), error))
    }

    fn meta_of(&self, from: &OwnedFd, to: &OwnedFd, found: &Found, path: &Path) -> Result<()> {
        let attributes = xattrs(from.as_fd()).map_err(|error| failed(&found.path, error))?;
        self.meta.apply(to, &found.stat, &attributes, &path.to_string_lossy())
    }

    /// Everything in one open directory into another.
    fn contents(&mut self, from: &OwnedFd, path: &str, to: &OwnedFd, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::path(path, "directories lie too deep"));
        }
        self.cancel.check()?;
        each(from, path, &mut |item, path| {
            if item.kind() == FileType::Directory {
                return self.below(item, path, to, depth);
            }
            if self.filter.takes(path) { self.make(item, to, item.name, path) } else { Ok(()) }
        })
    }

    /// A directory in a directory. One that counts not itself is made for what counts in it.
    fn below(&mut self, item: &Item<'_>, path: &str, to: &OwnedFd, depth: usize) -> Result<()> {
        let contents = open_dir(item.handle).map_err(|error| Error::path(path, error))?;
        let taken = self.filter.takes(path);
        if !taken && !self.counts(&contents, path, depth)? {
            return Ok(());
        }
        match rustix::fs::mkdirat(to, item.name, Mode::from_raw_mode(0o700)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let there = look(to.as_fd(), item.name).map_err(|error| Error::path(path, error))?;
                if there.is_some_and(|(_, stat)| kind(&stat) != FileType::Directory) {
                    if !self.meta.copy.replace {
                        return Err(Error::path(path, "cannot copy to non-directory"));
                    }
                    clear(to.as_fd(), item.name, path)?;
                    rustix::fs::mkdirat(to, item.name, Mode::from_raw_mode(0o700))
                        .map_err(|error| Error::path(path, error))?;
                }
            }
            Err(error) => return Err(Error::path(path, error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(to, item.name, flags, Mode::empty())
            .map_err(|error| Error::path(path, error))?;
        self.contents(&contents, path, &made, depth + 1)?;
        let attributes = xattrs(contents.as_fd()).map_err(|error| Error::path(path, error))?;
        self.meta.apply(&made, item.stat, &attributes, path)
    }

    /// Whether anything beneath a directory counts.
    fn counts(&self, contents: &OwnedFd, path: &str, depth: usize) -> Result<bool> {
        let mut found = false;
        each(contents, path, &mut |item, path| {
            found = found || self.filter.takes(path);
            if !found && item.kind() == FileType::Directory && depth < MAX_DEPTH {
                let below = open_dir(item.handle).map_err(|error| Error::path(path, error))?;
                found = self.counts(&below, path, depth + 1)?;
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Anything but a directory.
    fn make(&mut self, item: &Item<'_>, to: &OwnedFd, name: &[u8], path: &str) -> Result<()> {
        let stat = item.stat;
        let own = (stat.st_dev, stat.st_ino);
        let first = (stat.st_nlink > 1).then(|| self.links.get(&own)).flatten();
        let make = || match (first, item.kind()) {
            (Some((directory, first)), _) => {
                rustix::fs::linkat(directory, &**first, to, name, AtFlags::empty())
            }
            (None, FileType::Symlink) => {
                let target = rustix::fs::readlinkat(item.handle, "", Vec::new())?;
                rustix::fs::symlinkat(&target, to, name)
            }
            (None, kind) => rustix::fs::mknodat(to, name, kind, Mode::from_raw_mode(0o600), stat.st_rdev),
        };
        if item.kind() == FileType::Socket {
            // without its listener it is nothing
            return Ok(());
        }
        if first.is_none() && item.kind() == FileType::RegularFile {
            self.file(item, to, name, path)?;
        } else {
            cleared(to.as_fd(), name, path, make)?;
            if first.is_none() {
                self.meta.apply_at(to.as_fd(), name, stat, path)?;
            }
        }
        if stat.st_nlink > 1 && !self.links.contains_key(&own) {
            let directory =
                to.try_clone().map_err(|error| Error::because("duplicate a descriptor", error))?;
            self.links.insert(own, (directory, name.to_vec()));
        }
        Ok(())
    }

    fn file(&self, item: &Item<'_>, to: &OwnedFd, name: &[u8], path: &str) -> Result<()> {
        let from = open_file(item.handle).map_err(|error| Error::path(path, error))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = cleared(to.as_fd(), name, path, || {
            rustix::fs::openat(to, name, flags, Mode::from_raw_mode(0o600))
        })?;
        self.bytes(&from, &made, path)?;
        let attributes = xattrs(from.as_fd()).map_err(|error| Error::path(path, error))?;
        self.meta.apply(&made, item.stat, &attributes, path)
    }

    /// The kernel copies, and shares the blocks where the file system can.
    fn bytes(&self, from: &OwnedFd, to: &OwnedFd, path: &str) -> Result<()> {
        loop {
            match rustix::fs::copy_file_range(from, None, to, None, STEP) {
                Ok(0) => break,
                Ok(_) => self.cancel.check()?,
                Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => break,
                Err(error) => return Err(Error::path(path, error)),
            }
        }
        // whatever the kernel would not copy, or said was nothing (files of /proc)
        let mut buffer = [0; 32 << 10];
        loop {
            let count = rustix::io::retry_on_intr(|| rustix::io::read(from, &mut buffer))
                .map_err(|error| Error::path(path, error))?;
            if count == 0 {
                return Ok(());
            }
            let mut left = &buffer[..count];
            while !left.is_empty() {
                let written = rustix::io::retry_on_intr(|| rustix::io::write(to, left))
                    .map_err(|error| Error::path(path, error))?;
                left = &left[written..];
            }
        }
    }

    /// Unpacks an archive into the target. Says whether it was one.
    fn unpack(&self, found: &Found) -> Result<bool> {
        let path = found.path.to_string_lossy();
        if kind(&found.stat) != FileType::RegularFile {
            return Ok(false);
        }
        let unread = |error: std::io::Error| Error::path(path.as_ref(), error);
        let open = || open_file(found.handle.as_fd()).map_err(|error| Error::path(path.as_ref(), error));
        let mut start = [0; tarball::BLOCK];
        let Ok(mut input) = (self.decompress)(Box::new(std::fs::File::from(open()?))) else {
            return Ok(false);
        };
        if !matches!(input.read_exact(&mut start), Ok(()) if tarball::is_tar_start(&start)) {
            return Ok(false);
        }
        let input = (self.decompress)(Box::new(std::fs::File::from(open()?))).map_err(unread)?;
        let directory = self.directory_of(&clean(&self.meta.copy.target), None)?;
        let place = Path::new("/").join(clean(&self.meta.copy.target));
        let options = Extract {
            shown: &self.meta.copy.target,
            through: Through::Root(self.target, &place),
            // as with Docker, `--chown` is not about what comes out of an archive
            owner: Owner::Archive,
            keep_kinds: false,
            renames: &[],
        };
        tarball::extract(directory, BufReader::new(input), &options)
            .map_err(|error| Error::because(format!("failed to unpack {path}"), error))?;
        Ok(true)
    }
}

/// Makes something under a name; what is there and is no directory goes first.
fn cleared<T>(
    dir: BorrowedFd<'_>,
    name: &[u8],
    path: &str,
    mut make: impl FnMut() -> Result<T, Errno>,
) -> Result<T> {
    match make() {
        Err(Errno::EXIST) => {
            clear(dir, name, path)?;
            make().map_err(|error| Error::path(path, error))
        }
        made => made.map_err(|error| Error::path(path, error)),
    }
}

fn clear(dir: BorrowedFd<'_>, name: &[u8], path: &str) -> Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => Err(Error::path(path, "cannot overwrite a directory with a non-directory")),
        Err(error) => Err(Error::path(path, error)),
    }
}

fn failed(path: &Path, error: Errno) -> Error {
    Error::path(path.to_string_lossy(), error)
}

/// Gives something just made an owner.
pub(super) fn own(dir: BorrowedFd<'_>, name: &[u8], (uid, gid): Ids) -> Result<(), Errno> {
    rustix::fs::chownat(dir, name, Some(uid_of(uid)), Some(gid_of(gid)), AtFlags::SYMLINK_NOFOLLOW)
}

/// The time that something gets.
pub(super) fn stamp(dir: BorrowedFd<'_>, name: &[u8], nanos: i64) -> Result<(), Errno> {
    let time = rustix::fs::Timespec {
        tv_sec: nanos.div_euclid(1_000_000_000),
        tv_nsec: nanos.rem_euclid(1_000_000_000),
    };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// What a stat says of a thing's owner.
pub(super) fn ids_of(stat: &Stat) -> Ids {
    (stat.st_uid, stat.st_gid)
}
