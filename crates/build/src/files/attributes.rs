//! Owner, mode, attributes and times of what a copy makes, and the same as bytes for a digest.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, Stat, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use super::Ids;
use crate::graph::Copy;
use crate::{Error, Result};

/// The kernel's limits on a list of names of attributes, and on a value.
const MAX_XATTR: usize = 64 << 10;

/// Names and values of extended attributes.
pub(super) type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// All attributes of an open file that a layer would keep, sorted by name.
pub(super) fn xattrs(file: BorrowedFd<'_>) -> Result<Attributes, Errno> {
    let length = match rustix::fs::flistxattr(file, &mut [0_u8; 0][..]) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Ok(length) => length.min(MAX_XATTR),
        Err(error) => return Err(error),
    };
    let mut list = vec![0; length];
    let length = rustix::fs::flistxattr(file, &mut list[..])?;
    let mut value = vec![0; MAX_XATTR];
    let mut found = Vec::new();
    let keys = list[..length].split(|&byte| byte == 0).filter(|key| !key.is_empty());
    for key in keys.filter(|key| !tarball::is_reserved(key)) {
        match rustix::fs::fgetxattr(file, key, &mut value[..]) {
            Ok(length) => found.push((key.to_vec(), value[..length].to_vec())),
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error),
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// What a copy makes of an original's owner, mode and time.
#[derive(Clone, Copy)]
pub(super) struct Meta<'a> {
    pub(super) copy: &'a Copy,
    /// Whose the copies become, `None` for the originals'.
    pub(super) owner: Option<Ids>,
}

impl Meta<'_> {
    fn ids(&self, stat: &Stat) -> Ids {
        self.owner.unwrap_or((stat.st_uid, stat.st_gid))
    }

    pub(super) fn mode(&self, stat: &Stat) -> Result<u32> {
        let old = stat.st_mode & 0o7777;
        match &self.copy.mode {
            Some(text) => super::mode::apply(text, old, kind(stat) == FileType::Directory),
            None => Ok(old),
        }
    }

    fn times(&self, stat: &Stat) -> Timestamps {
        let original = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec.cast_signed() };
        let time = self.copy.timestamp.map_or(original, |nanos| Timespec {
            tv_sec: nanos.div_euclid(1_000_000_000),
            tv_nsec: nanos.rem_euclid(1_000_000_000),
        });
        Timestamps { last_access: time, last_modification: time }
    }

    /// Gives an open copy all of it. The owner first: the kernel takes bits and capabilities away with it.
    pub(super) fn apply(&self, copy: impl AsFd, stat: &Stat, xattrs: &Attributes, path: &str) -> Result<()> {
        let failed = |error: Errno| Error::path(path, error);
        let copy = copy.as_fd();
        let mode = self.mode(stat)?;
        // what it has already is not set again: a look costs a fraction of a change, on an overlay above all
        let made = rustix::fs::fstat(copy).map_err(failed)?;
        let owned = self.ids(stat) == (made.st_uid, made.st_gid);
        if !owned {
            let (uid, gid) = self.ids(stat);
            rustix::fs::fchown(copy, Some(uid_of(uid)), Some(gid_of(gid))).map_err(failed)?;
        }
        for (key, value) in xattrs {
            match rustix::fs::fsetxattr(copy, key.as_slice(), value, XattrFlags::empty()) {
                Err(Errno::OPNOTSUPP) | Ok(()) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        if !owned || !xattrs.is_empty() || made.st_mode & 0o7777 != mode {
            rustix::fs::fchmod(copy, Mode::from_raw_mode(mode)).map_err(failed)?;
        }
        rustix::fs::futimens(copy, &self.times(stat)).map_err(failed)
    }

    /// The same for what is not opened: links, devices, pipes.
    pub(super) fn apply_at(&self, dir: BorrowedFd<'_>, name: &[u8], stat: &Stat, path: &str) -> Result<()> {
        let failed = |error: Errno| Error::path(path, error);
        let (uid, gid) = self.ids(stat);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(dir, name, Some(uid_of(uid)), Some(gid_of(gid)), flags).map_err(failed)?;
        if kind(stat) != FileType::Symlink {
            // just made here, and no link
            let mode = Mode::from_raw_mode(self.mode(stat)?);
            rustix::fs::chmodat(dir, name, mode, AtFlags::empty()).map_err(failed)?;
        }
        rustix::fs::utimensat(dir, name, &self.times(stat), flags).map_err(failed)
    }
}

pub(super) fn uid_of(id: u32) -> rustix::fs::Uid {
    rustix::fs::Uid::from_raw(id)
}

pub(super) fn gid_of(id: u32) -> rustix::fs::Gid {
    rustix::fs::Gid::from_raw(id)
}
