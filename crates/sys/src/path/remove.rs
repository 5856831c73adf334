//! Removing a tree by descriptors. Not recursive in this process's stack, whatever the depth.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};

use crate::{Errno, Result};

/// One directory on the way down: its handle and the name it has in the one above.
struct Level {
    fd: OwnedFd,
    name: CString,
}

/// Removes `name` in `parent` and everything beneath; calls `between` before each entry of a directory.
pub(super) fn remove_all(parent: BorrowedFd<'_>, name: &OsStr, between: &mut dyn FnMut()) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let name = CString::new(name.as_bytes()).or(Err(Errno::INVAL))?;
    let mut levels: Vec<Level> = Vec::new();
    match remove_or_enter(parent, &name)? {
        None => return Ok(()),
        Some(fd) => levels.push(Level { fd, name }),
    }
    while let Some(level) = levels.last() {
        if let Some((fd, name)) = empty_until_directory(level.fd.as_fd(), between)? {
            levels.push(Level { fd, name });
            continue;
        }
        let Some(level) = levels.pop() else { break };
        let above = levels.last().map_or(parent, |l| l.fd.as_fd());
        match rustix::fs::unlinkat(above, &level.name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Removes what isn't a directory (or is gone); opens what is.
fn remove_or_enter(parent: BorrowedFd<'_>, name: &CString) -> Result<Option<OwnedFd>> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(None),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Removes the entries of a directory up to the first one that is itself a directory with entries.
fn empty_until_directory(
    directory: BorrowedFd<'_>,
    between: &mut dyn FnMut(),
) -> Result<Option<(OwnedFd, CString)>> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        between();
        if entry.file_type().is_dir() {
            match rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(_) => {} // not empty, or busy: going in tells
            }
        }
        if let Some(fd) = remove_or_enter(directory, &name.to_owned())? {
            return Ok(Some((fd, name.to_owned())));
        }
    }
    Ok(None)
}
