//! A tree of files gets one label. Everything is reached by descriptors, and no symlink is followed: whoever may write
//! in the tree can't make a file outside of it be labelled.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Dir, FileType, Mode, OFlags};

use crate::{Errno, Result};

/// Directories deep that are gone into: each is an open descriptor.
const MOST_DEPTH: usize = 256;

/// Labels an open file or directory (`O_PATH` will do) and everything beneath, mounts too. A directory's own label comes
/// after those of what it holds, so that one that is right says that the work was done. Files that go in the meantime
/// are left out, and so is what lies on file systems without labels; but if the first does, that is told.
///
/// # Errors
/// `EOPNOTSUPP` where the file system of `top` keeps no labels; `ENAMETOOLONG`: directories lie too deep.
pub fn relabel(top: BorrowedFd<'_>, label: &str) -> Result<()> {
    beneath(top, label, 0)?;
    super::label(top, label)
}

fn beneath(directory: BorrowedFd<'_>, label: &str, depth: usize) -> Result<()> {
    if !FileType::from_raw_mode(rustix::fs::fstat(directory)?.st_mode).is_dir() {
        return Ok(());
    }
    if depth > MOST_DEPTH {
        return Err(Errno::NAMETOOLONG);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = rustix::fs::openat(directory, c".", flags, Mode::empty())?;
    for entry in Dir::read_from(&open)? {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        let Some(file) = handle(open.as_fd(), entry.file_name())? else { continue };
        match beneath(file.as_fd(), label, depth + 1).and_then(|()| super::label(&file, label)) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOENT | Errno::STALE) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The entry itself; `None` if it has gone.
fn handle(directory: BorrowedFd<'_>, name: &CStr) -> Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{is_enabled, label_of};
    use super::*;

    #[test]
    fn a_tree_is_labelled_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["outside", "tree", "tree/a", "tree/a/b"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("outside/file"), "").unwrap();
        std::fs::write(at("tree/a/file"), "").unwrap();
        std::os::unix::fs::symlink(at("outside"), at("tree/a/b/out")).unwrap();
        let open =
            |name: &str| rustix::fs::open(at(name), OFlags::PATH | OFlags::NOFOLLOW, Mode::empty()).unwrap();
        // with the module a label that the policy knows: that of the place itself
        let label = match is_enabled() {
            true => label_of(open("tree")).unwrap().unwrap_or_default(),
            false => "a:b:c:s0:c1,c2".to_owned(),
        };
        match relabel(open("tree").as_fd(), &label) {
            Err(Errno::OPNOTSUPP | Errno::PERM) => return,
            done => done.unwrap(),
        }
        for name in ["tree", "tree/a", "tree/a/b", "tree/a/file", "tree/a/b/out"] {
            assert_eq!(label_of(open(name)).unwrap().as_deref(), Some(label.as_str()), "{name}");
        }
        if !is_enabled() {
            assert_eq!(label_of(open("outside")).unwrap(), None);
            assert_eq!(label_of(open("outside/file")).unwrap(), None);
        }
    }
}
