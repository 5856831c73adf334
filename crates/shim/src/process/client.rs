//! One attached client.
//!
//! Output that a client's socket does not take at once waits here, and while it does, its session's output is
//! not read: the container is held back, so that a slow reader (`| less`) misses nothing, as in Docker. A
//! client that takes no byte for [`STALL_LIMIT`] is dropped, so that it can't hold the container for ever.

use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

use super::token::{Poller, Token, Watched};
use crate::detach::Detector;
use crate::log::Stream;
use crate::protocol::{AttachRequest, STREAM_HEADER};

/// How long a client may hold the container's output back without taking a byte.
pub(super) const STALL_LIMIT: Duration = Duration::from_secs(300);

/// Bytes of input read at once.
const INPUT: usize = 4096;

/// An attached client's connection and its state.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: u64,
    socket: Watched,
    /// It sends input, and has not ended it.
    pub(super) stdin: bool,
    stdout: bool,
    stderr: bool,
    detector: Detector,
    /// Output that the socket would not take.
    pending: Vec<u8>,
    /// Since when it has taken nothing.
    stalled: Option<Instant>,
    /// There will be no more output: close when `pending` is empty.
    finishing: bool,
    /// Its other end is closed; only input on its way is left.
    hung_up: bool,
}

/// What a client has sent.
pub(super) enum Input {
    /// Bytes for the process.
    Bytes(Vec<u8>),
    /// Some, then its detach keys.
    Detach(Vec<u8>),
    /// Nothing now.
    Nothing,
    /// No more.
    End,
}

/// The connection is of no use any more.
#[derive(Debug)]
pub(super) struct Lost;

impl Client {
    pub(super) fn new(id: u64, socket: OwnedFd, request: &AttachRequest) -> Self {
        Self {
            id,
            socket: Watched::new(socket, Token::Client(id)),
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            detector: Detector::new(request.detach_keys.clone()),
            pending: Vec::new(),
            stalled: None,
            finishing: false,
            hung_up: false,
        }
    }

    /// Ask for what can be dealt with. Hang-ups are always reported.
    pub(super) fn watch(&mut self, poller: &Poller, take_input: bool) {
        let mut flags = EventFlags::HUP | EventFlags::ERR;
        if self.hung_up && !take_input {
            return self.socket.set(poller, EventFlags::empty());
        }
        flags.set(EventFlags::IN, take_input && self.stdin && !self.finishing);
        flags.set(EventFlags::OUT, !self.pending.is_empty());
        self.socket.set(poller, flags);
    }

    pub(super) fn is_blocked(&self) -> bool {
        !self.pending.is_empty()
    }

    /// When it is dropped unless it takes something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.stalled.map(|since| since + STALL_LIMIT)
    }

    /// Send a chunk of output; with `header` in Docker's frame.
    pub(super) fn send(&mut self, stream: Stream, chunk: &[u8], header: bool) -> Result<(), Lost> {
        let wanted = match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        };
        if !wanted || self.finishing {
            return Ok(());
        }
        let mut head = [stream.number(), 0, 0, 0, 0, 0, 0, 0];
        let length = u32::try_from(chunk.len()).map_err(|_too_long| Lost)?;
        head[4..].copy_from_slice(&length.to_be_bytes());
        let head: &[u8] = if header { &head } else { &[] };
        let sent = if self.pending.is_empty() { self.try_send(head, chunk)? } else { 0 };
        if sent < head.len() + chunk.len() {
            self.pending.extend_from_slice(&head[sent.min(head.len())..]);
            self.pending.extend_from_slice(&chunk[sent.saturating_sub(head.len())..]);
            self.stalled.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn try_send(&self, head: &[u8], chunk: &[u8]) -> Result<usize, Lost> {
        const { assert!(STREAM_HEADER == 8) };
        let parts = [IoSlice::new(head), IoSlice::new(chunk)];
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let mut none = rustix::net::SendAncillaryBuffer::default();
        match rustix::io::retry_on_intr(|| rustix::net::sendmsg(&self.socket, &parts, &mut none, flags)) {
            Ok(n) => Ok(n),
            Err(Errno::AGAIN) => Ok(0),
            Err(_) => Err(Lost),
        }
    }

    /// The socket takes bytes again; `Lost` also after the last byte of a client that was to be closed.
    pub(super) fn flush(&mut self) -> Result<(), Lost> {
        while !self.pending.is_empty() {
            match self.try_send(&[], &self.pending)? {
                0 => return Ok(()),
                n => {
                    self.pending.drain(..n);
                    self.stalled = Some(Instant::now());
                }
            }
        }
        self.pending = Vec::new();
        self.stalled = None;
        if self.finishing { Err(Lost) } else { Ok(()) }
    }

    /// Read what it has sent. Detach keys are typed: they mean something to a terminal only.
    pub(super) fn read(&mut self, terminal: bool) -> Result<Input, Lost> {
        let mut buffer = [0; INPUT];
        match rustix::io::retry_on_intr(|| {
            rustix::net::recv(&self.socket, &mut buffer, RecvFlags::DONTWAIT).map(|(n, _)| n)
        }) {
            Ok(0) => {
                self.stdin = false;
                Ok(Input::End)
            }
            Ok(n) if !terminal => Ok(Input::Bytes(buffer[..n].to_vec())),
            Ok(n) => {
                let scanned = self.detector.scan(&buffer[..n]);
                Ok(if scanned.detached { Input::Detach(scanned.pass) } else { Input::Bytes(scanned.pass) })
            }
            Err(Errno::AGAIN) => Ok(Input::Nothing),
            Err(_) => Err(Lost),
        }
    }

    /// Nobody reads there any more: whether it is worth keeping, for the input on its way.
    pub(super) fn hang_up(&mut self) -> bool {
        self.hung_up = true;
        self.stdout = false;
        self.stderr = false;
        self.pending = Vec::new();
        self.stalled = None;
        self.stdin && !self.finishing
    }

    /// No more output will come; `Err` when it can be closed at once.
    pub(super) fn finish(&mut self) -> Result<(), Lost> {
        self.finishing = true;
        self.stdin = false;
        if self.pending.is_empty() { Err(Lost) } else { Ok(()) }
    }
}

impl Drop for Client {
    /// Input that was not read is taken first: closing would discard the output on its way to the client.
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(self.socket.as_fd(), Shutdown::Both);
        let mut buffer = [0; INPUT];
        for _ in 0..64 {
            match rustix::net::recv(&self.socket, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((n, _)) if n > 0 => {}
                _ => break,
            }
        }
    }
}
