//! Directories on their way in (`tmp/`) and out (`trash/`).

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::{io, thread};

use crate::error::Context;
use crate::layout::{DIR_MODE, Layout};
use crate::{Error, Result};

/// A name that nobody else has.
pub(crate) fn random_name() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::io("get random bytes", io::Error::other(error.to_string())))?;
    Ok(hex::encode(bytes))
}

/// A directory below `tmp/` that goes away with this value, unless it was moved to its place.
#[derive(Debug)]
pub(crate) struct TmpDir {
    path: PathBuf,
    /// It outlives this value.
    stays: bool,
}

impl TmpDir {
    pub(crate) fn new(layout: &Layout) -> Result<Self> {
        let path = layout.tmp().join(random_name()?);
        DirBuilder::new().mode(DIR_MODE).create(&path).at("make", &path)?;
        Ok(Self { path, stays: false })
    }

    /// A directory elsewhere in the store that waits to be moved to its place, and stays where it is until then.
    pub(crate) fn waiting(path: PathBuf) -> Self {
        Self { path, stays: true }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the directory to its place.
    pub(crate) fn publish(self, to: &Path) -> Result<()> {
        fs::rename(&self.path, to).at("rename to", to)
    }
}

impl Drop for TmpDir {
    fn drop(&mut self) {
        if !self.stays {
            // Already published, or swept by the next `open`.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes directories without letting anyone wait: they are renamed into `trash/`, and a thread removes them.
/// What a crash or a shutdown leaves there is removed by the next `open`.
#[derive(Debug)]
pub(crate) struct Trash {
    layout: Layout,
    worker: Mutex<Option<Sender<PathBuf>>>,
}

impl Trash {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout, worker: Mutex::new(None) }
    }

    /// Renames `path` away. A path that doesn't exist is no error; says whether it did.
    pub(crate) fn discard(&self, path: &Path) -> Result<bool> {
        let to = self.layout.trash().join(random_name()?);
        match fs::rename(path, &to) {
            Ok(()) => self.empty(to),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::io(format!("remove {}", path.display()), error)),
        }
        Ok(true)
    }

    /// Lets the thread remove what an earlier process left in `tmp/` and `trash/`.
    pub(crate) fn collect_leftovers(&self) -> Result<()> {
        let trash = self.layout.trash();
        for entry in fs::read_dir(self.layout.tmp()).at("read", &self.layout.tmp())? {
            self.discard(&entry.at("read", &self.layout.tmp())?.path())?;
        }
        for entry in fs::read_dir(&trash).at("read", &trash)? {
            self.empty(entry.at("read", &trash)?.path());
        }
        Ok(())
    }

    fn empty(&self, path: PathBuf) {
        let mut worker = self.worker.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let sent = match worker.as_ref() {
            Some(sender) => sender.send(path),
            None => match spawn() {
                Ok(sender) => worker.insert(sender).send(path),
                Err(error) => {
                    tracing::warn!(%error, "no thread to empty the trash; it is emptied here");
                    remove(&path);
                    Ok(())
                }
            },
        };
        if let Err(mpsc::SendError(path)) = sent {
            *worker = None;
            remove(&path);
        }
    }
}

fn spawn() -> io::Result<Sender<PathBuf>> {
    let (sender, receiver) = mpsc::channel::<PathBuf>();
    let work = move || receiver.into_iter().for_each(|path| remove(&path));
    thread::Builder::new().name("store-trash".into()).stack_size(128 << 10).spawn(work)?;
    Ok(sender)
}

fn remove(path: &Path) {
    let is_dir = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir());
    let removed = if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "not removed; the next start tries again");
        }
        _ => {}
    }
}
