//! epoll, with tokens that say whose descriptor it is.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// A number by which the kernel tells whose descriptor has become ready.
pub(crate) trait Token: Copy {
    /// As the kernel keeps it.
    fn encode(self) -> u64;
    /// The inverse.
    fn decode(data: u64) -> Self;
}

/// An epoll instance.
#[derive(Debug)]
pub(crate) struct Poller<T> {
    epoll: OwnedFd,
    tokens: PhantomData<T>,
}

/// Events taken at once.
const BATCH: usize = 16;

impl<T: Token> Poller<T> {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, tokens: PhantomData })
    }

    /// Watch a descriptor for as long as it is open.
    pub(crate) fn add(&self, fd: impl AsFd, token: T, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, EventData::new_u64(token.encode()), flags)?)
    }

    /// Wait for at most `limit` (for ever without): what has become ready.
    pub(crate) fn wait(&self, limit: Option<rustix::event::Timespec>) -> io::Result<Vec<(T, EventFlags)>> {
        let mut events: Vec<Event> = Vec::with_capacity(BATCH);
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        Ok(events.iter().map(|event| (T::decode(event.data.u64()), event.flags)).collect())
    }
}

/// A descriptor whose interest changes; it is registered only while there is any, since the kernel reports
/// hang-ups even to those who ask for nothing.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    fd: OwnedFd,
    token: T,
    flags: EventFlags,
}

impl<T: Token> Watched<T> {
    pub(crate) fn new(fd: OwnedFd, token: T) -> Self {
        Self { fd, token, flags: EventFlags::empty() }
    }

    /// Change the interest; nothing = not even hang-ups.
    pub(crate) fn set(&mut self, poller: &Poller<T>, flags: EventFlags) {
        if self.flags == flags {
            return;
        }
        let (epoll, data) = (&poller.epoll, EventData::new_u64(self.token.encode()));
        // The calls fail only for want of memory. Then the interest stays as it was, and is asked for again.
        let changed = if self.flags.is_empty() {
            epoll::add(epoll, &self.fd, data, flags)
        } else if flags.is_empty() {
            epoll::delete(epoll, &self.fd)
        } else {
            epoll::modify(epoll, &self.fd, data, flags)
        };
        if changed.is_ok() {
            self.flags = flags;
        }
    }
}

impl<T> AsFd for Watched<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<T> AsFd for Poller<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
