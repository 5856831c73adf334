//! A daemon's connection.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::EventFlags;

use super::token::{Poller, Token, Watched};
use crate::protocol::{FrameError, FrameReader, ServerFrame, encode, send_some};

/// Answers and events that may wait for a daemon which does not read; beyond, its connection is closed.
const MAX_PENDING: usize = 1 << 20;

/// One connection that requests come from.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) id: u64,
    socket: Watched,
    reader: FrameReader,
    pending: Vec<u8>,
    /// It has said hello, and so wants events.
    pub(super) greeted: bool,
}

impl Daemon {
    pub(super) fn new(id: u64, socket: OwnedFd, poller: &Poller) -> Self {
        let mut socket = Watched::new(socket, Token::Daemon(id));
        socket.set(poller, EventFlags::IN);
        Self { id, socket, reader: FrameReader::default(), pending: Vec::new(), greeted: false }
    }

    /// Read what has arrived; `false` at the end of the connection.
    pub(super) fn fill(&mut self) -> Result<bool, FrameError> {
        match self.reader.fill(&self.socket, false) {
            Err(FrameError::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => Ok(true),
            other => other,
        }
    }

    /// Read all that has arrived; `false` at the end of the connection.
    pub(super) fn fill_all(&mut self) -> Result<bool, FrameError> {
        loop {
            match self.reader.fill(&self.socket, false) {
                Err(FrameError::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => return Ok(true),
                Ok(true) => {}
                other => return other,
            }
        }
    }

    /// The next whole frame's JSON.
    pub(super) fn next_frame(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        self.reader.next_frame()
    }

    pub(super) fn take_fds(&mut self, count: usize) -> Vec<OwnedFd> {
        self.reader.take_fds(count)
    }

    /// Send a frame; what the socket does not take waits. `false` when the connection is to be closed.
    pub(super) fn send(&mut self, frame: &ServerFrame, fds: &[OwnedFd], poller: &Poller) -> bool {
        let Ok(bytes) = encode(frame) else { return false };
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let sent = match self.pending.is_empty().then(|| send_some(&self.socket, &bytes, &borrowed)) {
            Some(Ok(n)) => n,
            // descriptors can't wait, so their frame can't either
            _ if !fds.is_empty() => return false,
            Some(Err(e)) if e.kind() != std::io::ErrorKind::WouldBlock => return false,
            _ => 0,
        };
        self.pending.extend_from_slice(&bytes[sent..]);
        self.watch(poller);
        self.pending.len() <= MAX_PENDING
    }

    /// The socket takes bytes again. `false` when the connection is to be closed.
    pub(super) fn flush(&mut self, poller: &Poller) -> bool {
        while !self.pending.is_empty() {
            match send_some(&self.socket, &self.pending, &[]) {
                Ok(n) => drop(self.pending.drain(..n)),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        self.watch(poller);
        true
    }

    fn watch(&mut self, poller: &Poller) {
        let mut flags = EventFlags::IN;
        flags.set(EventFlags::OUT, !self.pending.is_empty());
        self.socket.set(poller, flags);
    }
}
