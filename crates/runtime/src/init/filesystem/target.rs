//! Where a mount goes: found, or made, beneath the container's root by descriptor (`openat2`, `RESOLVE_IN_ROOT`).
//! What the image says about symlinks can lead elsewhere in the container, never out of it.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use sys::Errno;
use sys::path::Root;

use crate::error::{Context, Error, Result};

/// A directory to mount on.
pub(super) fn directory(root: &Root, path: &Path) -> Result<OwnedFd> {
    root.mkdir_all(path, 0o755).step("mount target", path.display())
}

/// Makes the directory for a tmpfs where nothing is there, with the mode that a tmpfs has by itself; whether it did.
pub(super) fn new_scratch(root: &Root, path: &Path) -> Result<bool> {
    match root.handle(path) {
        Err(Errno::NOENT) => {}
        // whatever else is wrong with it is told when it is used
        _ => return Ok(false),
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    root.mkdir_all(parent, 0o755).step("mount target", parent.display())?;
    match root.mkdir(path, 0o1777) {
        Ok(()) => Ok(true),
        // a dangling symlink
        Err(Errno::EXIST) => Ok(false),
        Err(errno) => Err(Error::errno("mount target", path.display(), errno)),
    }
}

/// A directory to mount procfs or sysfs on: no symlink on the way, because masks and sysctls count on its place.
pub(super) fn plain_directory(root: &Root, path: &Path) -> Result<OwnedFd> {
    let again = sys::fd::dup_above(root, 3).step("mount target", path.display())?;
    let made = Root::strict(again).mkdir_all(path.strip_prefix("/").unwrap_or(path), 0o755);
    made.map_err(|errno| match errno {
        Errno::LOOP | Errno::NOTDIR => {
            Error::invalid("mount target", format!("{}: must be an ordinary directory", path.display()))
        }
        other => Error::errno("mount target", path.display(), other),
    })
}

/// Something other than a directory to mount on; an empty file is made when nothing is there.
pub(super) fn file(root: &Root, path: &Path) -> Result<OwnedFd> {
    let opened = match root.handle(path) {
        Err(Errno::NOENT) => {
            let parent = path.parent().unwrap_or(Path::new("/"));
            root.mkdir_all(parent, 0o755).step("mount target", parent.display())?;
            // O_EXCL is not set: a dangling symlink's target is made, inside the root
            let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK;
            root.open(path, flags, Mode::from_raw_mode(0o644)).and_then(|_| root.handle(path))
        }
        other => other,
    };
    let fd = opened.step("mount target", path.display())?;
    let stat = rustix::fs::fstat(&fd).step("mount target", path.display())?;
    if FileType::from_raw_mode(stat.st_mode).is_dir() {
        return Err(Error::text(
            "mount target",
            format!("{}: not a directory: a file can't be mounted onto a directory", path.display()),
        ));
    }
    Ok(fd)
}
