//! A tmpfs that starts as what it covers: the directory's mode and owner, and with `tmpcopyup` its content.
//! Everything goes by descriptors; symlinks are copied, not followed.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};

/// Deepest directory that is copied.
const MAX_DEPTH: usize = 128;

/// Gives the root of the tmpfs the mode of the directory that it will cover.
pub(super) fn mode(covered: &OwnedFd, tmpfs: &OwnedFd) -> Result<(), sys::Errno> {
    let stat = rustix::fs::fstat(covered)?;
    let own =
        rustix::fs::openat(tmpfs, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::fchmod(own, Mode::from_raw_mode(stat.st_mode & 0o7777))
}

/// Copies the content of the covered directory.
pub(super) fn content(covered: &OwnedFd, tmpfs: &OwnedFd) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut todo = vec![(
        rustix::fs::openat(covered, ".", flags, Mode::empty())?,
        rustix::fs::openat(tmpfs, ".", flags, Mode::empty())?,
        0,
    )];
    while let Some((from, to, depth)) = todo.pop() {
        if depth > MAX_DEPTH {
            return Err(io::Error::other("the directories are too deep"));
        }
        for entry in Dir::read_from(&from)? {
            let entry = entry?;
            let name = entry.file_name().to_owned();
            if name.as_bytes() == b"." || name.as_bytes() == b".." {
                continue;
            }
            if let Some((from, to)) = copy(from.as_fd(), to.as_fd(), &name)? {
                todo.push((from, to, depth + 1));
            }
        }
    }
    Ok(())
}

/// Copies one entry; directories come back to be gone into.
fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CString) -> io::Result<Option<(OwnedFd, OwnedFd)>> {
    let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut inside = None;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, mode)?;
            let open = |dir| {
                rustix::fs::openat(dir, name, flags | OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
            };
            inside = Some((open(from)?, open(to)?));
        }
        FileType::RegularFile => {
            let source = rustix::fs::openat(from, name, flags | OFlags::RDONLY, Mode::empty())?;
            let create = flags | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            let target = rustix::fs::openat(to, name, create, mode)?;
            io::copy(&mut std::fs::File::from(source), &mut std::fs::File::from(target))?;
        }
        FileType::Symlink => {
            let text = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(text, to, name)?;
        }
        kind => rustix::fs::mknodat(to, name, kind, mode, stat.st_rdev)?,
    }
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if !FileType::from_raw_mode(stat.st_mode).is_symlink() {
        // a change of owner clears the set-id bits
        rustix::fs::chmodat(to, name, mode, AtFlags::empty())?;
    }
    Ok(inside)
}
