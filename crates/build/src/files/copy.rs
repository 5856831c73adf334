//! Copies from one tree into another.

use std::collections::HashMap;
use std::io::{BufReader, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sys::path::Root;
use tarball::{Extract, MAX_DEPTH, Owner, Through};

use super::attributes::{Meta, gid_of, kind, uid_of, xattrs};
use super::queue::{Closing, Queue};
use super::select::{Found, clean, select};
use super::walk::{Filter, Item, each, look, open_dir, open_file};
use super::{Decompress, Ids};
use crate::graph::Copy;
use crate::{Cancel, Error, Result};

/// Most that the kernel is asked to copy at once.
const STEP: usize = 16 << 20;
/// Bytes that are read at once.
const BUFFER: usize = 64 << 10;
/// Threads that help: making files waits for the kernel's locks soon.
const MAX_HELPERS: usize = 3;
/// Mode of directories that are made on the way.
const PARENT_MODE: u32 = 0o755;

/// Copies what `copy` says from `source` into `target`. `owner` is whose the copies become, if not the originals'.
/// Directories in directories are copied side by side.
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
    let helpers = if found.iter().any(Found::is_dir) { helpers() } else { 0 };
    let queue = Queue::new(helpers > 0);
    let shared = Shared { target, meta, filter: Filter::of(copy)?, links: Mutex::default(), queue, cancel };
    std::thread::scope(|scope| {
        // nobody waits for work any more, whatever becomes of it
        let _closing = Closing(&shared.queue);
        for _ in 0..helpers {
            let help = || shared.queue.work(&mut |task| Job::new(&shared).task(task));
            // without them it takes longer
            let thread = std::thread::Builder::new().name("build".into());
            drop(thread.spawn_scoped(scope, help));
        }
        for found in &found {
            let mut job = Job::new(&shared);
            job.one(found, found_name(copy, found), decompress)?;
            // the next may be copied over this one
            shared.queue.drain(&mut |task| job.task(task))?;
        }
        Ok(())
    })
}

/// Threads beside the one that asks.
fn helpers() -> usize {
    std::thread::available_parallelism().map_or(0, |count| (count.get() - 1).min(MAX_HELPERS))
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

/// Names of files' first copies: a directory and a name in it, by the original's device and number.
type Links = HashMap<(u64, u64), (OwnedFd, Vec<u8>)>;

/// What all threads of one copy have in common.
struct Shared<'a> {
    target: &'a Root,
    meta: Meta<'a>,
    filter: Filter,
    /// Of files with several names.
    links: Mutex<Links>,
    queue: Queue<Task>,
    cancel: &'a Cancel,
}

/// A directory that was made and has to be filled.
struct Task {
    from: OwnedFd,
    stat: Stat,
    to: OwnedFd,
    path: String,
    depth: usize,
}

/// One thread's part.
struct Job<'a> {
    shared: &'a Shared<'a>,
    buffer: Vec<u8>,
    /// The kernel has not yet refused to copy between these two file systems.
    by_kernel: bool,
}

impl<'a> Job<'a> {
    fn new(shared: &'a Shared<'a>) -> Self {
        Self { shared, buffer: vec![0; BUFFER], by_kernel: true }
    }

    fn task(&mut self, Task { from, stat, to, path, depth }: Task) -> Result<()> {
        self.contents(&from, &path, &to, depth)?;
        let attributes = xattrs(from.as_fd()).map_err(|error| Error::path(&path, error))?;
        self.shared.meta.apply(&to, &stat, &attributes, &path)
    }

