//! What lies beneath a directory, one name at a time and through no link.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::attributes::kind;
use crate::graph::Copy;
use crate::{Error, Result};

/// A thing in an open directory.
pub(super) struct Item<'a> {
    /// Its name in the directory that it is in.
    pub(super) name: &'a [u8],
    /// The thing itself.
    pub(super) handle: BorrowedFd<'a>,
    pub(super) stat: &'a Stat,
    /// The handle is of a regular file, for reading, and at its start; otherwise it is one by which nothing can be read
    /// (`O_PATH`).
    pub(super) is_open: bool,
}

/// A regular file that is open for reading.
pub(super) enum Opened<'a> {
    Lent(BorrowedFd<'a>),
    Own(OwnedFd),
}

impl AsFd for Opened<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Lent(file) => *file,
            Self::Own(file) => file.as_fd(),
        }
    }
}

/// Opens what a directory has under a name; `None` for what is gone.
pub(super) fn look(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Option<(OwnedFd, Stat)>, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?,
    };
    let stat = rustix::fs::fstat(&handle)?;
    Ok(Some((handle, stat)))
}

/// A directory that is known by its handle, for reading.
pub(super) fn open_dir(handle: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(handle, ".", flags, Mode::empty())
}

/// A regular file that is known by its handle, for reading.
pub(super) fn open_file(handle: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    // our own descriptor's magic link: exactly this inode
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(sys::fd::proc_path(handle), flags, Mode::empty())
}

/// A file that the directory says is a regular one, opened without a look at it first: a handle and another open file
/// for each of thousands are what a walk's time goes into. `None` for what is something else after all, or can't be
/// read.
fn open_at_once(dir: BorrowedFd<'_>, name: &[u8]) -> Option<(OwnedFd, Stat)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, name, flags, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&file).ok()?;
    (kind(&stat) == FileType::RegularFile).then_some((file, stat))
}

/// What of a directory's contents counts.
pub(super) struct Filter {
    include: Option<dockerfile::ignore::Patterns>,
    exclude: Option<dockerfile::ignore::Patterns>,
}

impl Filter {
    pub(super) fn of(copy: &Copy) -> Result<Self> {
        let parse = |list: &[String]| match list {
            [] => Ok(None),
            list => dockerfile::ignore::Patterns::new(list.iter().map(String::as_str))
                .map(Some)
                .map_err(|error| Error::Invalid(error.to_string())),
        };
        Ok(Self { include: parse(&copy.include)?, exclude: parse(&copy.exclude)? })
    }

    /// Whether a path of the tree counts.
    pub(super) fn takes(&self, path: &str) -> bool {
        self.include.as_ref().is_none_or(|patterns| patterns.matches(path))
            && !self.exclude.as_ref().is_some_and(|patterns| patterns.matches(path))
    }

    /// Whether everything does.
    pub(super) fn takes_all(&self) -> bool {
        self.include.is_none() && self.exclude.is_none()
    }
}

/// Calls for everything in an open directory, in the order of names; not for what is deeper. Paths are relative to the
/// tree, and are given with each thing.
pub(super) fn each(
    dir: &OwnedFd,
    path: &str,
    call: &mut dyn FnMut(&Item<'_>, &str) -> Result<()>,
) -> Result<()> {
    for (name, said) in tarball::listed(dir).map_err(|error| Error::path(path, error))? {
        let shown = String::from_utf8_lossy(&name);
        let below = if path.is_empty() { shown.into_owned() } else { format!("{path}/{shown}") };
        let opened = if said == FileType::RegularFile { open_at_once(dir.as_fd(), &name) } else { None };
        let is_open = opened.is_some();
        let found = match opened {
            Some(opened) => Some(opened),
            None => look(dir.as_fd(), &name).map_err(|error| Error::path(&below, error))?,
        };
        let Some((handle, stat)) = found else { continue };
        call(&Item { name: &name, handle: handle.as_fd(), stat: &stat, is_open }, &below)?;
    }
    Ok(())
}

impl<'a> Item<'a> {
    pub(super) fn kind(&self) -> FileType {
        kind(self.stat)
    }

    /// A regular file, for reading once.
    pub(super) fn file(&self) -> Result<Opened<'a>, Errno> {
        if self.is_open { Ok(Opened::Lent(self.handle)) } else { open_file(self.handle).map(Opened::Own) }
    }
}
