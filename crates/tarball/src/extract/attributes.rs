//! Owner, mode, times and extended attributes of what was unpacked. What can't be opened is reached by a handle
//! of its own that was looked at first, never by its name, which may mean something else by now.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use sys::idmap::{self, Range};

use super::{Owner, What, kind};
use crate::{Error, Result, Time, show};

const LABEL: &[u8] = sys::selinux::ATTRIBUTE.as_bytes();

/// Attributes that belong to overlayfs, and SELinux's label, which is a file's by its place on this host: an archive has
/// no business with them.
#[must_use]
pub fn is_reserved(key: &[u8]) -> bool {
    key.starts_with(b"trusted.overlay.") || key.starts_with(b"user.overlay.") || key == LABEL
}

pub(super) fn times(time: Time) -> Timestamps {
    let time = Timespec { tv_sec: time.seconds, tv_nsec: time.nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}

fn ids(what: &What<'_>, owner: Owner) -> Result<Option<(Uid, Gid)>> {
    let (uid, gid) = match owner {
        Owner::Archive => (what.entry.uid, what.entry.gid),
        Owner::Fixed(uid, gid) => (uid, gid),
        Owner::Caller => return Ok(None),
    };
    let outward = |ranges: &[Range], kind: &str, id: u32| {
        let none = || Error::entry(&what.entry.name, format!("its {kind} {id} has no id on the host"));
        idmap::outward(ranges, id).ok_or_else(none)
    };
    let (uid, gid) = match what.ids {
        Some(map) => (outward(&map.uids, "user", uid)?, outward(&map.gids, "group", gid)?),
        None => (uid, gid),
    };
    Ok(Some((Uid::from_raw(uid), Gid::from_raw(gid))))
}

/// Of a file or directory, but for the time. A change of the owner clears set-id bits and capabilities, so these
/// come later.
pub(super) fn of_open(file: &OwnedFd, what: &What<'_>, owner: Owner) -> Result<()> {
    if let Some((uid, gid)) = ids(what, owner)? {
        rustix::fs::fchown(file, Some(uid), Some(gid)).map_err(|error| what.failed("lchown", error))?;
    }
    for (key, value) in what.entry.xattrs.iter().filter(|(key, _)| !is_reserved(key)) {
        let done = rustix::fs::fsetxattr(file, &key[..], value, XattrFlags::empty());
        tolerate(done, key, what, owner)?;
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(what.entry.mode))
        .map_err(|error| what.failed("chmod", error))
}

pub(super) fn time_of_open(file: &OwnedFd, what: &What<'_>) -> Result<()> {
    rustix::fs::futimens(file, &times(what.entry.mtime))
        .map_err(|error| what.failed("set the time of", error))
}

/// Of a symbolic link, none of these calls follows the last name.
pub(super) fn of_link(what: &What<'_>, owner: Owner) -> Result<()> {
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    if let Some((uid, gid)) = ids(what, owner)? {
        rustix::fs::chownat(what.up, what.name, Some(uid), Some(gid), nofollow)
            .map_err(|error| what.failed("lchown", error))?;
    }
    for (key, value) in what.entry.xattrs.iter().filter(|(key, _)| !is_reserved(key)) {
        let path = [format!("/proc/self/fd/{}/", what.up.as_raw_fd()).as_bytes(), what.name].concat();
        tolerate(rustix::fs::lsetxattr(&path[..], &key[..], value, XattrFlags::empty()), key, what, owner)?;
    }
    rustix::fs::utimensat(what.up, what.name, &times(what.entry.mtime), nofollow)
        .map_err(|error| what.failed("set the time of", error))
}

/// Of a device or pipe.
pub(super) fn of_node(what: &What<'_>, made: FileType, owner: Owner) -> Result<()> {
    let failed = |error| what.failed("open", error);
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(what.up, what.name, flags, Mode::empty()).map_err(failed)?;
    if kind(&rustix::fs::fstat(&handle).map_err(failed)?) != made {
        return Err(Error::entry(&what.entry.name, "was replaced while it was made"));
    }
    let empty = AtFlags::EMPTY_PATH;
    if let Some((uid, gid)) = ids(what, owner)? {
        rustix::fs::chownat(&handle, "", Some(uid), Some(gid), empty)
            .map_err(|error| what.failed("lchown", error))?;
    }
    // our own descriptor's magic link: exactly this inode
    let path = sys::fd::proc_path(handle.as_fd());
    for (key, value) in what.entry.xattrs.iter().filter(|(key, _)| !is_reserved(key)) {
        tolerate(rustix::fs::setxattr(&*path, &key[..], value, XattrFlags::empty()), key, what, owner)?;
    }
    rustix::fs::chmod(&*path, Mode::from_raw_mode(what.entry.mode))
        .map_err(|error| what.failed("chmod", error))?;
    rustix::fs::utimensat(rustix::fs::CWD, &*path, &times(what.entry.mtime), AtFlags::empty())
        .map_err(|error| what.failed("set the time of", error))
}

/// A file system without this kind of attribute, or a user who may not set it, is no reason to refuse a file.
fn tolerate(done: Result<(), Errno>, key: &[u8], what: &What<'_>, owner: Owner) -> Result<()> {
    match done {
        Err(Errno::OPNOTSUPP) => Ok(()),
        Err(Errno::PERM | Errno::ACCESS) if owner == Owner::Caller => Ok(()),
        done => done.map_err(|error| what.failed(&format!("set attribute {:?} of", show(key)), error)),
    }
}
