//! What files take on the disk, as `du(1)` counts: allocated blocks, so that the holes of a sparse file are free and a
//! short file takes a whole block; a file of several names once; nothing beyond the file system that the walk began on.

use std::collections::HashSet;
use std::ffi::CStr;
use std::path::Path;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};

use crate::{Errno, Result};

/// Deepest directory that is walked: each level holds a descriptor. What lies deeper is not counted.
const DEEPEST: usize = 256;
/// Unit of `st_blocks` (`inode(7)`).
const BLOCK: u64 = 512;

/// Bytes of the blocks of `path` and all that is beneath; 0 when it is not there. Symbolic links are not followed.
///
/// # Errors
/// What `open(2)` and `getdents(2)` say.
pub fn of(path: &Path) -> Result<u64> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if is_directory(&stat) => Ok(blocks(&stat) + below(path)?),
        Ok(stat) => Ok(blocks(&stat)),
        Err(Errno::NOENT) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Bytes of the blocks of `path` alone: of a directory those of its list of names.
///
/// # Errors
/// As [`of`].
pub fn alone(path: &Path) -> Result<u64> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(blocks(&stat)),
        Err(Errno::NOENT) => Ok(0),
        Err(error) => Err(error),
    }
}

/// The same as [`of`] without the directory `path` itself.
///
/// # Errors
/// As [`of`].
pub fn below(path: &Path) -> Result<u64> {
    let Some(top) = open(CWD, path)? else { return Ok(0) };
    let device = rustix::fs::fstat(&top)?.st_dev;
    let mut seen = HashSet::new();
    let mut sum = 0;
    let mut levels = vec![Level::new(top)?];
    while let Some(level) = levels.last_mut() {
        let Some(entry) = level.entries.read() else {
            levels.pop();
            continue;
        };
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let Some(stat) = level.stat(name)? else { continue };
        if stat.st_dev != device {
            continue;
        }
        if stat.st_nlink == 1 || is_directory(&stat) || seen.insert(stat.st_ino) {
            sum += blocks(&stat);
        }
        if is_directory(&stat)
            && levels.len() < DEEPEST
            && let Some(fd) = levels.last().map_or(Ok(None), |level| open(level.fd.as_fd(), name))?
        {
            levels.push(Level::new(fd)?);
        }
    }
    Ok(sum)
}

/// An open directory on the way down.
struct Level {
    fd: OwnedFd,
    entries: Dir,
}

impl Level {
    fn new(fd: OwnedFd) -> Result<Self> {
        let entries = Dir::read_from(&fd)?;
        Ok(Self { fd, entries })
    }

    /// `None` = gone meanwhile.
    fn stat(&self, name: &CStr) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            other => other.map(Some),
        }
    }
}

fn open(at: BorrowedFd<'_>, name: impl rustix::path::Arg) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(at, name, flags, Mode::empty()) {
        // replaced or gone meanwhile
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        other => other.map(Some),
    }
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn blocks(stat: &Stat) -> u64 {
    stat.st_blocks.cast_unsigned() * BLOCK
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    #[test]
    fn links_count_once_and_holes_not() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(below(dir.path()).unwrap(), 0);
        let deep = dir.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        let directories = below(dir.path()).unwrap();
        fs::write(deep.join("file"), vec![1; 10_000]).unwrap();
        fs::hard_link(deep.join("file"), dir.path().join("again")).unwrap();
        fs::File::create(dir.path().join("sparse")).unwrap().set_len(1 << 30).unwrap();
        symlink("/", dir.path().join("link")).unwrap();
        let file = fs::metadata(deep.join("file")).unwrap().blocks() * BLOCK;
        let rest = below(dir.path()).unwrap() - directories;
        assert!(rest >= file && rest < file + 100_000, "{rest} {file}");
        let own = fs::metadata(dir.path()).unwrap().blocks() * BLOCK;
        assert_eq!(of(dir.path()).unwrap(), own + directories + rest);
        assert_eq!(alone(dir.path()).unwrap(), own);
        assert_eq!(of(&dir.path().join("nothing")).unwrap(), 0);
        assert_eq!(of(&dir.path().join("again")).unwrap(), file);
    }
}
