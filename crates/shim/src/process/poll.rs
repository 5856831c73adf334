//! epoll, with tokens that say whose descriptor it is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Whose descriptor has become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// Signals.
    Signals,
    /// The socket that daemons connect to.
    Listener,
    /// The kernel has killed for want of memory.
    Oom,
    /// A daemon's connection.
    Daemon(u64),
    /// A session's standard output.
    Stdout(u64),
    /// A session's standard error.
    Stderr(u64),
    /// A session's standard input.
    Stdin(u64),
    /// An attached client.
    Client(u64),
    /// The program that output is handed to takes more.
    Log,
}

/// The kind takes the low bits, the number the rest.
const KIND_BITS: u32 = 4;

impl Token {
    fn encode(self) -> EventData {
        let (kind, number) = match self {
            Self::Signals => (0, 0),
            Self::Listener => (1, 0),
            Self::Oom => (2, 0),
            Self::Daemon(n) => (3, n),
            Self::Stdout(n) => (4, n),
            Self::Stderr(n) => (5, n),
            Self::Stdin(n) => (6, n),
            Self::Client(n) => (7, n),
            Self::Log => (8, 0),
        };
        EventData::new_u64(number << KIND_BITS | kind)
    }

    fn decode(data: EventData) -> Self {
        let number = data.u64() >> KIND_BITS;
        match data.u64() & ((1 << KIND_BITS) - 1) {
            0 => Self::Signals,
            1 => Self::Listener,
            2 => Self::Oom,
            3 => Self::Daemon(number),
            4 => Self::Stdout(number),
            5 => Self::Stderr(number),
            6 => Self::Stdin(number),
            7 => Self::Client(number),
            _ => Self::Log,
        }
    }
}

/// The one place where the shim waits.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
}

/// Events taken at once.
const BATCH: usize = 16;

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    /// Watch a descriptor for as long as it is open.
    pub(super) fn add(&self, fd: impl AsFd, token: Token, flags: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, token.encode(), flags)?)
    }

    /// Wait for at most `limit` (for ever without): what has become ready.
    pub(super) fn wait(
        &self,
        limit: Option<rustix::event::Timespec>,
    ) -> io::Result<Vec<(Token, EventFlags)>> {
        let mut events: Vec<Event> = Vec::with_capacity(BATCH);
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), limit.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        Ok(events.iter().map(|event| (Token::decode(event.data), event.flags)).collect())
    }
}

/// A descriptor whose interest changes; it is registered only while there is any, since the kernel reports
/// hang-ups even to those who ask for nothing.
#[derive(Debug)]
pub(super) struct Watched {
    fd: OwnedFd,
    token: Token,
    flags: EventFlags,
}

impl Watched {
    pub(super) fn new(fd: OwnedFd, token: Token) -> Self {
        Self { fd, token, flags: EventFlags::empty() }
    }

    /// Change the interest; nothing = not even hang-ups.
    pub(super) fn set(&mut self, poller: &Poller, flags: EventFlags) {
        if self.flags == flags {
            return;
        }
        let (epoll, data) = (&poller.epoll, self.token.encode());
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

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive() {
        for token in [
            Token::Signals,
            Token::Listener,
            Token::Oom,
            Token::Daemon(1),
            Token::Stdout(2),
            Token::Stderr(3),
            Token::Stdin(1 << 40),
            Token::Client(u64::MAX >> KIND_BITS),
            Token::Log,
        ] {
            assert_eq!(Token::decode(token.encode()), token);
        }
    }
}
