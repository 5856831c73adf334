//! The working directory. It must be one of the container: no magic link (`/proc/self/fd/N`) may lead to it, and after
//! the change the kernel must call it reachable.

use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use sys::Errno;
use sys::path::Root;

use crate::error::{Context, Error, Result};

const STEP: &str = "chdir to cwd";

/// Makes it, when the image lacks it.
pub(super) fn create(cwd: &Path, root: &Root) -> Result<()> {
    match root.mkdir_all(cwd, 0o755) {
        // a magic link or the like: entering it says so
        Ok(_) | Err(Errno::LOOP | Errno::NOTDIR | Errno::ROFS | Errno::ACCESS | Errno::PERM) => Ok(()),
        Err(e) => Err(e).step(STEP, cwd.display()),
    }
}

/// Enters it; false when only the final user may.
pub(super) fn enter_as_root(cwd: &Path) -> Result<bool> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat2(CWD, cwd, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        Ok(fd) => rustix::process::fchdir(fd).step(STEP, cwd.display())?,
        Err(Errno::ACCESS) => return Ok(false),
        Err(e) => return Err(e).step(STEP, cwd.display()),
    }
    check(cwd)?;
    Ok(true)
}

/// Enters it as the final user, who may be the only one with the right to.
pub(super) fn enter_as_user(cwd: &Path) -> Result<()> {
    rustix::process::chdir(cwd).step(STEP, cwd.display())?;
    check(cwd)
}

/// A directory outside of the container has no path: the kernel says `(unreachable)`, or `ENOENT`.
fn check(cwd: &Path) -> Result<()> {
    let outside = || Error::text(STEP, format!("{}: is not inside the container", cwd.display()));
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.as_bytes().first() == Some(&b'/') => Ok(()),
        _ => Err(outside()),
    }
}
