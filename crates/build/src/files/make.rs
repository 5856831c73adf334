//! Single files, directories and links; removals.

use std::io::Write as _;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use sys::path::Root;

use super::Ids;
use super::attributes::{gid_of, kind, uid_of};
use super::copy::{own, stamp};
use super::select::{clean, select};
use crate::graph::{Copy, MakeDir, MakeFile, Remove, Symlink};
use crate::{Error, Result};

/// Makes a directory and what is missing above it, all of them with this mode and owner.
pub(super) fn parents(
    root: &Root,
    path: &Path,
    mode: u32,
    owner: Option<Ids>,
    timestamp: Option<i64>,
) -> Result<()> {
    // links on the way are followed as in the tree, and may lead to what is not there
    let path = root.evaluate(path).map_err(|error| Error::path(path.to_string_lossy(), error))?;
    let mut done = PathBuf::new();
    for name in path.components().skip(1) {
        done.push(name);
        let failed = |error: Errno| match error {
            Errno::NOTDIR => Error::path(done.to_string_lossy(), "is not a directory"),
            error => Error::path(done.to_string_lossy(), error),
        };
        let (parent, name) = root.parent(&done).map_err(failed)?;
        match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(mode)) {
            Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(error)),
            Ok(()) => {
                let name = name.as_bytes();
                own(parent.as_fd(), name, owner.unwrap_or((0, 0))).map_err(failed)?;
                // the mask of the process may have taken bits away
                rustix::fs::chmodat(&parent, name, Mode::from_raw_mode(mode), AtFlags::empty())
                    .map_err(failed)?;
                timestamp.map_or(Ok(()), |time| stamp(parent.as_fd(), name, time)).map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// Makes a directory.
///
/// # Errors
/// Something is in the way, or its parent is missing and not to be made.
pub fn make_dir(root: &Root, make: &MakeDir, owner: Option<Ids>) -> Result<()> {
    let path = clean(&make.path);
    if make.make_parents {
        parents(root, &path, make.mode, owner, make.timestamp)?;
        let stat = root.stat(&path).map_err(|error| Error::path(&make.path, error))?;
        return match kind(&stat) {
            FileType::Directory => Ok(()),
            _ => Err(Error::path(&make.path, "is not a directory")),
        };
    }
    let failed = |error: Errno| Error::path(&make.path, error);
    let (parent, name) = root.parent(&path).map_err(failed)?;
    rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(make.mode)).map_err(failed)?;
    let name = name.as_bytes();
    own(parent.as_fd(), name, owner.unwrap_or((0, 0))).map_err(failed)?;
    rustix::fs::chmodat(&parent, name, Mode::from_raw_mode(make.mode), AtFlags::empty()).map_err(failed)?;
    make.timestamp.map_or(Ok(()), |time| stamp(parent.as_fd(), name, time)).map_err(failed)
}

/// Writes a file in place of one that is there.
///
/// # Errors
/// A directory is in the way, or its parent is missing.
pub fn make_file(root: &Root, make: &MakeFile, owner: Option<Ids>) -> Result<()> {
    let failed = |error: Errno| Error::path(&make.path, error);
    let path = clean(&make.path);
    let (parent, name) = root.parent(&path).map_err(failed)?;
    match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(Errno::ISDIR) => return Err(Error::path(&make.path, "is a directory")),
        Err(error) => return Err(failed(error)),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o600)).map_err(failed)?;
    let mut file = std::fs::File::from(file);
    file.write_all(&make.data).map_err(|error| Error::path(&make.path, error))?;
    let (uid, gid) = owner.unwrap_or((0, 0));
    rustix::fs::fchown(&file, Some(uid_of(uid)), Some(gid_of(gid))).map_err(failed)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(make.mode)).map_err(failed)?;
    make.timestamp.map_or(Ok(()), |time| stamp(parent.as_fd(), name.as_bytes(), time)).map_err(failed)
}

/// Makes a symbolic link in place of whatever is there and is no directory.
///
/// # Errors
/// A directory is in the way, or its parent is missing.
pub fn symlink(root: &Root, link: &Symlink, owner: Option<Ids>) -> Result<()> {
    let failed = |error: Errno| Error::path(&link.path, error);
    let path = clean(&link.path);
    let (parent, name) = root.parent(&path).map_err(failed)?;
    match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(failed(error)),
    }
    rustix::fs::symlinkat(&link.target, &parent, name).map_err(failed)?;
    own(parent.as_fd(), name.as_bytes(), owner.unwrap_or((0, 0))).map_err(failed)?;
    link.timestamp.map_or(Ok(()), |time| stamp(parent.as_fd(), name.as_bytes(), time)).map_err(failed)
}

/// Removes what a path or a pattern means, with everything beneath.
///
/// # Errors
/// There is nothing, and that is not allowed.
pub fn remove(root: &Root, remove: &Remove) -> Result<()> {
    let meant = Copy {
        source: remove.path.clone(),
        wildcard: remove.wildcard,
        empty_wildcard: remove.allow_not_found,
        ..Copy::default()
    };
    let found = match select(root, &meant) {
        Err(Error::Missing { .. }) if remove.allow_not_found => return Ok(()),
        found => found?,
    };
    for one in found {
        root.remove_all(&one.path).map_err(|error| Error::path(one.path.to_string_lossy(), error))?;
    }
    Ok(())
}
