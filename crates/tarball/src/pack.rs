//! Trees into a tar, as Docker packs them: in the order of names, hard links as such, sockets left out. Every
//! file is opened by its name in an open directory and never through a link, so that a container that renames
//! and links at will while it is read shows nothing but its own files. A container's trees are packed from mounts
//! without devices: a device that takes a file's place can't be opened.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sys::idmap::{self, Map, Range};

use crate::header::{Header, flag};
use crate::{BLOCK, Error, MAX_DEPTH, Result, padding};

/// Bytes of a file that are read at once.
const STEP: usize = 128 << 10;
/// The kernel's limits on a list of names of attributes, and on a value.
const MAX_XATTR: usize = 64 << 10;
/// File capabilities, capabilities(7).
const CAPABILITY: &str = "security.capability";

/// Which extended attributes go along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xattrs {
    /// File capabilities alone: what Docker copies and exports.
    Capability,
    /// All but overlayfs's own: a layer of an image.
    All,
}

/// Names and values of extended attributes.
type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// Writes trees.
#[derive(Debug)]
pub struct Packer<W> {
    output: W,
    xattrs: Xattrs,
    ids: Option<Map>,
    /// Names under which files with several were written first.
    links: HashMap<(u64, u64), Vec<u8>>,
    header: Vec<u8>,
    buffer: Vec<u8>,
}

/// What is gone or has become something else while it was looked at: left out, as if it had never been there.
fn vanished(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE | Errno::NXIO)
}

/// The names in a directory, sorted.
///
/// # Errors
/// What `getdents(2)` says.
pub fn names(dir: impl AsFd) -> Result<Vec<Vec<u8>>> {
    Ok(listed(dir)?.into_iter().map(|(name, _)| name).collect())
}

/// The names in a directory, sorted, and what they are said to be.
///
/// # Errors
/// What `getdents(2)` says.
pub fn listed(dir: impl AsFd) -> Result<Vec<(Vec<u8>, FileType)>> {
    let failed = |error| Error::io("read a directory", error);
    let mut names = Vec::new();
    for entry in Dir::read_from(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push((name.to_vec(), entry.file_type()));
        }
    }
    names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(names)
}

impl<W: Write> Packer<W> {
    /// Writes to `output`, which should gather small writes.
    pub fn new(output: W, xattrs: Xattrs) -> Self {
        Self { output, xattrs, ids: None, links: HashMap::new(), header: Vec::new(), buffer: Vec::new() }
    }

    /// Owners are told as they are inside of this mapping; those that it lacks, as nobody.
    #[must_use]
    pub fn inside(mut self, ids: Option<Map>) -> Self {
        self.ids = ids;
        self
    }

