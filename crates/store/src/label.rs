//! SELinux's labels of trees on the disk. Mounts say their files' label themselves; but the kernel asks for that of the
//! layer's file, too, where a program maps it into its memory (`mprotect(2)` of a file on overlayfs).

use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use crate::error::Context;
use crate::{Error, Result, Store};

/// Labels a directory with all that is in it, unless its own label says that this was done: it is the last that is set,
/// and what is made in it later inherits its type.
pub(crate) fn once(directory: &Path, label: &str) -> Result<()> {
    let dir = open(directory)?;
    match sys::selinux::label_of(&dir) {
        Ok(Some(own)) if own == label => Ok(()),
        Err(errno) => Err(refused(directory, errno)),
        Ok(_) => sys::selinux::relabel(dir.as_fd(), label).map_err(|errno| refused(directory, errno)),
    }
}

/// The same whatever its label.
pub(crate) fn always(directory: &Path, label: &str) -> Result<()> {
    sys::selinux::relabel(open(directory)?.as_fd(), label).map_err(|errno| refused(directory, errno))
}

fn open(directory: &Path) -> Result<std::os::fd::OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, directory, flags, Mode::empty()).at("open", directory)
}

fn refused(directory: &Path, errno: sys::Errno) -> Error {
    Error::io(format!("label {}", directory.display()), errno)
}

impl Store {
    /// Everything in here gets this label of SELinux's, once, and so does what comes: files that all containers may read
    /// and execute. A store on a file system without labels needs none.
    ///
    /// # Errors
    /// The policy's refusal.
    pub fn label(&self, label: &str) -> Result<()> {
        let inner = self.inner();
        let dir = open(inner.layout.dir())?;
        if sys::selinux::label_of(&dir).map_err(|errno| refused(inner.layout.dir(), errno))?.is_none() {
            return Ok(());
        }
        once(inner.layout.dir(), label)?;
        // it is told once, when the store is opened
        let _ = inner.label.set(label.to_owned());
        Ok(())
    }
}
