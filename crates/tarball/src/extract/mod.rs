//! A tar into a directory that others may change meanwhile: a container's, or a user's. Every step is one name
//! below an open directory. Nothing is created through a link, nothing is opened that was not just made here, and
//! a link in the way of a path is resolved by the kernel with the container's root as its root, or refused.

mod attributes;
mod parents;
#[cfg(test)]
mod tests;

use std::io::BufRead;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sys::idmap::Map;

use crate::{Entry, Error, Kind, Limits, NoTap, Result, TarStream, Time, clean, show, split};

pub use attributes::is_reserved;
use parents::Parents;
pub use parents::Through;

/// How often a name is cleared for what is to be made there, while somebody else puts something there again.
const MAX_TRIES: usize = 64;

/// Whose the files become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// As the archive says.
    Archive,
    /// This user's and group's.
    Fixed(u32, u32),
    /// Whoever runs this.
    Caller,
}

/// How to unpack.
#[derive(Debug)]
pub struct Extract<'a> {
    /// The directory, as messages call it.
    pub shown: &'a str,
    /// What a link in the way of a path means.
    pub through: Through<'a>,
    /// Whose the files become.
    pub owner: Owner,
    /// Owners are meant as inside of this mapping.
    pub ids: Option<&'a Map>,
    /// A directory is not replaced by something else, nor the other way round.
    pub keep_kinds: bool,
    /// In the name of each entry, and in what a hard link names, the first of these texts becomes the second, once
    /// for each pair in order.
    pub renames: &'a [(Vec<u8>, Vec<u8>)],
}

/// Unpacks a tar, not compressed, into an open directory (`O_PATH` will do).
///
/// # Errors
/// What is wrong with the tar; what the kernel says. What was unpacked until then stays, as Docker leaves it.
pub fn extract(dir: OwnedFd, input: impl BufRead, options: &Extract<'_>) -> Result<()> {
    let limits = Limits::default();
    let mut stream = TarStream::new(input, NoTap, limits, "the archive");
    let parents = Parents::new(dir, options.through);
    let mut job = Job { parents, options, times: Vec::new(), pending: 0, limits };
    while let Some(mut entry) = stream.next()? {
        rename(&mut entry, options.renames);
        job.entry(&mut stream, &entry)?;
    }
    job.finish()
}

fn rename(entry: &mut Entry, renames: &[(Vec<u8>, Vec<u8>)]) {
    for (old, new) in renames {
        entry.name = replaced(&entry.name, old, new);
        if entry.kind == Kind::HardLink {
            entry.link = replaced(&entry.link, old, new);
        }
    }
}

/// The first `old` in `text` becomes `new`; an empty `old` is before everything.
fn replaced(text: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = if old.is_empty() { Some(0) } else { text.windows(old.len()).position(|part| part == old) };
    match at {
        Some(at) => [&text[..at], new, &text[at + old.len()..]].concat(),
        None => text.to_vec(),
    }
}

struct Job<'a> {
    parents: Parents<'a>,
    options: &'a Extract<'a>,
    /// Directories and the times that they get when nothing is put into them any more.
    times: Vec<(Vec<u8>, Time)>,
    pending: usize,
    limits: Limits,
}

type Stream<R> = TarStream<R, NoTap>;

