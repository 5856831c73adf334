//! Looking at trees of files by descriptor: what is in a directory, what several layers show together, and how
//! two trees differ.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{Change, ChangeKind};
use crate::error::Context;
use crate::layer::opaque;
use crate::{Error, Result};
use tarball::{MAX_DEPTH, show};

/// Opens a directory without following a link.
pub(super) fn open_directory(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty()).context(&format!("open {:?}", show(name)))
}

/// Opens one of the store's own directories.
pub(super) fn open_path(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).at("open", path)
}

/// The names in a directory, sorted.
pub(super) fn names(dir: &OwnedFd) -> Result<Vec<Vec<u8>>> {
    Ok(tarball::names(dir)?)
}

pub(super) fn stat(dir: impl AsFd, name: &[u8]) -> Result<Option<Stat>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(Error::io(format!("stat {:?}", show(name)), error)),
    }
}

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

pub(super) fn is_directory(stat: &Stat) -> bool {
    kind(stat) == FileType::Directory
}

/// Overlayfs's mark for "not here".
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    kind(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Does this directory hide the ones below?
pub(super) fn is_opaque(dir: &OwnedFd) -> bool {
    let mut value = [0_u8; 1];
    rustix::fs::fgetxattr(dir, opaque(), &mut value[..]).is_ok_and(|length| &value[..length] == b"y")
}

/// One directory as several layers show it together.
pub(super) struct Lowers {
    /// Topmost first.
    dirs: Vec<OwnedFd>,
    /// Nothing below the last of them shows through.
    pub(super) ends: bool,
}

impl Lowers {
    pub(super) fn open(paths: &[PathBuf]) -> Result<Self> {
        Ok(Self { dirs: paths.iter().map(|path| open_path(path)).collect::<Result<_>>()?, ends: false })
    }

    pub(super) fn none() -> Self {
        Self { dirs: Vec::new(), ends: true }
    }

    /// What has this name.
    pub(super) fn look(&self, name: &[u8]) -> Result<Option<Stat>> {
        for dir in &self.dirs {
            if let Some(stat) = stat(dir, name)? {
                return Ok(Some(stat).filter(|stat| !is_whiteout(stat)));
            }
        }
        Ok(None)
    }

    /// The directory of this name.
    pub(super) fn enter(&self, name: &[u8]) -> Result<Self> {
        let (mut dirs, mut ends) = (Vec::new(), self.ends);
        for dir in &self.dirs {
            match stat(dir, name)? {
                None => {}
                Some(stat) if is_directory(&stat) => {
                    let fd = open_directory(dir, name)?;
                    ends |= is_opaque(&fd);
                    dirs.push(fd);
                }
                // a file or a mark hides directories below it
                Some(_) => ends = true,
            }
            if ends {
                break;
            }
        }
        Ok(Self { dirs, ends })
    }

    /// All names, those of marks, too.
    pub(super) fn marked(&self) -> Result<BTreeSet<Vec<u8>>> {
        let mut all = BTreeSet::new();
        for dir in &self.dirs {
            all.extend(names(dir)?);
        }
        Ok(all)
    }

    pub(super) fn names(&self) -> Result<BTreeSet<Vec<u8>>> {
        let mut visible = BTreeSet::new();
        for name in self.marked()? {
            if self.look(&name)?.is_some() {
                visible.insert(name);
            }
        }
        Ok(visible)
    }
}

/// A difference, and the bytes that it takes.
pub(super) struct Difference {
    pub(super) change: Change,
    stat: Option<Stat>,
}

/// Compares `top` with what `lowers` show. An overlay's upper directory holds only what differs; a copy holds
/// everything (`whole`).
///
/// `scaffold` are paths that every container gets before it runs: where nothing is below and they are empty, they
/// are no difference, nor are directories that had to be made for them.
pub(super) fn compare(
    top: &Path,
    lowers: &[PathBuf],
    whole: bool,
    scaffold: &[&str],
) -> Result<Vec<Difference>> {
    let mut comparison = Comparison { whole, scaffold, found: Vec::new() };
    let root = PathBuf::from("/");
    comparison.directory(
        &open_path(top)?,
        &Lowers::open(lowers)?,
        &At { path: &root, hidden: false, depth: 0 },
    )?;
    let mut found = comparison.found;
    found.sort_by(|a, b| a.change.path.cmp(&b.change.path));
    Ok(found)
}

struct Comparison<'a> {
    whole: bool,
    scaffold: &'a [&'a str],
    found: Vec<Difference>,
}

/// A directory on the way down.
struct At<'a> {
    path: &'a Path,
    /// It, or one above it, hides what lies below.
    hidden: bool,
    depth: usize,
}

