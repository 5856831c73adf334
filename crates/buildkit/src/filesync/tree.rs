//! The receiver's tree: what is there, what has to change. No name is resolved through a symbolic link.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use sys::path::Root;

use super::{Error, Owner, Result, order, stat};
use crate::proto::fsutil::Stat;

/// Attributes that are taken over; others belong to the machine that they come from.
const CAPABILITY: &str = "security.capability";

/// A directory tree that is being made like another.
pub(super) struct Tree {
    root: Root,
    owner: Owner,
    /// The directory that was looked into last, and its path.
    last: Option<(String, OwnedFd)>,
}

impl Tree {
    pub(super) fn new(root: OwnedFd, owner: Owner) -> Self {
        Self { root: Root::strict(root), owner, last: None }
    }

    /// Whether the file is there already, as far as its attributes tell: a file that was received only in part
    /// bears another time.
    pub(super) fn has(&mut self, wanted: &Stat, kind: FileType) -> Result<bool> {
        let failed = || Error::file("look at", &wanted.path);
        let (name, owner) = (order::name(&wanted.path), self.owner);
        let Some(dir) = self.enter(order::parent(&wanted.path)).map_err(failed())? else { return Ok(false) };
        let found = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(false),
            found => found.map_err(failed())?,
        };
        if FileType::from_raw_mode(found.st_mode) != kind {
            return Ok(false);
        }
        if kind == FileType::Directory {
            return Ok(true);
        }
        let owned = owner == Owner::Caller || (found.st_uid, found.st_gid) == (wanted.uid, wanted.gid);
        if !owned || stat::nanos(&found) != wanted.mod_time {
            return Ok(false);
        }
        let same_mode = found.st_mode & 0o7777 == stat::permissions(wanted.mode);
        match kind {
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(dir, name, Vec::new());
                Ok(target.is_ok_and(|target| target.to_bytes() == wanted.linkname.as_bytes()))
            }
            FileType::RegularFile => {
                Ok(same_mode && found.st_size == wanted.size && same_attributes(dir, name, wanted))
            }
            // made anew each time: it costs nothing
            _ => Ok(false),
        }
    }

    /// The directory of the paths that are looked at now, opened once for all of them: they come in order. `None` if
    /// there is none.
    fn enter(&mut self, dir: &str) -> Result<Option<BorrowedFd<'_>>, Errno> {
        if self.last.as_ref().is_none_or(|(known, _)| known != dir) {
            self.last = match self.root.open_dir(if dir.is_empty() { "." } else { dir }) {
                Ok(opened) => Some((dir.to_owned(), opened)),
                Err(Errno::NOENT) => None,
                Err(error) => return Err(error),
            };
        }
        Ok(self.last.as_ref().map(|(_, opened)| opened.as_fd()))
    }

    /// Makes a directory, a link, a pipe or a device, in the place of whatever is there.
    pub(super) fn make(&self, wanted: &Stat, kind: FileType) -> Result<()> {
        let path = &wanted.path;
        self.root.remove_all(path).map_err(Error::file("remove", path))?;
        let (parent, name) = self.root.parent(Path::new(path)).map_err(Error::file("open", path))?;
        match kind {
            FileType::Directory => {
                return rustix::fs::mkdirat(&parent, name, Mode::RWXU).map_err(Error::file("create", path));
            }
            FileType::Symlink => rustix::fs::symlinkat(&*wanted.linkname, &parent, name),
            kind => {
                let number = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
                let device = rustix::fs::makedev(number(wanted.devmajor), number(wanted.devminor));
                rustix::fs::mknodat(&parent, name, kind, Mode::RUSR | Mode::WUSR, device)
            }
        }
        .map_err(Error::file("create", path))?;
        self.own(&parent, name, wanted)?;
        if kind != FileType::Symlink {
            let mode = Mode::from_raw_mode(stat::permissions(wanted.mode));
            rustix::fs::chmodat(&parent, name, mode, AtFlags::empty())
                .map_err(Error::file("change the mode of", path))?;
        }
        rustix::fs::utimensat(&parent, name, &times(wanted), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(Error::file("set the time of", path))
    }

    fn own(&self, parent: &OwnedFd, name: &std::ffi::OsStr, wanted: &Stat) -> Result<()> {
        if self.owner == Owner::Caller {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(wanted.uid), Gid::from_raw(wanted.gid));
        rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(Error::file("change the owner of", &wanted.path))
    }

    /// Creates a regular file in the place of whatever is there.
    pub(super) fn create(&self, path: &str) -> Result<File> {
        self.root.remove_all(path).map_err(Error::file("remove", path))?;
        self.root.create_file(path, 0o600).map_err(Error::file("create", path))
    }

    /// Gives a file that is whole its attributes, the time last: by it the file is known to be whole.
    pub(super) fn finish(&self, file: &File, wanted: &Stat) -> Result<()> {
        if self.owner == Owner::Sender {
            let (uid, gid) = (Uid::from_raw(wanted.uid), Gid::from_raw(wanted.gid));
            rustix::fs::fchown(file, Some(uid), Some(gid))
                .map_err(Error::file("change the owner of", &wanted.path))?;
        }
        for (key, value) in attributes(wanted) {
            match rustix::fs::fsetxattr(file, key, value, XattrFlags::empty()) {
                Err(Errno::OPNOTSUPP) => {}
                Err(Errno::PERM | Errno::ACCESS) if self.owner == Owner::Caller => {}
                done => done.map_err(Error::file("set an attribute of", &wanted.path))?,
            }
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(stat::permissions(wanted.mode)))
            .map_err(Error::file("change the mode of", &wanted.path))?;
        rustix::fs::futimens(file, &times(wanted)).map_err(Error::file("set the time of", &wanted.path))
    }

    /// Makes a name of a file that has another already.
    pub(super) fn link(&self, wanted: &Stat) -> Result<()> {
        let failed = || Error::file("link", &wanted.path);
        let target = self.root.lstat(&wanted.linkname).map_err(Error::file("link to", &wanted.linkname))?;
        if FileType::from_raw_mode(target.st_mode) != FileType::RegularFile {
            return Err(Error::protocol(format!(
                "{:?} is a link to {:?}, which is no file",
                wanted.path, wanted.linkname
            )));
        }
        let same = |found: &rustix::fs::Stat| (found.st_dev, found.st_ino) == (target.st_dev, target.st_ino);
        if self.root.lstat(&wanted.path).is_ok_and(|found| same(&found)) {
            return Ok(());
        }
        self.root.remove_all(&wanted.path).map_err(failed())?;
        let (from, from_name) = self.root.parent(Path::new(&wanted.linkname)).map_err(failed())?;
        let (to, to_name) = self.root.parent(Path::new(&wanted.path)).map_err(failed())?;
        rustix::fs::linkat(from, from_name, to, to_name, AtFlags::empty()).map_err(failed())
    }

    /// Gives a directory its attributes, if it has others.
    pub(super) fn settle(&self, wanted: &Stat) -> Result<()> {
        let handle = self.root.open_dir(&wanted.path).map_err(Error::file("open", &wanted.path))?;
        let found = rustix::fs::fstat(&handle).map_err(Error::file("look at", &wanted.path))?;
        if self.owner == Owner::Sender && (found.st_uid, found.st_gid) != (wanted.uid, wanted.gid) {
            let (uid, gid) = (Uid::from_raw(wanted.uid), Gid::from_raw(wanted.gid));
            rustix::fs::fchown(&handle, Some(uid), Some(gid))
                .map_err(Error::file("change the owner of", &wanted.path))?;
        }
        let mode = stat::permissions(wanted.mode);
        if found.st_mode & 0o7777 != mode {
            rustix::fs::fchmod(&handle, Mode::from_raw_mode(mode))
                .map_err(Error::file("change the mode of", &wanted.path))?;
        }
        if stat::nanos(&found) == wanted.mod_time {
            return Ok(());
        }
        rustix::fs::futimens(&handle, &times(wanted)).map_err(Error::file("set the time of", &wanted.path))
    }

    /// Removes from a directory what is not to be kept.
    pub(super) fn sweep(&self, dir: &str, keep: &BTreeSet<Vec<u8>>) -> Result<()> {
        let handle = self.root.open_dir(dir).map_err(Error::file("open", dir))?;
        let list = rustix::fs::Dir::read_from(&handle).map_err(Error::file("list", dir))?;
        let mut gone = Vec::new();
        for entry in list {
            let entry = entry.map_err(Error::file("list", dir))?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") && !keep.contains(name) {
                gone.push(name.to_vec());
            }
        }
        for name in gone {
            sys::path::remove_all_at(handle.as_fd(), &name).map_err(Error::file("clear", dir))?;
        }
        Ok(())
    }
}

