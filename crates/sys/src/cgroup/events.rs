//! Events of a cgroup: out of memory, and the core files `cgroup.events`, `cgroup.freeze` and
//! `cgroup.kill` of the unified hierarchy, which hybrid hosts have as well.

use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::dir::{Dir, field, gone, read_all};
use super::{Error, Result};

/// A source of out-of-memory events for `epoll` or `poll`.
#[derive(Debug)]
pub struct OomWatch {
    kind: Kind,
    /// Kills counted when the watch began or was last read.
    seen: u64,
}

#[derive(Debug)]
enum Kind {
    /// An eventfd that the v1 memory controller counts up, and `memory.oom_control`.
    V1 { event: OwnedFd, control: OwnedFd },
    /// `memory.events`, which signals a priority event at each change.
    V2 { events: OwnedFd },
}

impl OomWatch {
    pub(super) fn v1(dir: &Dir) -> Result<Self> {
        let fail = |errno| Error::io("watch", &dir.path().join("memory.oom_control"), errno);
        let event =
            rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(fail)?;
        let control = dir.open_file("memory.oom_control", OFlags::RDONLY)?;
        let words = (raw(&event), raw(&control));
        dir.write("cgroup.event_control", format_args!("{} {}", words.0, words.1))?;
        let mut watch = Self { kind: Kind::V1 { event, control }, seen: 0 };
        watch.seen = watch.count()?;
        Ok(watch)
    }

    pub(super) fn v2(dir: &Dir) -> Result<Self> {
        let events = dir.open_file("memory.events", OFlags::RDONLY)?;
        let mut watch = Self { kind: Kind::V2 { events }, seen: 0 };
        watch.seen = watch.count()?;
        Ok(watch)
    }

    /// What to ask `epoll` for: `EPOLLIN` for v1's eventfd, `EPOLLPRI` for v2's control file (which is
    /// always readable).
    #[must_use]
    pub fn interest(&self) -> EventFlags {
        match self.kind {
            Kind::V1 { .. } => EventFlags::IN,
            Kind::V2 { .. } => EventFlags::PRI,
        }
    }

    /// Takes the event, and tells how many processes were killed for memory since the last call.
    /// Never blocks. v1 also signals when the cgroup is removed: then the answer is 0.
    ///
    /// # Errors
    /// [`Error::Io`] when the cgroup's file can't be read.
    pub fn take(&mut self) -> Result<u64> {
        if let Kind::V1 { event, .. } = &self.kind {
            // The count of wake-ups says nothing about kills; EAGAIN is "none since".
            let _ = rustix::io::read(event, &mut [0_u8; 8]);
        }
        match self.count() {
            Ok(count) => {
                let new = count.saturating_sub(self.seen);
                self.seen = count;
                Ok(new)
            }
            Err(err) if gone(&err) => Ok(0),
            Err(err) => Err(err),
        }
    }

    fn count(&self) -> Result<u64> {
        let (fd, name) = match &self.kind {
            Kind::V1 { control, .. } => (control, "memory.oom_control"),
            Kind::V2 { events } => (events, "memory.events"),
        };
        let text = read_all(fd).map_err(|errno| Error::io("read", name.as_ref(), errno))?;
        Ok(field(&text, "oom_kill").unwrap_or(0))
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::V1 { event, .. } => event.as_fd(),
            Kind::V2 { events } => events.as_fd(),
        }
    }
}

fn raw(fd: &OwnedFd) -> i32 {
    use rustix::fd::AsRawFd;
    fd.as_raw_fd()
}

/// Does the kernel have `cgroup.freeze` (5.2)?
pub(super) fn can_freeze(dir: &Dir) -> bool {
    dir.has("cgroup.freeze")
}

/// Freezes (`true`) or thaws, and waits for the state to be reached.
pub(super) fn set_frozen(dir: &Dir, frozen: bool, limit: Duration) -> Result<()> {
    let value = u8::from(frozen);
    dir.write("cgroup.freeze", value)?;
    if frozen && !wait_field(dir, "frozen", 1, limit)? {
        dir.write("cgroup.freeze", 0)?;
        return Err(Error::NotFrozen { path: dir.path().display().to_string(), seconds: limit.as_secs() });
    }
    Ok(())
}

pub(super) fn is_frozen(dir: &Dir) -> Result<bool> {
    Ok(dir.number("cgroup.freeze")? == Some(1))
}

/// Kills everything at once with `cgroup.kill` (Linux 5.14). `false` when the kernel doesn't have it.
pub(super) fn kill(dir: &Dir) -> Result<bool> {
    match dir.write("cgroup.kill", 1) {
        Err(err) if err.errno() == Some(Errno::NOENT) && dir.has("cgroup.procs") => Ok(false),
        Err(err) if gone(&err) => Ok(true),
        other => other.map(|()| true),
    }
}

/// Waits until no process is in the cgroup and below.
pub(super) fn wait_empty(dir: &Dir, limit: Duration) -> Result<()> {
    match wait_field(dir, "populated", 0, limit) {
        Ok(true) => Ok(()),
        Ok(false) => Err(not_empty(dir, limit)),
        Err(err) if gone(&err) => Ok(()),
        Err(err) => Err(err),
    }
}

pub(super) fn not_empty(dir: &Dir, limit: Duration) -> Error {
    Error::NotEmpty { path: dir.path().display().to_string(), seconds: limit.as_secs() }
}

/// Waits until `cgroup.events` has `value` at `key`; `false` when `limit` passes first. The file wakes
/// its pollers at each change, so a read that follows the wake-up can't miss one.
fn wait_field(dir: &Dir, key: &str, value: u64, limit: Duration) -> Result<bool> {
    let fail = |errno| Error::io("watch", &dir.path().join("cgroup.events"), errno);
    let events = dir.open_file("cgroup.events", OFlags::RDONLY)?;
    let end = Instant::now() + limit;
    loop {
        let text = read_all(&events).map_err(fail)?;
        if field(&text, key) == Some(value) {
            return Ok(true);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        poll_one(&events, PollFlags::PRI, left).map_err(fail)?;
    }
}

/// Waits for one fd, at most for `limit`; an interrupted wait counts as woken.
pub(super) fn poll_one(fd: &OwnedFd, flags: PollFlags, limit: Duration) -> rustix::io::Result<bool> {
    let timeout = Timespec::try_from(limit).ok();
    match rustix::event::poll(&mut [PollFd::new(fd, flags)], timeout.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(true),
        Err(errno) => Err(errno),
    }
}