    /// What a handle (`O_PATH`) refers to, with everything beneath, under `name`.
    ///
    /// # Errors
    /// What the kernel says of it; the output's failure.
    pub fn handle(&mut self, handle: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
        let failed = |error| Error::at("open", name, error);
        let stat = rustix::fs::fstat(handle).map_err(failed)?;
        match kind(&stat) {
            FileType::Directory => self.directory(&open_directory(handle, b".").map_err(failed)?, name),
            FileType::RegularFile => {
                // our own descriptor's magic link: exactly this file
                let path = sys::fd::proc_path(handle);
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                let file = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
                self.file(&file, &stat, name)
            }
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(handle, "", Vec::new()).map_err(failed)?;
                self.other(&stat, name, link.as_bytes(), &[])
            }
            _ => self.other(&stat, name, b"", &[]),
        }
    }

    /// An open directory under `name`, with everything in it.
    ///
    /// # Errors
    /// What the kernel says of it; the output's failure.
    pub fn directory(&mut self, dir: &OwnedFd, name: &[u8]) -> Result<()> {
        self.directory_itself(dir, name)?;
        self.below(dir, &[name, b"/"].concat(), 0)
    }

    /// An open directory under `name`, without what is in it.
    ///
    /// # Errors
    /// What the kernel says of it; the output's failure.
    pub fn directory_itself(&mut self, dir: &OwnedFd, name: &[u8]) -> Result<()> {
        let stat = rustix::fs::fstat(dir).map_err(|error| Error::at("stat", name, error))?;
        let xattrs = self.xattrs_of(dir.as_fd(), name)?;
        self.other(&stat, &[name, b"/"].concat(), b"", &xattrs)
    }

    /// Everything in an open directory, under bare names.
    ///
    /// # Errors
    /// What the kernel says of it; a tree that is too deep; the output's failure.
    pub fn contents(&mut self, dir: &OwnedFd) -> Result<()> {
        self.below(dir, b"", 0)
    }

    /// `prefix` ends with a slash, or is empty.
    fn below(&mut self, dir: &OwnedFd, prefix: &[u8], depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::Limit { what: "depth of directories".into(), limit: MAX_DEPTH as u64 });
        }
        for (name, kind) in listed(dir)? {
            let path = [prefix, &name].concat();
            if kind == FileType::RegularFile && self.at_once(dir.as_fd(), &name, &path)? {
                continue;
            }
            if let Some(below) = self.one(dir.as_fd(), &name, &path)? {
                self.below(&below, &[&path, &b"/"[..]].concat(), depth + 1)?;
            }
        }
        Ok(())
    }

    /// One entry of an open directory under `path`; gives the directory that it is, whose contents are not
    /// written yet. What is no longer there is left out.
    ///
    /// # Errors
    /// What the kernel says of it; the output's failure.
    pub fn one(&mut self, dir: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<Option<OwnedFd>> {
        let failed = |error| Error::at("open", path, error);
        match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(error) if vanished(error) => return Ok(None),
            Ok(stat) if kind(&stat) == FileType::RegularFile && self.at_once(dir, name, path)? => {
                return Ok(None);
            }
            // what else there is to say of it, its handle says
            _ => {}
        }
        let handle = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = match rustix::fs::openat(dir, name, handle, Mode::empty()) {
            Err(error) if vanished(error) => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        let stat = rustix::fs::fstat(&handle).map_err(failed)?;
        match kind(&stat) {
            FileType::Directory => match open_directory(handle.as_fd(), b".") {
                Err(error) if vanished(error) => Ok(None),
                opened => {
                    let opened = opened.map_err(failed)?;
                    self.directory_itself(&opened, path)?;
                    Ok(Some(opened))
                }
            },
            _ => self.handle(handle.as_fd(), path).map(|()| None),
        }
    }

    /// A file that is said to be a regular one, opened without a handle first: most are what they are said to be. One that has become something else meanwhile is left to [`Self::one`].
    fn at_once(&mut self, dir: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<bool> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(dir, name, flags, Mode::empty()) else { return Ok(false) };
        let stat = rustix::fs::fstat(&file).map_err(|error| Error::at("stat", path, error))?;
        if kind(&stat) != FileType::RegularFile {
            return Ok(false);
        }
        self.file(&file, &stat, path)?;
        Ok(true)
    }

    /// A regular file without content, such as the marks of a layer.
    ///
    /// # Errors
    /// The output's failure.
    pub fn mark(&mut self, name: &[u8]) -> Result<()> {
        self.write_header(&Header { name, flag: flag::REGULAR, ..Header::default() })
    }

    fn file(&mut self, file: &OwnedFd, stat: &Stat, name: &[u8]) -> Result<()> {
        if self.linked(stat, name)? {
            return Ok(());
        }
        let xattrs = self.xattrs_of(file.as_fd(), name)?;
        let size = stat.st_size.cast_unsigned();
        self.write_header(&Header { size, xattrs: &xattrs, ..self.of(stat, name, flag::REGULAR) })?;
        self.content(file, size, name)
    }

    fn other(&mut self, stat: &Stat, name: &[u8], link: &[u8], xattrs: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        let flag = match kind(stat) {
            FileType::Directory => flag::DIRECTORY,
            FileType::Symlink => flag::SYMLINK,
            FileType::CharacterDevice => flag::CHAR,
            FileType::BlockDevice => flag::BLOCK,
            FileType::Fifo => flag::FIFO,
            // a socket without its listener is nothing
            _ => return Ok(()),
        };
        if flag != flag::DIRECTORY && self.linked(stat, name)? {
            return Ok(());
        }
        let (major, minor) = match flag {
            flag::CHAR | flag::BLOCK => (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)),
            _ => (0, 0),
        };
        self.write_header(&Header { link, major, minor, xattrs, ..self.of(stat, name, flag) })
    }

    /// A further name of a file that is written already.
    fn linked(&mut self, stat: &Stat, name: &[u8]) -> Result<bool> {
        if stat.st_nlink < 2 {
            return Ok(false);
        }
        let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)).cloned() else {
            self.links.insert((stat.st_dev, stat.st_ino), name.to_vec());
            return Ok(false);
        };
        self.write_header(&Header { link: &first, ..self.of(stat, name, flag::HARD_LINK) })?;
        Ok(true)
    }

    fn of<'a>(&self, stat: &Stat, name: &'a [u8], flag: u8) -> Header<'a> {
        let inside = |ranges: &[Range], id| idmap::inward(ranges, id).unwrap_or(idmap::OVERFLOW);
        let (uid, gid) = match &self.ids {
            Some(ids) => (inside(&ids.uids, stat.st_uid), inside(&ids.gids, stat.st_gid)),
            None => (stat.st_uid, stat.st_gid),
        };
        Header {
            name,
            flag,
            // the type's bits too, as Go wrote them before 1.9 and Docker still does
            mode: stat.st_mode,
            uid,
            gid,
            mtime: stat.st_mtime,
            ..Header::default()
        }
    }

    fn write_header(&mut self, header: &Header<'_>) -> Result<()> {
        self.header.clear();
        header.write(&mut self.header);
        self.output.write_all(&self.header).map_err(unwritten)
    }

    /// Exactly as many bytes as the header says: a file that shrinks meanwhile is filled up with zeros.
    fn content(&mut self, file: &OwnedFd, size: u64, name: &[u8]) -> Result<()> {
        self.buffer.resize(STEP, 0);
        let mut left = size;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(STEP).min(STEP);
            let count = rustix::io::retry_on_intr(|| rustix::io::read(file, &mut self.buffer[..want]))
                .map_err(|error| Error::at("read", name, error))?;
            if count == 0 {
                self.buffer.fill(0);
            }
            let count = if count == 0 { want } else { count };
            self.output.write_all(&self.buffer[..count]).map_err(unwritten)?;
            left -= count as u64;
        }
        self.output.write_all(&[0; BLOCK][..padding(size) as usize]).map_err(unwritten)
    }

    fn xattrs_of(&self, file: BorrowedFd<'_>, name: &[u8]) -> Result<Attributes> {
        let failed = |error| Error::at("read the attributes of", name, error);
        match self.xattrs {
            Xattrs::Capability => {
                let mut value = [0; 64];
                match rustix::fs::fgetxattr(file, CAPABILITY, &mut value[..]) {
                    Ok(length) => Ok(vec![(CAPABILITY.into(), value[..length].to_vec())]),
                    Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(Vec::new()),
                    Err(error) => Err(failed(error)),
                }
            }
            Xattrs::All => all_xattrs(file).map_err(failed),
        }
    }

    /// The end of the tar.
    ///
    /// # Errors
    /// The output's failure.
    pub fn finish(mut self) -> Result<W> {
        self.output.write_all(&[0; 2 * BLOCK]).and_then(|()| self.output.flush()).map_err(unwritten)?;
        Ok(self.output)
    }
}

fn all_xattrs(file: BorrowedFd<'_>) -> Result<Attributes, Errno> {
    // most files have none: no list is made room for before it is known that there is one
    match rustix::fs::flistxattr(file, &mut [0_u8; 0][..]) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Ok(_) => {}
        Err(error) => return Err(error),
    }
    let mut list = vec![0; MAX_XATTR];
    let length = rustix::fs::flistxattr(file, &mut list[..])?;
    let mut found = Vec::new();
    let mut value = vec![0; MAX_XATTR];
    let keys = list[..length].split(|&byte| byte == 0).filter(|key| !key.is_empty());
    for key in keys.filter(|key| !crate::extract::is_reserved(key)) {
        match rustix::fs::fgetxattr(file, key, &mut value[..]) {
            Ok(length) => found.push((key.to_vec(), value[..length].to_vec())),
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn unwritten(error: io::Error) -> Error {
    Error::io("write the archive", error)
}

fn open_directory(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}
