//! Paths that somebody else may influence, resolved by the kernel beneath an open directory (`openat2(2)`).
//!
//! A [`Root`] never reaches outside its directory, whatever symlinks, `..` or concurrent renames say.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};

use crate::{Errno, Result, file};

mod remove;
#[cfg(test)]
mod tests;

/// Most symlinks that [`Root::mkdir_all`] follows by itself.
const MAX_LINKS: usize = 40;
/// Most directories deep that a path may go.
const MAX_COMPONENTS: usize = 512;
/// `openat2` says `EAGAIN` when a rename or mount elsewhere raced with a `..`; most tries.
const MAX_TRIES: usize = 256;

/// A directory that paths are resolved beneath.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    resolve: ResolveFlags,
}

impl Root {
    /// Symlinks and `..` behave as after `chroot(2)`: absolute ones start at this directory (`RESOLVE_IN_ROOT`).
    /// For root filesystems of containers and images. Magic links (`/proc/*/fd`) are refused.
    #[must_use]
    pub fn in_root(fd: OwnedFd) -> Self {
        Self { fd, resolve: ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS }
    }

    /// Whatever leads outside is an error, `EXDEV` (`RESOLVE_BENEATH`); an absolute path as well.
    #[must_use]
    pub fn beneath(fd: OwnedFd) -> Self {
        Self { fd, resolve: ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS }
    }

    /// Like [`Root::beneath`], and symlinks are refused with `ELOOP`. For directories that only we write.
    #[must_use]
    pub fn strict(fd: OwnedFd) -> Self {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
        Self { fd, resolve }
    }