impl Comparison<'_> {
    fn add(&mut self, path: PathBuf, kind: ChangeKind, stat: Option<Stat>) {
        // What every container gets is not new when there is something in it.
        let kind = match kind {
            ChangeKind::Added if self.is_scaffold(&path) => ChangeKind::Modified,
            kind => kind,
        };
        self.found.push(Difference { change: Change { path, kind }, stat });
    }

    /// Nothing but a place to mount on, or a directory that leads to one.
    fn is_scaffold(&self, path: &Path) -> bool {
        self.scaffold.iter().any(|place| Path::new(place).starts_with(path))
    }

    fn directory(&mut self, dir: &OwnedFd, lowers: &Lowers, at: &At<'_>) -> Result<()> {
        if at.depth > MAX_DEPTH {
            return Err(Error::Limit { what: "depth of directories".into(), limit: MAX_DEPTH as u64 });
        }
        let here = names(dir)?;
        if self.whole || at.hidden {
            let mine: HashSet<&[u8]> = here.iter().map(Vec::as_slice).collect();
            for name in lowers.names()?.iter().filter(|name| !mine.contains(name.as_slice())) {
                self.add(join(at.path, name), ChangeKind::Deleted, None);
            }
        }
        here.iter().try_for_each(|name| self.entry(dir, name, lowers, at))
    }

    fn entry(&mut self, dir: &OwnedFd, name: &[u8], lowers: &Lowers, at: &At<'_>) -> Result<()> {
        let Some(stat) = stat(dir, name)? else { return Ok(()) };
        let path = join(at.path, name);
        let below = lowers.look(name)?;
        if is_whiteout(&stat) {
            if below.is_some() {
                self.add(path, ChangeKind::Deleted, None);
            }
            return Ok(());
        }
        if !is_directory(&stat) {
            match below {
                None if stat.st_size == 0 && self.scaffold.iter().any(|place| Path::new(place) == path) => {}
                None => self.add(path, ChangeKind::Added, Some(stat)),
                Some(below) if !self.whole || differs(&stat, &below) => {
                    self.add(path, ChangeKind::Modified, Some(stat));
                }
                Some(_) => {}
            }
            return Ok(());
        }
        // It is in use: what is gone or has become a link meanwhile is no directory to look into.
        let fd = match open_directory(dir, name) {
            Err(Error::Io { source, .. }) if vanished(&source) => return Ok(()),
            opened => opened?,
        };
        let before = self.found.len();
        let mut next = At { path: &path, hidden: at.hidden || is_opaque(&fd), depth: at.depth + 1 };
        match below {
            Some(below) if is_directory(&below) => {
                self.directory(&fd, &lowers.enter(name)?, &next)?;
                if self.found.len() > before || differs(&stat, &below) {
                    self.add(path, ChangeKind::Modified, None);
                }
            }
            below => {
                let kind = if below.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
                next.hidden = false;
                self.directory(&fd, &Lowers::none(), &next)?;
                if kind == ChangeKind::Modified || self.found.len() > before || !self.is_scaffold(&path) {
                    self.add(path, kind, None);
                }
            }
        }
        Ok(())
    }
}

fn vanished(error: &std::io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE))
}

fn join(path: &Path, name: &[u8]) -> PathBuf {
    path.join(OsString::from_vec(name.to_vec()))
}

/// As Docker sees it: of directories, neither size nor time counts.
fn differs(a: &Stat, b: &Stat) -> bool {
    let content = (a.st_size, a.st_mtime, a.st_mtime_nsec) != (b.st_size, b.st_mtime, b.st_mtime_nsec);
    (a.st_mode, a.st_uid, a.st_gid, a.st_rdev) != (b.st_mode, b.st_uid, b.st_gid, b.st_rdev)
        || (!is_directory(a) && content)
}

/// Bytes of the files and symbolic links among the differences, each once.
pub(super) fn size_of(differences: &[Difference]) -> u64 {
    let mut seen = HashSet::new();
    let sized = |stat: &&Stat| matches!(kind(stat), FileType::RegularFile | FileType::Symlink);
    let files = differences.iter().filter_map(|difference| difference.stat.as_ref()).filter(sized);
    files
        .filter(|stat| seen.insert((stat.st_dev, stat.st_ino)))
        .map(|stat| stat.st_size.cast_unsigned())
        .sum()
}

/// Bytes of the files and symbolic links below a directory, each once.
pub(super) fn size(path: &Path) -> Result<u64> {
    fn walk(dir: &OwnedFd, seen: &mut HashSet<(u64, u64)>, depth: usize) -> Result<u64> {
        let mut sum = 0;
        for name in names(dir)? {
            // It is in use: what is gone meanwhile doesn't count.
            let Some(stat) = stat(dir, &name)? else { continue };
            match kind(&stat) {
                FileType::Directory if depth < MAX_DEPTH => match open_directory(dir, &name) {
                    Ok(dir) => sum += walk(&dir, seen, depth + 1)?,
                    Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                },
                FileType::RegularFile | FileType::Symlink
                    if stat.st_nlink == 1 || seen.insert((stat.st_dev, stat.st_ino)) =>
                {
                    sum += stat.st_size.cast_unsigned();
                }
                _ => {}
            }
        }
        Ok(sum)
    }
    walk(&open_path(path)?, &mut HashSet::new(), 0)
}