    fn one(&mut self, found: &Found, name: PathBuf, decompress: Decompress<'_>) -> Result<()> {
        let Shared { target, meta, filter, cancel, .. } = self.shared;
        cancel.check()?;
        let copy = meta.copy;
        let is_slashed = copy.target.ends_with('/') || copy.target.ends_with("/.");
        if found.is_dir() && copy.contents_only {
            let into = if copy.parents { clean(&copy.target).join(&name) } else { clean(&copy.target) };
            let directory = self.directory_at(&into)?;
            let contents = open_dir(found.handle.as_fd()).map_err(|error| failed(&found.path, error))?;
            self.contents(&contents, &found.compared(copy), &directory, 0)?;
            // the root of a tree stays what it is
            if !into.as_os_str().is_empty() && filter.takes_all() && copy.parents {
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
        if !filter.takes(&found.compared(copy)) {
            return Ok(());
        }
        if copy.unpack && self.unpack(found, decompress)? {
            return Ok(());
        }
        let into = clean(&copy.target);
        let is_dir = || target.stat(&into).is_ok_and(|stat| kind(&stat) == FileType::Directory);
        let place = if is_slashed || copy.parents || is_dir() { into.join(&name) } else { into };
        let (up, last) = match (place.parent(), place.file_name()) {
            (Some(up), Some(last)) => (up.to_owned(), last.to_owned()),
            _ => return Err(Error::path(&copy.target, "is a directory")),
        };
        let directory = self.directory_at(&up)?;
        let last = last.as_bytes();
        let item = Item { name: last, handle: found.handle.as_fd(), stat: &found.stat, is_open: false };
        self.make(&item, &directory, last, &found.path.to_string_lossy())
    }

    /// A directory of the target, made with its parents if it is missing.
    fn directory_at(&self, path: &Path) -> Result<OwnedFd> {
        self.directory_of(path, self.shared.meta.owner)
    }

    fn directory_of(&self, path: &Path, owner: Option<Ids>) -> Result<OwnedFd> {
        let shown = || format!("/{}", path.display());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match self.shared.target.open(path, flags, Mode::empty()) {
            Ok(directory) => return Ok(directory),
            Err(Errno::NOENT) if self.shared.meta.copy.make_parents => {}
            Err(Errno::NOTDIR) => return Err(Error::path(shown(), "cannot copy to non-directory")),
            Err(error) => return Err(Error::path(shown(), error)),
        }
        super::make::parents(self.shared.target, path, PARENT_MODE, owner, self.shared.meta.copy.timestamp)?;
        self.shared.target.open(path, flags, Mode::empty()).map_err(|error| Error::path(shown(), error))
    }

    fn meta_of(&self, from: &OwnedFd, to: &OwnedFd, found: &Found, path: &Path) -> Result<()> {
        let attributes = xattrs(from.as_fd()).map_err(|error| failed(&found.path, error))?;
        self.shared.meta.apply(to, &found.stat, &attributes, &path.to_string_lossy())
    }

    /// Everything in one open directory into another.
    fn contents(&mut self, from: &OwnedFd, path: &str, to: &OwnedFd, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::path(path, "directories lie too deep"));
        }
        self.shared.cancel.check()?;
        each(from, path, &mut |item, path| {
            if item.kind() == FileType::Directory {
                return self.below(item, path, to, depth);
            }
            if self.shared.filter.takes(path) { self.make(item, to, item.name, path) } else { Ok(()) }
        })
    }