fn times(wanted: &Stat) -> Timestamps {
    let time = stat::timespec(wanted.mod_time);
    Timestamps { last_access: time, last_modification: time }
}

fn attributes(wanted: &Stat) -> impl Iterator<Item = (&str, &[u8])> {
    let ours = |key: &str| key == CAPABILITY || key.starts_with("user.") && !key.starts_with("user.overlay.");
    wanted
        .xattrs
        .iter()
        .filter(move |(key, _)| ours(key))
        .map(|(key, value)| (key.as_str(), value.as_slice()))
}

fn same_attributes(dir: BorrowedFd<'_>, name: &str, wanted: &Stat) -> bool {
    // the directory's own magic link, and one name that is not followed
    let path = format!("{}/{name}", sys::fd::proc_path(dir));
    let path = path.as_str();
    // most files have none: no list is made room for before it is known that there is one
    let mut names = match rustix::fs::llistxattr(path, &mut [0_u8; 0][..]) {
        Ok(0) | Err(Errno::OPNOTSUPP) => Vec::new(),
        Ok(_) => vec![0; 64 << 10],
        Err(_) => return false,
    };
    if names.is_empty() {
        return attributes(wanted).next().is_none();
    }
    let Ok(length) = rustix::fs::llistxattr(path, &mut names[..]) else { return false };
    let count = names[..length].split(|byte| *byte == 0).filter(|name| {
        std::str::from_utf8(name).is_ok_and(|name| name == CAPABILITY || name.starts_with("user."))
    });
    let mut value = vec![0; 64 << 10];
    count.count() == attributes(wanted).count()
        && attributes(wanted).all(|(key, wanted)| {
            rustix::fs::lgetxattr(path, key, &mut value[..]).is_ok_and(|length| value[..length] == *wanted)
        })
}
