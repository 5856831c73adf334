//! Going on while the log grows: inotify on the log's directory, across rotations.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::chunks::Chunks;
use super::files::{self, LogFile};
use super::{Filter, Format};

/// Ends a [`super::read`] with `follow`, from another thread.
#[derive(Debug)]
pub struct Stopper {
    finish: OwnedFd,
    abort: OwnedFd,
}

impl Stopper {
    /// Share it (for example in an `Arc`) with the reader.
    ///
    /// # Errors
    /// Out of file descriptors.
    pub fn new() -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self { finish: eventfd(0, flags)?, abort: eventfd(0, flags)? })
    }

    /// The container has ended: the reader gives what is in the log, and ends.
    pub fn finish(&self) {
        raise(&self.finish);
    }

    /// Nobody listens any more: the reader ends at once.
    pub fn abort(&self) {
        raise(&self.abort);
    }
}

fn raise(fd: &OwnedFd) {
    // only fails when raised 2^64 times, and then it is raised
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}

/// Sees the log change.
pub(super) struct Watch<'a> {
    inotify: OwnedFd,
    stopper: &'a Stopper,
}

enum Woken {
    Changed,
    Finish,
    Abort,
}

impl<'a> Watch<'a> {
    pub(super) fn new(path: &Path, stopper: &'a Stopper) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let dir = path.parent().unwrap_or(Path::new("."));
        inotify::add_watch(&inotify, dir, WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO)?;
        Ok(Self { inotify, stopper })
    }

    pub(super) fn follow(
        &self,
        path: &Path,
        mut current: Chunks,
        format: Format,
        filter: &mut Filter<'_>,
    ) -> io::Result<()> {
        loop {
            if filter.give.idle().is_break() {
                return Ok(());
            }
            // asked before reading: what is written later wakes us again, or was written before the end
            let woken = self.wait()?;
            if matches!(woken, Woken::Abort) || current.read_on(&mut |e| filter.offer(e))?.is_break() {
                return Ok(());
            }
            while let Some(next) = successor(path, &current, format, filter)? {
                // what was written between our last read and the rotation
                if current.read_on(&mut |e| filter.offer(e))?.is_break() {
                    return Ok(());
                }
                current = Chunks::new(next, format);
                if current.read_on(&mut |e| filter.offer(e))?.is_break() {
                    return Ok(());
                }
            }
            if matches!(woken, Woken::Finish) {
                return Ok(());
            }
        }
    }

    fn wait(&self) -> io::Result<Woken> {
        let mut fds = [
            PollFd::new(&self.stopper.abort, PollFlags::IN),
            PollFd::new(&self.stopper.finish, PollFlags::IN),
            PollFd::new(&self.inotify, PollFlags::IN),
        ];
        rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
        if !fds[0].revents().is_empty() {
            return Ok(Woken::Abort);
        }
        if !fds[1].revents().is_empty() {
            return Ok(Woken::Finish);
        }
        self.drain();
        Ok(Woken::Changed)
    }

    /// The events themselves say nothing that the files don't say better.
    fn drain(&self) {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        while rustix::io::read(self.inotify.as_fd(), &mut buffer).is_ok_and(|(events, _)| !events.is_empty())
        {
        }
    }
}

/// The file that was begun after the one we read, if there is one.
fn successor(
    path: &Path,
    current: &Chunks,
    format: Format,
    filter: &Filter<'_>,
) -> io::Result<Option<LogFile>> {
    let newest = match std::fs::metadata(path) {
        Ok(meta) => (meta.dev(), meta.ino()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    if current.inode() == Some(newest) {
        return Ok(None);
    }
    let mut files = files::open_all(path)?;
    match files.iter().position(|file| Some(file.inode) == current.inode()) {
        Some(at) => Ok(files.drain(at + 1..).next()),
        // It is gone, removed or compressed: the oldest file with anything newer, else the current one.
        None => oldest_newer(files, format, filter),
    }
}

fn oldest_newer(files: Vec<LogFile>, format: Format, filter: &Filter<'_>) -> io::Result<Option<LogFile>> {
    let Some(newest) = filter.newest else { return Ok(files.into_iter().next()) };
    let count = files.len();
    for (i, mut file) in files.into_iter().enumerate() {
        if i + 1 == count || file.begins_after(newest, format)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}
