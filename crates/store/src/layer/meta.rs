//! Owner, mode, times and extended attributes.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::Context;
use tarball::{Entry, Time, show};

/// Owner, mode and time of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
}

impl Meta {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self { mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime }
    }

    pub(crate) fn uid(&self) -> Uid {
        Uid::from_raw(self.uid)
    }

    pub(crate) fn gid(&self) -> Gid {
        Gid::from_raw(self.gid)
    }

    pub(crate) fn times(&self) -> Timestamps {
        let time = Timespec { tv_sec: self.mtime.seconds, tv_nsec: self.mtime.nanos.into() };
        Timestamps { last_access: time, last_modification: time }
    }

    /// Sets all of it on an open file. Changing the owner clears set-id bits and capabilities, so the caller's
    /// extended attributes come between.
    pub(crate) fn apply(&self, fd: impl AsFd, xattrs: &[(Vec<u8>, Vec<u8>)], name: &[u8]) -> Result<()> {
        let fd = fd.as_fd();
        let what = |verb: &str| format!("{verb} {:?}", show(name));
        rustix::fs::fchown(fd, Some(self.uid()), Some(self.gid())).context(&what("set owner of"))?;
        for (key, value) in xattrs {
            set_xattr(fd, key, value, name)?;
        }
        rustix::fs::fchmod(fd, Mode::from_raw_mode(self.mode)).context(&what("set mode of"))?;
        rustix::fs::futimens(fd, &self.times()).context(&what("set time of"))
    }

    /// Sets it on a directory entry that can't be opened: a symbolic link, a device, a pipe.
    pub(crate) fn apply_at(
        &self,
        parent: impl AsFd,
        name: &[u8],
        xattrs: &[(Vec<u8>, Vec<u8>)],
        is_link: bool,
    ) -> Result<()> {
        let parent = parent.as_fd();
        let what = |verb: &str| format!("{verb} {:?}", show(name));
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(parent, name, Some(self.uid()), Some(self.gid()), nofollow)
            .context(&what("set owner of"))?;
        for (key, value) in xattrs {
            set_xattr_at(parent, name, key, value)?;
        }
        if !is_link {
            // Just made by us in a directory that only we write to: it is no link that could be followed.
            rustix::fs::chmodat(parent, name, Mode::from_raw_mode(self.mode), AtFlags::empty())
                .context(&what("set mode of"))?;
        }
        rustix::fs::utimensat(parent, name, &self.times(), nofollow).context(&what("set time of"))
    }
}

/// Sets an extended attribute of an open file.
pub(crate) fn set_xattr(fd: impl AsFd, key: &[u8], value: &[u8], name: &[u8]) -> Result<()> {
    let done = match CString::new(key) {
        Ok(key) => rustix::fs::fsetxattr(fd, &key, value, XattrFlags::empty()),
        Err(_) => Err(Errno::INVAL),
    };
    tolerate(done, key, name)
}

fn set_xattr_at(parent: impl AsFd, name: &[u8], key: &[u8], value: &[u8]) -> Result<()> {
    // `lsetxattr` has no directory-relative form before 6.13; the prefix is a link that only the kernel makes.
    let mut path = format!("/proc/self/fd/{}/", parent.as_fd().as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    let done = match (CString::new(path), CString::new(key)) {
        (Ok(path), Ok(key)) => rustix::fs::lsetxattr(&path, &key, value, XattrFlags::empty()),
        _ => Err(Errno::INVAL),
    };
    tolerate(done, key, name)
}

/// A file system without this kind of attribute is no reason to refuse an image (Docker does the same), nor is a user
/// namespace, whose root may not set `trusted` ones and others.
fn tolerate(done: rustix::io::Result<()>, key: &[u8], name: &[u8]) -> Result<()> {
    match done {
        Err(error) if error == Errno::OPNOTSUPP || (error == Errno::PERM && super::is_plain()) => {
            tracing::debug!(attribute = %show(key), name = %show(name), %error, "this attribute can't be kept here");
            Ok(())
        }
        done => done.context(&format!("set attribute {:?} of {:?}", show(key), show(name))),
    }
}
