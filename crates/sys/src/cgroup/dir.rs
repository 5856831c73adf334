//! One cgroup directory, held by fd, and its control files.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::kept::Kept;
use super::{Error, Result};

/// Largest control file that is read; `cgroup.procs` of 100,000 processes fits.
const READ_MAX: usize = 4 << 20;
/// Deepest nesting of sub-cgroups that is walked.
const DEPTH_MAX: usize = 64;

/// A directory of a hierarchy.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
    /// Files that stay open, when it is read again and again.
    kept: Option<Kept>,
}

impl Dir {
    /// Opens an existing directory.
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match rustix::fs::openat(CWD, &path, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path, kept: None }),
            Err(errno) => Err(Error::io("open", &path, errno)),
        }
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// From now on a file that was read stays open for the next read.
    pub(crate) fn keep_open(&mut self) {
        self.kept.get_or_insert_default();
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Does the directory have this file?
    pub(crate) fn has(&self, file: &str) -> bool {
        rustix::fs::accessat(&self.fd, file, rustix::fs::Access::EXISTS, AtFlags::empty()).is_ok()
    }

    pub(crate) fn open_file(&self, file: &str, flags: OFlags) -> Result<OwnedFd> {
        rustix::fs::openat(&self.fd, file, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
            .map_err(|errno| Error::io("open", &self.path.join(file), errno))
    }

    /// Writes one value with one `write(2)`, as control files demand.
    pub(crate) fn write(&self, file: &str, value: impl Display) -> Result<()> {
        let value = value.to_string();
        let fail = |errno| Error::write(self.path.join(file), &value, errno);
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::openat(&self.fd, file, flags, Mode::empty()).map_err(fail)?;
        rustix::io::retry_on_intr(|| rustix::io::write(&fd, value.as_bytes())).map_err(fail)?;
        Ok(())
    }

    /// Writes the value when there is one.
    pub(crate) fn write_some(&self, file: &str, value: Option<impl Display>) -> Result<()> {
        value.map_or(Ok(()), |value| self.write(file, value))
    }

    pub(crate) fn read(&self, file: &str) -> Result<String> {
        let open = || self.open_file(file, OFlags::RDONLY);
        let text = match &self.kept {
            Some(kept) => kept.read(file, open)?,
            None => read_all(&open()?),
        };
        text.map_err(|errno| Error::io("read", &self.path.join(file), errno))
    }

    /// The text of a file, `None` when the kernel doesn't have that file.
    pub(crate) fn read_if_any(&self, file: &str) -> Result<Option<String>> {
        match self.read(file) {
            Ok(text) => Ok(Some(text)),
            Err(err) if matches!(err.errno(), Some(Errno::NOENT | Errno::NODEV | Errno::OPNOTSUPP)) => {
                Ok(None)
            }
            Err(err) => Err(err),
        }
    }

    /// A file that holds one number; `max` reads as `u64::MAX`, a missing file as `None`.
    pub(crate) fn number(&self, file: &str) -> Result<Option<u64>> {
        let Some(text) = self.read_if_any(file)? else { return Ok(None) };
        match text.trim_end() {
            "max" => Ok(Some(u64::MAX)),
            digits => digits.parse().map(Some).map_err(|_err| Error::parse(self.path.join(file), &text)),
        }
    }

    /// The pids in `cgroup.procs`, this directory's alone.
    pub(crate) fn procs(&self) -> Result<Vec<i32>> {
        let text = self.read("cgroup.procs")?;
        let path = || self.path.join("cgroup.procs");
        text.lines().map(|line| line.parse().map_err(|_err| Error::parse(path(), line))).collect()
    }

    /// The names of the sub-cgroups.
    pub(crate) fn children(&self) -> Result<Vec<String>> {
        let fail = |errno| Error::io("list", &self.path, errno);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy();
            if entry.file_type() == rustix::fs::FileType::Directory && name != "." && name != ".." {
                names.push(name.into_owned());
            }
        }
        Ok(names)
    }

    pub(crate) fn child(&self, name: &str) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let path = self.path.join(name);
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path, kept: None }),
            Err(errno) => Err(Error::io("open", &path, errno)),
        }
    }

    /// Calls `visit` on every directory below and then on this one; those that vanish meanwhile are
    /// left out.
    pub(crate) fn walk(&self, visit: &mut dyn FnMut(&Self) -> Result<()>) -> Result<()> {
        self.walk_level(visit, 0)
    }

    fn walk_level(&self, visit: &mut dyn FnMut(&Self) -> Result<()>, depth: usize) -> Result<()> {
        if depth > DEPTH_MAX {
            return Err(Error::io("walk", &self.path, Errno::LOOP));
        }
        for name in self.children()? {
            match self.child(&name).and_then(|child| child.walk_level(visit, depth + 1)) {
                Err(err) if gone(&err) => {}
                other => other?,
            }
        }
        match visit(self) {
            Err(err) if gone(&err) => Ok(()),
            other => other,
        }
    }

    /// Removes the sub-cgroups, the deepest first.
    pub(crate) fn remove_children(&self) -> Result<()> {
        for name in self.children()? {
            match self.child(&name).and_then(|child| child.remove_children()) {
                Err(err) if gone(&err) => continue,
                other => other?,
            }
            match rustix::fs::unlinkat(&self.fd, name.as_str(), AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(Error::io("remove", &self.path.join(name), errno)),
            }
        }
        Ok(())
    }

    /// Removes this directory, and those below it when there are any.
    pub(crate) fn remove(&self) -> Result<()> {
        match rustix::fs::rmdir(&self.path) {
            Err(Errno::BUSY) => {}
            done => return self.removed(done),
        }
        self.remove_children()?;
        self.removed(rustix::fs::rmdir(&self.path))
    }

    fn removed(&self, result: rustix::io::Result<()>) -> Result<()> {
        match result {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::io("remove", &self.path, errno)),
        }
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Says an error that the file's cgroup was removed meanwhile?
pub(crate) fn gone(err: &Error) -> bool {
    matches!(err.errno(), Some(Errno::NOENT | Errno::NODEV))
}

/// Reads a control file from its beginning.
pub(crate) fn read_all(fd: impl AsFd) -> rustix::io::Result<String> {
    let mut bytes = Vec::with_capacity(4096);
    loop {
        if bytes.len() >= READ_MAX {
            return Err(Errno::FBIG);
        }
        let room = bytes.capacity() - bytes.len();
        bytes.reserve(if room == 0 { bytes.capacity() } else { room });
        let at = bytes.len();
        bytes.resize(bytes.capacity(), 0);
        let read = rustix::io::retry_on_intr(|| rustix::io::pread(&fd, &mut bytes[at..], at as u64))?;
        bytes.truncate(at + read);
        if read == 0 {
            return String::from_utf8(bytes).map_err(|_err| Errno::ILSEQ);
        }
    }
}

/// The value after `key` in a file of `key value` lines.
pub(crate) fn field(text: &str, key: &str) -> Option<u64> {
    fields(text).find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// The `key value` lines of a file.
pub(crate) fn fields(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.trim().parse().ok()?))
    })
}
