//! What is done to the directory, by threads that may block.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::super::{Result, StorageError};
use super::below;
use super::list::Listings;
use crate::server::random;

/// Where files are while they are written.
const TEMPORARY: &str = "tmp";

/// The file whose lock is shared by what puts and touches, and had alone by what removes by age.
const LOCK: &str = "lock";

/// How old a temporary file is that nobody writes any more.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a directory may be taken away between making it and using it.
const ATTEMPTS: usize = 64;

/// The directory.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    pub(super) listings: Listings,
}

impl Disk {
    pub(super) fn open(root: &Path) -> Result<Self> {
        let failed = |what| move |source| StorageError::Io { what, key: root.display().to_string(), source };
        let root = std::path::absolute(root).map_err(failed("find"))?;
        directories().create(&root).map_err(failed("make the directory"))?;
        Ok(Self { root, listings: Listings::default() })
    }

    pub(super) fn path(&self, key: &str) -> PathBuf {
        below(&self.root, key)
    }

    /// Nothing is in it but what every new file system has.
    pub(super) fn is_fresh(&self) -> Result<bool> {
        let look = || -> io::Result<bool> {
            for entry in fs::read_dir(&self.root)? {
                let name = entry?.file_name();
                let ours = name == OsStr::new(TEMPORARY) || name == OsStr::new(LOCK);
                if !ours && name != OsStr::new("lost+found") {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        look().map_err(|source| StorageError::Io {
            what: "list",
            key: self.root.display().to_string(),
            source,
        })
    }

    /// Removes temporary files that nobody writes any more. What can't be removed is tried again at the next start.
    pub(super) fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.root.join(TEMPORARY)) else { return };
        for entry in entries.flatten() {
            let age = entry
                .metadata()
                .and_then(|meta| meta.modified())
                .map(|at| SystemTime::now().duration_since(at));
            if matches!(age, Ok(Ok(age)) if age > ABANDONED) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }

    /// Makes or replaces a file: whole, durable and at once.
    pub(super) fn put(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        let target = self.path(key);
        let (temporary, mut file) = self.temporary()?;
        let outcome = file
            .write_all(bytes)
            .and_then(|()| file.sync_data())
            .and_then(|()| self.rename(&temporary, &target));
        if outcome.is_err() {
            drop(fs::remove_file(&temporary));
        }
        outcome
    }

    /// Makes an empty file. It is an upload's: nothing is lost that somebody was promised.
    pub(super) fn create(&self, key: &str) -> io::Result<()> {
        let target = self.path(key);
        self.within_parents(&target, || {
            OpenOptions::new().write(true).create_new(true).mode(0o640).open(&target).map(drop)
        })
    }

    /// Makes the file `from` the file `to`, durably; whether there was one.
    pub(super) fn promote(&self, from: &str, to: &str) -> io::Result<bool> {
        let (source, target) = (self.path(from), self.path(to));
        let Some(file) = super::present(File::open(&source))? else { return Ok(false) };
        // it is as old as what it becomes, not as its last byte
        file.set_modified(SystemTime::now())?;
        file.sync_all()?;
        drop(file);
        self.rename(&source, &target)?;
        self.prune(&source);
        Ok(true)
    }

    /// Makes a file as young as one that is put now, durably; whether there was one.
    pub(super) fn touch(&self, key: &str) -> io::Result<bool> {
        let path = self.path(key);
        let _shared = self.share()?;
        let options = OpenOptions::new().read(true).custom_flags(super::no_follow()).open(path);
        let Some(file) = super::present(options)? else { return Ok(false) };
        file.set_modified(SystemTime::now())?;
        file.sync_all()?;
        Ok(true)
    }

    /// Removes a file that is older than `cutoff`, while nobody puts or touches any; whether it did.
    pub(super) fn remove_aged(&self, key: &str, cutoff: SystemTime) -> io::Result<bool> {
        let path = self.path(key);
        let alone = self.lock_file()?;
        alone.lock()?;
        let Some(found) = super::present(fs::symlink_metadata(&path))? else { return Ok(false) };
        if !found.is_file() || found.modified()? >= cutoff {
            return Ok(false);
        }
        let is_gone = super::present(fs::remove_file(&path))?.is_some();
        drop(alone);
        self.removed(&path)?;
        Ok(is_gone)
    }

    /// Until this is dropped, nothing is removed by age.
    fn share(&self) -> io::Result<File> {
        let file = self.lock_file()?;
        file.lock_shared()?;
        Ok(file)
    }

    fn lock_file(&self) -> io::Result<File> {
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o640)
            .custom_flags(super::no_follow())
            .open(self.root.join(LOCK))
    }

    /// Removes a file, and the directories that are empty then; whether there was one.
    pub(super) fn remove(&self, key: &str) -> io::Result<bool> {
        let path = self.path(key);
        if super::present(fs::remove_file(&path))?.is_none() {
            return Ok(false);
        }
        self.removed(&path)?;
        Ok(true)
    }

    fn removed(&self, path: &Path) -> io::Result<()> {
        if let Some(parent) = path.parent() {
            // whoever was told that it is gone finds it gone after a power loss, too
            super::present(sync(parent))?;
        }
        self.prune(path);
        Ok(())
    }

    fn temporary(&self) -> io::Result<(PathBuf, File)> {
        let path = self.root.join(TEMPORARY).join(hex::encode(random::bytes::<16>()?));
        let file = self.within_parents(&path, || {
            OpenOptions::new().write(true).create_new(true).mode(0o640).open(&path)
        })?;
        Ok((path, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.within_parents(to, || match self.share().and_then(|_shared| fs::rename(from, to)) {
            // of both ends only the target's directory is anybody's to take away
            Err(error) if error.kind() == ErrorKind::NotFound && !from.exists() => {
                Err(io::Error::other("the file was taken away while it was put into place"))
            }
            outcome => outcome,
        })?;
        to.parent().map_or(Ok(()), sync)
    }

    /// Does `work` with the directories above `path` in place, though others take empty ones away.
    fn within_parents<T>(&self, path: &Path, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let mut outcome = work();
        for _ in 0..ATTEMPTS {
            match &outcome {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                _ => break,
            }
            match path.parent().map(|parent| self.make(parent)) {
                Some(Err(error)) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => outcome = work(),
            }
        }
        outcome
    }

    /// Makes a directory and those above it, each durable in the one above.
    fn make(&self, dir: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o750).create(dir) {
            Ok(()) => dir.parent().map_or(Ok(()), sync),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error)
                if error.kind() == ErrorKind::NotFound && dir.starts_with(&self.root) && dir != self.root =>
            {
                dir.parent().map_or(Ok(()), |parent| self.make(parent))?;
                self.make_last(dir)
            }
            Err(error) => Err(error),
        }
    }

    fn make_last(&self, dir: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o750).create(dir) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
            Ok(()) => dir.parent().map_or(Ok(()), sync),
        }
    }

    /// Removes the directories above `path` that are empty.
    fn prune(&self, path: &Path) {
        let mut dir = path.parent();
        while let Some(empty) = dir {
            if empty == self.root || !empty.starts_with(&self.root) || fs::remove_dir(empty).is_err() {
                return;
            }
            dir = empty.parent();
        }
    }
}

fn directories() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o750);
    builder
}

/// What was renamed into a directory or removed from it stays so.
fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