    /// [`Root::in_root`] of the directory at a trusted path.
    ///
    /// # Errors
    /// What `open(2)` says.
    pub fn open_in_root(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::in_root(file::open_directory(path)?))
    }

    /// [`Root::beneath`] of the directory at a trusted path.
    ///
    /// # Errors
    /// What `open(2)` says.
    pub fn open_beneath(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::beneath(file::open_directory(path)?))
    }

    /// [`Root::strict`] of the directory at a trusted path.
    ///
    /// # Errors
    /// What `open(2)` says.
    pub fn open_strict(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::strict(file::open_directory(path)?))
    }

    /// A second handle on the same directory.
    ///
    /// # Errors
    /// What `fcntl(2)` says.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self { fd: crate::fd::dup_above(&self.fd, 3)?, resolve: self.resolve })
    }

    /// The directory's descriptor.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Opens `path` with any flags; always close-on-exec.
    ///
    /// # Errors
    /// What `openat2(2)` says.
    pub fn open(&self, path: impl AsRef<Path>, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
        let path = path.as_ref();
        // an empty path and "/" mean the directory itself
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        for _ in 0..MAX_TRIES {
            match rustix::fs::openat2(&self.fd, path, flags | OFlags::CLOEXEC, mode, self.resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                done => return done,
            }
        }
        Err(Errno::AGAIN)
    }

    /// A handle on whatever is at `path` (`O_PATH`); a last symlink is followed.
    ///
    /// # Errors
    /// What `openat2(2)` says.
    pub fn handle(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.open(path, OFlags::PATH, Mode::empty())
    }

    /// A handle on whatever is at `path` (`O_PATH`); a last symlink is the thing itself.
    ///
    /// # Errors
    /// What `openat2(2)` says.
    pub fn handle_nofollow(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.open(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())
    }

    /// Opens a directory for reading.
    ///
    /// # Errors
    /// What `openat2(2)` says.
    pub fn open_dir(&self, path: impl AsRef<Path>) -> Result<OwnedFd> {
        self.open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
    }

    /// The directory at `path` as a root of its own, with the same rules.
    ///
    /// # Errors
    /// What `openat2(2)` says.
    pub fn sub(&self, path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { fd: self.open_dir(path)?, resolve: self.resolve })
    }

    /// Opens a regular file for reading. Anything else (a FIFO would block, a device act) is refused unopened.
    ///
    /// # Errors
    /// `EISDIR` for a directory, `EINVAL` for other kinds; what `openat2(2)` says.
    pub fn open_regular(&self, path: impl AsRef<Path>) -> Result<std::fs::File> {
        let handle = self.handle(path)?;
        match FileType::from_raw_mode(rustix::fs::fstat(&handle)?.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(Errno::ISDIR),
            _ => return Err(Errno::INVAL),
        }
        // our own descriptor's magic link: reopens exactly this inode
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        rustix::fs::open(crate::fd::proc_path(&handle), flags, Mode::empty()).map(Into::into)
    }

    /// Reads a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Root::open_regular`]; `FileTooLarge` when there is more.
    pub fn read_bounded(&self, path: impl AsRef<Path>, limit: usize) -> io::Result<Vec<u8>> {
        file::read_rest(self.open_regular(path)?, limit)
    }

    /// `stat` of what is at `path`, last symlink followed.
    ///
    /// # Errors
    /// What `openat2(2)` says.
    pub fn stat(&self, path: impl AsRef<Path>) -> Result<Stat> {
        rustix::fs::fstat(self.handle(path)?)
    }

    /// `stat` of what is at `path`, last symlink not followed.
    ///
    /// # Errors
    /// What `openat2(2)` says.
    pub fn lstat(&self, path: impl AsRef<Path>) -> Result<Stat> {
        rustix::fs::fstat(self.handle_nofollow(path)?)
    }

    /// The text of a symlink.
    ///
    /// # Errors
    /// `EINVAL` (or `ENOENT`) when it is none.
    pub fn read_link(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        use std::os::unix::ffi::OsStringExt;
        let text = rustix::fs::readlinkat(self.handle_nofollow(path)?, "", Vec::new())?;
        Ok(PathBuf::from(std::ffi::OsString::from_vec(text.into_bytes())))
    }

    /// The directory that holds `path`, as a handle, and the last name. The name is not resolved.
    ///
    /// # Errors
    /// `EINVAL` when `path` has no last name (`/`, `..`); what `openat2(2)` says.
    pub fn parent<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr)> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((self.open(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?, name))
    }

    /// Creates a file that must not exist yet, open for writing.
    ///
    /// # Errors
    /// `EEXIST`; what `openat2(2)` says.
    pub fn create_file(&self, path: impl AsRef<Path>, mode: u32) -> Result<std::fs::File> {
        let (parent, name) = self.parent(path.as_ref())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(mode)).map(Into::into)
    }

    /// Creates a symlink at `path` that says `target`.
    ///
    /// # Errors
    /// `EEXIST`; what `symlinkat(2)` says.
    pub fn symlink(&self, target: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<()> {
        let (parent, name) = self.parent(path.as_ref())?;
        rustix::fs::symlinkat(target.as_ref(), parent, name)
    }

    /// Renames within this root; neither last name is resolved.
    ///
    /// # Errors
    /// What `renameat(2)` says.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
        let (from_parent, from_name) = self.parent(from.as_ref())?;
        let (to_parent, to_name) = self.parent(to.as_ref())?;
        rustix::fs::renameat(from_parent, from_name, to_parent, to_name)
    }

    /// Creates one directory, which must not exist.
    ///
    /// # Errors
    /// `EEXIST`; what `mkdirat(2)` says.
    pub fn mkdir(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        let (parent, name) = self.parent(path.as_ref())?;
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(mode))
    }

    /// Creates `path` and whatever is missing above it, and opens it (`O_PATH`). Symlinks on the way are followed by
    /// this root's rules, dangling ones too: what they name is created.
    ///
    /// # Errors
    /// `ENOTDIR` when something else is in the way, `ELOOP` with too many links, `ENAMETOOLONG` when it is too deep;
    /// what `mkdirat(2)` says.
    pub fn mkdir_all(&self, path: impl AsRef<Path>, mode: u32) -> Result<OwnedFd> {
        let path = path.as_ref();
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        match self.open(path, flags, Mode::empty()) {
            Err(Errno::NOENT) => {}
            done => return done,
        }
        let mut left: Vec<PathBuf> = components(path);
        let mut done = PathBuf::new();
        let mut links = 0;
        while let Some(name) = left.pop() {
            if done.components().count() + left.len() > MAX_COMPONENTS {
                return Err(Errno::NAMETOOLONG);
            }
            let next = done.join(&name);
            match self.open(&next, flags, Mode::empty()) {
                Ok(_) => done = next,
                Err(Errno::NOENT) => match self.mkdir(&next, mode) {
                    Ok(()) => done = next,
                    Err(Errno::EXIST) => {
                        // made by somebody else meanwhile, or a dangling symlink
                        links += 1;
                        if links > MAX_LINKS {
                            return Err(Errno::LOOP);
                        }
                        self.expand_link(&next, &name, &mut done, &mut left)?;
                    }
                    Err(e) => return Err(e),
                },
                Err(e) => return Err(e),
            }
        }
        self.open(done, flags, Mode::empty())
    }

    /// Where `path` leads: absolute, all symlinks followed by this root's rules. Names that are not there stay as
    /// they are. What it says may be outdated at once; whatever is opened by it goes through this root again.
    ///
    /// # Errors
    /// `ELOOP` with too many links; what `openat2(2)` says.
    pub fn evaluate(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let mut left = components(path.as_ref());
        let mut done = PathBuf::new();
        let mut links = 0;
        while let Some(name) = left.pop() {
            if name.as_os_str() == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&name);
            match self.read_link(&next) {
                Ok(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP);
                    }
                    if target.is_absolute() {
                        done = PathBuf::new();
                    }
                    left.extend(components(&target));
                }
                Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR) => done = next,
                Err(error) => return Err(error),
            }
        }
        Ok(Path::new("/").join(done))
    }

    /// Puts what the symlink at `link` says in front of what is left to do.
    fn expand_link(
        &self,
        link: &Path,
        name: &Path,
        done: &mut PathBuf,
        left: &mut Vec<PathBuf>,
    ) -> Result<()> {
        match self.read_link(link) {
            Ok(target) => {
                if target.is_absolute() {
                    *done = PathBuf::new();
                }
                left.extend(components(&target));
            }
            Err(Errno::INVAL | Errno::NOENT) => left.push(name.to_owned()), // no symlink any more: look again
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Removes what is at `path` if it isn't a directory; a symlink itself, not what it names.
    ///
    /// # Errors
    /// What `unlinkat(2)` says.
    pub fn remove_file(&self, path: impl AsRef<Path>) -> Result<()> {
        let (parent, name) = self.parent(path.as_ref())?;
        rustix::fs::unlinkat(parent, name, AtFlags::empty())
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// What `unlinkat(2)` says.
    pub fn remove_dir(&self, path: impl AsRef<Path>) -> Result<()> {
        let (parent, name) = self.parent(path.as_ref())?;
        rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
    }

    /// Removes what is at `path` and everything beneath; symlinks are removed, not followed. Nothing there is fine.
    ///
    /// # Errors
    /// What `unlinkat(2)` says.
    pub fn remove_all(&self, path: impl AsRef<Path>) -> Result<()> {
        let (parent, name) = match self.parent(path.as_ref()) {
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        remove::remove_all(parent.as_fd(), name, &mut || ())
    }
}

/// Removes what has this name in an open directory, and everything beneath; links are removed, not followed.
/// Nothing there is fine.
///
/// # Errors
/// What `unlinkat(2)` says.
pub fn remove_all_at(parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    remove::remove_all(parent, OsStr::from_bytes(name), &mut || ())
}

/// The same for who is in no hurry: `between` is called before each entry of a directory goes, and may wait.
///
/// # Errors
/// What `unlinkat(2)` says.
pub fn remove_all_slowly(parent: BorrowedFd<'_>, name: &[u8], between: &mut dyn FnMut()) -> Result<()> {
    use std::os::unix::ffi::OsStrExt;
    remove::remove_all(parent, OsStr::from_bytes(name), between)
}

/// The names of a path, last one first; `..` stays, `.` and `/` go.
fn components(path: &Path) -> Vec<PathBuf> {
    let keep = |c: Component<'_>| match c {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        _ => None,
    };
    path.components().rev().filter_map(keep).collect()
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
