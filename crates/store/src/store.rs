//! The facade: opening, and what all verbs share.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use oci::Digest;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::accounts::Measured;
use crate::disk::{Trash, Umask};
use crate::error::Context;
use crate::in_flight::InFlight;
use crate::layout::Layout;
use crate::limits::Limits;
use crate::snapshot::{Driver, DriverChoice, choose_driver};
use crate::state::{self, State};
use crate::{Error, Result, cache_mount, pull};

/// Images and the root file systems of containers. Cheap to clone; every method blocks.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

/// What all clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) driver: Driver,
    pub(crate) limits: Limits,
    pub(crate) umask: Umask,
    pub(crate) trash: Trash,
    pub(crate) in_flight: InFlight,
    /// Held while a pull becomes an image.
    pub(crate) pulls: Mutex<()>,
    /// Blobs that are pulled stay beside what they unpack to.
    pub(crate) keep_compressed: AtomicBool,
    /// SELinux's, of all that is in here; unset = none.
    pub(crate) label: OnceLock<String>,
    /// Names this run of the machine.
    pub(crate) boot: String,
    pub(crate) measured: Measured,
    pub(crate) caches: cache_mount::Table,
    state: Mutex<State>,
    /// Locked as long as it is open.
    _lock: Lock,
}

impl Inner {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere can't leave it half-changed: every change is one assignment after the disk's.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

impl Store {
    /// Opens (or makes) the store in `dir`, alone: a second process is refused. Removes what an interrupted
    /// operation left.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Version`], [`Error::Driver`] when `driver` doesn't work here.
    pub fn open(dir: &Path, driver: DriverChoice) -> Result<Self> {
        Self::open_with(dir, driver, Limits::default(), &[])
    }

    /// As [`Self::open`]; stacks of layers that a build cache counts on stay, if they are there, until
    /// [`Self::let_go_of_kept`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_keeping(dir: &Path, driver: DriverChoice, kept: &[Vec<Digest>]) -> Result<Self> {
        Self::open_with(dir, driver, Limits::default(), kept)
    }

    pub(crate) fn open_with(
        dir: &Path,
        driver: DriverChoice,
        limits: Limits,
        kept: &[Vec<Digest>],
    ) -> Result<Self> {
        let layout = Layout::new(dir);
        state::make_directories(&layout)?;
        let lock = lock(&layout)?;
        let trash = Trash::new(layout.clone());
        let boot = pull::make_directory(&layout, &trash)?;
        let state = state::open(&layout, &trash, &boot, kept)?;
        let caches = cache_mount::read(&layout, &trash)?;
        let driver = choose_driver(driver, &layout)?;
        let inner = Inner {
            layout,
            driver,
            limits,
            umask: Umask::current()?,
            trash,
            in_flight: InFlight::default(),
            pulls: Mutex::new(()),
            keep_compressed: AtomicBool::new(false),
            label: OnceLock::new(),
            boot,
            measured: Measured::default(),
            caches,
            state: Mutex::new(state),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether blobs that are pulled from now on stay beside what they unpack to, so that a push needs no compression
    /// and keeps their digests though no registry has them any more. Layers that are here already are not fetched for
    /// it.
    pub fn keep_compressed(&self, keep: bool) {
        self.inner.keep_compressed.store(keep, Ordering::Relaxed);
    }

    /// The driver that new root file systems get.
    pub fn driver(&self) -> Driver {
        self.inner.driver
    }

    pub(crate) fn of(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }
}

/// The lock of a store, given back when this goes.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Not left to close(2): a child that another thread is just starting has a copy until its execve(2), and
        // would keep the lock for as long.
        _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

fn lock(layout: &Layout) -> Result<Lock> {
    let path = layout.lock();
    let options = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
    let mut file = options.open(&path).at("open", &path)?;
    let failed = |error| Error::io(format!("lock {}", path.display()), error);
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        // A daemon that was killed while it started a program has left the lock to that child, until its execve(2).
        Err(Errno::WOULDBLOCK) if holder(&mut file).is_some_and(|pid| !sys::process::is_alive(pid)) => {
            rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(failed)?;
        }
        Err(Errno::WOULDBLOCK) => return Err(Error::Locked(layout.dir().display().to_string())),
        Err(error) => return Err(failed(error)),
    }
    file.set_len(0).and_then(|()| file.rewind()).at("write", &path)?;
    write!(file, "{}", std::process::id()).at("write", &path)?;
    Ok(Lock(file))
}

/// The process that has written itself into the lock file.
fn holder(file: &mut File) -> Option<i32> {
    const MOST: u64 = 16;
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