    /// A directory in a directory. One that counts not itself is made for what counts in it.
    fn below(&mut self, item: &Item<'_>, path: &str, to: &OwnedFd, depth: usize) -> Result<()> {
        let contents = open_dir(item.handle).map_err(|error| Error::path(path, error))?;
        let taken = self.shared.filter.takes(path);
        if !taken && !self.counts(&contents, path, depth)? {
            return Ok(());
        }
        match rustix::fs::mkdirat(to, item.name, Mode::from_raw_mode(0o700)) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                let there = look(to.as_fd(), item.name).map_err(|error| Error::path(path, error))?;
                if there.is_some_and(|(_, stat)| kind(&stat) != FileType::Directory) {
                    if !self.shared.meta.copy.replace {
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
        let (stat, path, depth) = (*item.stat, path.to_owned(), depth + 1);
        // whoever is free fills it; what this directory itself says does not depend on that
        match self.shared.queue.offer(Task { from: contents, stat, to: made, path, depth }) {
            Some(task) => self.task(task),
            None => Ok(()),
        }
    }

    /// Whether anything beneath a directory counts.
    fn counts(&self, contents: &OwnedFd, path: &str, depth: usize) -> Result<bool> {
        let mut found = false;
        each(contents, path, &mut |item, path| {
            found = found || self.shared.filter.takes(path);
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
        if item.kind() == FileType::Socket {
            // without its listener it is nothing
            return Ok(());
        }
        if stat.st_nlink < 2 {
            return self.first(item, to, name, path);
        }
        let shared = self.shared;
        // held until the first name is there: another thread may want to make the second
        let mut links = shared.links.lock().unwrap_or_else(PoisonError::into_inner);
        let own = (stat.st_dev, stat.st_ino);
        if let Some((directory, first)) = links.get(&own) {
            let link = || rustix::fs::linkat(directory, &**first, to, name, AtFlags::empty());
            return cleared(to.as_fd(), name, path, link);
        }
        self.first(item, to, name, path)?;
        let directory = to.try_clone().map_err(|error| Error::because("duplicate a descriptor", error))?;
        links.insert(own, (directory, name.to_vec()));
        Ok(())
    }

    /// The same of what has no other name yet.
    fn first(&mut self, item: &Item<'_>, to: &OwnedFd, name: &[u8], path: &str) -> Result<()> {
        let make = || match item.kind() {
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(item.handle, "", Vec::new())?;
                rustix::fs::symlinkat(&target, to, name)
            }
            kind => rustix::fs::mknodat(to, name, kind, Mode::from_raw_mode(0o600), item.stat.st_rdev),
        };
        if item.kind() == FileType::RegularFile {
            return self.file(item, to, name, path);
        }
        cleared(to.as_fd(), name, path, make)?;
        self.shared.meta.apply_at(to.as_fd(), name, item.stat, path)
    }

    fn file(&mut self, item: &Item<'_>, to: &OwnedFd, name: &[u8], path: &str) -> Result<()> {
        let from = item.file().map_err(|error| Error::path(path, error))?;
        let from = from.as_fd();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // mostly the mode that it is to have, which then needs no call of its own
        let mode = Mode::from_raw_mode(self.shared.meta.mode(item.stat)? & 0o777);
        let made = cleared(to.as_fd(), name, path, || rustix::fs::openat(to, name, flags, mode))?;
        self.bytes(from, &made, item.stat.st_size.cast_unsigned(), path)?;
        let attributes = xattrs(from).map_err(|error| Error::path(path, error))?;
        self.shared.meta.apply(&made, item.stat, &attributes, path)
    }

    /// The kernel copies, and shares the blocks where the file system can.
    fn bytes(&mut self, from: BorrowedFd<'_>, to: &OwnedFd, size: u64, path: &str) -> Result<()> {
        while self.by_kernel {
            match rustix::fs::copy_file_range(from, None, to, None, STEP) {
                Ok(0) | Err(Errno::INVAL) => break,
                Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS) => self.by_kernel = false,
                Ok(_) => self.shared.cancel.check()?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(Error::path(path, error)),
            }
        }
        // whatever the kernel would not copy, or said was nothing (files of /proc)
        let mut come = 0;
        loop {
            let count = rustix::io::retry_on_intr(|| rustix::io::read(from, &mut self.buffer))
                .map_err(|error| Error::path(path, error))?;
            let mut left = &self.buffer[..count];
            while !left.is_empty() {
                let written = rustix::io::retry_on_intr(|| rustix::io::write(to, left))
                    .map_err(|error| Error::path(path, error))?;
                left = &left[written..];
            }
            come += count as u64;
            // the end is not asked for where it is known
            if count == 0 || come == size {
                return Ok(());
            }
        }
    }

    /// Unpacks an archive into the target. Says whether it was one.
    fn unpack(&self, found: &Found, decompress: Decompress<'_>) -> Result<bool> {
        let path = found.path.to_string_lossy();
        if kind(&found.stat) != FileType::RegularFile {
            return Ok(false);
        }
        let unread = |error: std::io::Error| Error::path(path.as_ref(), error);
        let open = || open_file(found.handle.as_fd()).map_err(|error| Error::path(path.as_ref(), error));
        let mut start = [0; tarball::BLOCK];
        let Ok(mut input) = decompress(Box::new(std::fs::File::from(open()?))) else {
            return Ok(false);
        };
        if !matches!(input.read_exact(&mut start), Ok(()) if tarball::is_tar_start(&start)) {
            return Ok(false);
        }
        let input = decompress(Box::new(std::fs::File::from(open()?))).map_err(unread)?;
        let directory = self.directory_of(&clean(&self.shared.meta.copy.target), None)?;
        let place = Path::new("/").join(clean(&self.shared.meta.copy.target));
        let options = Extract {
            shown: &self.shared.meta.copy.target,
            through: Through::Root(self.shared.target, &place),
            // as with Docker, `--chown` is not about what comes out of an archive
            owner: Owner::Archive,
            keep_kinds: false,
            ids: None,
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
