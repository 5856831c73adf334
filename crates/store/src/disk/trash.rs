//! Directories on their way out (`trash/`).
//!
//! Removing takes long: a file system that tells the disk which blocks are free (`discard`) may do so file by file.
//! So nobody waits for it, and it waits for those that somebody does wait for.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use rustix::io::Errno;

use super::dirs::random_name;
use crate::error::Context;
use crate::layout::Layout;
use crate::{Error, Result};

/// The longest that work which doesn't end keeps the thread from removing.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks whether the disk fills up meanwhile.
const LOOK: Duration = Duration::from_secs(1);
/// Below this part of the disk, space comes first.
const ROOMY: u64 = 8;
/// The last level of the best-effort class (ioprio_set(2)). Not the idle class, for the thread holds locks of the
/// file system while it waits; and no less of the processor than others, for it needs little, but needs it after
/// each file.
const IO_PRIORITY: (u8, u8) = (2, 7);

/// Removes directories without letting anyone wait: they are renamed into `trash/`, and a thread removes them.
/// What a crash or a shutdown leaves there is removed by the next `open`.
#[derive(Debug)]
pub(crate) struct Trash {
    layout: Layout,
    worker: Mutex<Option<Sender<PathBuf>>>,
    traffic: Arc<Traffic>,
}

/// As long as it lives, removing gives way.
#[derive(Debug)]
pub(crate) struct GiveWay(Arc<Traffic>);

/// How much work is going on that somebody waits for.
#[derive(Debug, Default)]
struct Traffic {
    busy: Mutex<usize>,
    changed: Condvar,
}

impl Traffic {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GiveWay {
    fn drop(&mut self) {
        let mut busy = self.0.lock();
        *busy -= 1;
        if *busy == 0 {
            self.0.changed.notify_all();
        }
    }
}

impl Trash {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout, worker: Mutex::new(None), traffic: Arc::default() }
    }

    /// Somebody waits for what the caller begins.
    pub(crate) fn give_way(&self) -> GiveWay {
        *self.traffic.lock() += 1;
        GiveWay(self.traffic.clone())
    }

    /// Renames all that is in a directory away but what is called `name`: what other runs of the machine have left. A
    /// directory that doesn't exist is no error.
    pub(crate) fn discard_others(&self, dir: &Path, name: &str) -> Result<()> {
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.at("read", dir)?,
        };
        for entry in entries {
            let entry = entry.at("read", dir)?;
            if entry.file_name() != *name {
                self.discard(&entry.path())?;
            }
        }
        Ok(())
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
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = match worker.as_ref() {
            Some(sender) => sender.send(path),
            None => match self.spawn() {
                Ok(sender) => worker.insert(sender).send(path),
                Err(error) => {
                    tracing::warn!(%error, "no thread to empty the trash; it is emptied here");
                    remove(&path, &mut || ());
                    Ok(())
                }
            },
        };
        if let Err(mpsc::SendError(path)) = sent {
            *worker = None;
            remove(&path, &mut || ());
        }
    }

    fn spawn(&self) -> io::Result<Sender<PathBuf>> {
        let (sender, receiver) = mpsc::channel::<PathBuf>();
        let (trash, traffic) = (self.layout.trash(), self.traffic.clone());
        let work = move || {
            if let Err(error) = sys::sched::set_io_priority(IO_PRIORITY.0, IO_PRIORITY.1) {
                tracing::debug!(%error, "the trash is emptied with ordinary priority");
            }
            let mut since = None;
            for path in receiver {
                remove(&path, &mut || traffic.wait(&trash, &mut since));
            }
        };
        thread::Builder::new().name("store-trash".into()).stack_size(128 << 10).spawn(work)?;
        Ok(sender)
    }
}

impl Traffic {
    /// Waits until nobody works, but once for each time of work, and not while space is scarce. `since` is when this
    /// time of work was first met.
    fn wait(&self, trash: &Path, since: &mut Option<Instant>) {
        let mut busy = self.lock();
        while *busy > 0 {
            let left = PATIENCE.saturating_sub(since.get_or_insert_with(Instant::now).elapsed());
            if left.is_zero() || !is_roomy(trash) {
                return;
            }
            let (again, _) =
                self.changed.wait_timeout(busy, left.min(LOOK)).unwrap_or_else(PoisonError::into_inner);
            busy = again;
        }
        *since = None;
    }
}

fn is_roomy(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|disk| disk.f_bavail > disk.f_blocks / ROOMY)
}

fn remove(path: &Path, between: &mut dyn FnMut()) {
    let (Some(up), Some(name)) = (path.parent(), path.file_name()) else { return };
    let removed = File::open(up)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        .and_then(|up| sys::path::remove_all_slowly(up.as_fd(), name.as_bytes(), between));
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "not removed; the next start tries again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_way_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let trash = Trash::new(layout.clone());
        fs::create_dir(layout.trash()).unwrap();
        let old = dir.path().join("old");
        fs::create_dir_all(old.join("a/b")).unwrap();
        fs::write(old.join("a/b/c"), "x").unwrap();
        let left = || fs::read_dir(layout.trash()).unwrap().count();

        let (first, second) = (trash.give_way(), trash.give_way());
        assert!(trash.discard(&old).unwrap());
        assert!(!trash.discard(&old).unwrap());
        drop(first);
        if is_roomy(dir.path()) {
            assert_eq!(left(), 1, "somebody waits for the second");
        }
        drop(second);
        let deadline = Instant::now() + Duration::from_secs(30);
        while left() > 0 {
            assert!(Instant::now() < deadline, "the trash is not emptied");
            thread::yield_now();
        }
    }

    #[test]
    fn work_without_end_does_not_keep_the_disk_full() {
        let traffic = Traffic { busy: Mutex::new(1), changed: Condvar::new() };
        let mut since = Instant::now().checked_sub(PATIENCE);
        assert!(since.is_some());
        traffic.wait(Path::new("/"), &mut since);
        assert!(since.is_some(), "it does not begin to wait again");
        *traffic.lock() = 0;
        traffic.wait(Path::new("/"), &mut since);
        assert!(since.is_none());
    }
}