impl Job<'_> {
    fn entry<R: BufRead>(&mut self, stream: &mut Stream<R>, entry: &Entry) -> Result<()> {
        let path =
            clean(&entry.name).map_err(|error| match entry.name.windows(2).any(|part| part == b"..") {
                true => {
                    Error::Refused(format!("{:?} is outside of {:?}", show(&entry.name), self.options.shown))
                }
                false => error,
            })?;
        if path.is_empty() {
            return self.root(entry);
        }
        let (up, name) = split(&path);
        let up = self.parents.get(up)?;
        let (shown, ids) = (self.options.shown, self.options.ids);
        let what = What { up: up.as_fd(), name, path: &path, entry, shown, ids };
        match entry.kind {
            Kind::Directory => self.directory(&what),
            Kind::Regular => self.file(stream, &what),
            Kind::HardLink => self.hard_link(&what),
            Kind::Symlink => {
                self.make("symlink", &what, || rustix::fs::symlinkat(&entry.link[..], what.up, name))?;
                attributes::of_link(&what, self.options.owner)
            }
            Kind::Char | Kind::Block | Kind::Fifo => self.node(&what),
        }
    }

    /// The directory itself: Docker leaves one that is there as it is.
    fn root(&self, entry: &Entry) -> Result<()> {
        if entry.kind == Kind::Directory {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "cannot overwrite directory {:?} with non-directory {:?}",
            self.options.shown, self.options.shown
        )))
    }

    /// Makes something with a name that must be free, and frees the name as often as needed.
    fn make<T>(&mut self, verb: &str, what: &What<'_>, make: impl Fn() -> Result<T, Errno>) -> Result<T> {
        for _ in 0..MAX_TRIES {
            match make() {
                Err(Errno::EXIST) => self.clear(what)?,
                made => return made.map_err(|error| what.failed(verb, error)),
            }
        }
        Err(what.failed(verb, Errno::EXIST))
    }

    /// Removes what has the name of an entry that is no directory.
    fn clear(&mut self, what: &What<'_>) -> Result<()> {
        let Some(stat) = what.stat()? else { return Ok(()) };
        let is_directory = kind(&stat) == FileType::Directory;
        if is_directory && self.options.keep_kinds {
            return Err(self.refusal(what, "directory", "non-directory"));
        }
        self.parents.forget();
        let removed = match is_directory {
            true => sys::path::remove_all_at(what.up, what.name),
            false => rustix::fs::unlinkat(what.up, what.name, AtFlags::empty()),
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(what.failed("unlinkat", error)),
        }
    }

    fn refusal(&self, what: &What<'_>, old: &str, new: &str) -> Error {
        let shown = self.options.shown;
        Error::Refused(format!("cannot overwrite {old} {:?} with {new} {shown:?}", what.full()))
    }

    fn directory(&mut self, what: &What<'_>) -> Result<()> {
        let mut made = None;
        for _ in 0..MAX_TRIES {
            match rustix::fs::mkdirat(what.up, what.name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(what.failed("mkdir", error)),
            }
            match parents::open_directory(what.up, what.name, OFlags::RDONLY) {
                Ok(fd) => {
                    made = Some(fd);
                    break;
                }
                // made, and gone again
                Err(Errno::NOENT) => {}
                Err(Errno::NOTDIR | Errno::LOOP) if self.options.keep_kinds => {
                    return Err(self.refusal(what, "non-directory", "directory"));
                }
                Err(Errno::NOTDIR | Errno::LOOP) => self.clear(what)?,
                Err(error) => return Err(what.failed("open", error)),
            }
        }
        let made = made.ok_or_else(|| what.failed("mkdir", Errno::EXIST))?;
        attributes::of_open(&made, what, self.options.owner)?;
        self.pending += what.path.len() + size_of::<(Vec<u8>, Time)>();
        if self.pending > self.limits.pending_bytes {
            let limit = self.limits.pending_bytes as u64;
            return Err(Error::Limit { what: "names of the archive's directories".into(), limit });
        }
        self.times.push((what.path.to_vec(), what.entry.mtime));
        Ok(())
    }

    fn file<R: BufRead>(&mut self, stream: &mut Stream<R>, what: &What<'_>) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(what.up, what.name, flags, Mode::RUSR | Mode::WUSR);
        let file = self.make("open", what, open)?;
        crate::write_content(stream, &file, what.entry)?;
        attributes::of_open(&file, what, self.options.owner)?;
        attributes::time_of_open(&file, what)
    }

    fn hard_link(&mut self, what: &What<'_>) -> Result<()> {
        let outside =
            || Error::Refused(format!("invalid hardlink {:?} -> {:?}", what.full(), show(&what.entry.link)));
        let target = clean(&what.entry.link).map_err(|_outside| outside())?;
        let (up, name) = split(&target);
        if name.is_empty() {
            return Err(outside());
        }
        if target == what.path {
            return Ok(());
        }
        let from = self.parents.get(up)?;
        // without AT_SYMLINK_FOLLOW, a link to a symbolic link is one to the link itself
        self.make("link", what, || rustix::fs::linkat(&from, name, what.up, what.name, AtFlags::empty()))
    }

    fn node(&mut self, what: &What<'_>) -> Result<()> {
        let kind = match what.entry.kind {
            Kind::Char => FileType::CharacterDevice,
            Kind::Block => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let device = rustix::fs::makedev(what.entry.major, what.entry.minor);
        let mode = Mode::RUSR | Mode::WUSR;
        self.make("mknod", what, || rustix::fs::mknodat(what.up, what.name, kind, mode, device))?;
        attributes::of_node(what, kind, self.options.owner)
    }

    /// Directories get their times last: making something in them changes these.
    fn finish(mut self) -> Result<()> {
        for (path, time) in std::mem::take(&mut self.times) {
            let (up, name) = split(&path);
            let Some(up) = self.parents.existing(up) else { continue };
            // moved away or replaced meanwhile: not ours any more
            if let Ok(fd) = parents::open_directory(up.as_fd(), name, OFlags::RDONLY) {
                rustix::fs::futimens(fd, &attributes::times(time))
                    .map_err(|error| Error::at("set the time of", &path, error))?;
            }
        }
        Ok(())
    }
}

/// An entry, and where it goes.
struct What<'a> {
    up: std::os::fd::BorrowedFd<'a>,
    name: &'a [u8],
    path: &'a [u8],
    entry: &'a Entry,
    shown: &'a str,
    ids: Option<&'a Map>,
}

impl What<'_> {
    fn failed(&self, verb: &str, error: Errno) -> Error {
        Error::io(format!("{verb} {}", self.full()), error)
    }

    /// The whole path, as messages have it.
    fn full(&self) -> String {
        format!("{}/{}", self.shown.trim_end_matches('/'), show(self.path))
    }

    fn stat(&self) -> Result<Option<Stat>> {
        match rustix::fs::statat(self.up, self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed("stat", error)),
        }
    }
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}
