//! Output that also goes elsewhere (syslog, fluentd, …): handed to a program of its own, so that no server that is slow
//! or away, and nothing that it sends, reaches this process.
//!
//! Messages wait here, whole, until the program's socket has taken them. A container in blocking mode is not read
//! while any do; in non-blocking mode messages beyond the buffer's size are dropped. A program that dies is started again.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};
use sys::Pid;
use sys::process::Child;
use sys::spawn::Command;

use super::error::LogError;
use super::frame::{self, Message};
use crate::protocol::ForwardRequest;

/// What the program is called as.
pub const PROGRAM: &str = "berth-log";

/// Longest reason for not being ready, in bytes.
const MAX_REASON: usize = 4096;

/// A program that dies is started again after this long at the earliest, and at most twice as long each time.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(60);

/// How long messages may wait after the container's end.
const GRACE: Duration = Duration::from_secs(10);

/// The way to the program.
#[derive(Debug)]
pub(super) struct Forward {
    request: ForwardRequest,
    running: Option<Running>,
    /// Whole messages; the first may have been sent in part.
    pending: Vec<u8>,
    /// How much of `pending` the present program has got.
    sent: usize,
    delay: Duration,
    /// When to start the program again.
    again_at: Option<Instant>,
    /// Nothing will be added; what still waits then is lost.
    give_up_at: Option<Instant>,
}

#[derive(Debug)]
struct Running {
    socket: OwnedFd,
    child: Child,
    since: Instant,
}

impl Forward {
    /// Start the program and wait for its answer.
    pub(super) fn open(request: &ForwardRequest) -> Result<Self, LogError> {
        let running =
            start(request, false).map_err(LogError::file("start log forwarder", &request.program))?;
        let answer = answer(&running.socket)
            .map_err(|e| LogError::NotReady(format!("the log forwarder has ended: {e}")))?;
        if !answer.is_empty() {
            // it ends by itself
            let _ = running.child.wait();
            return Err(LogError::NotReady(answer));
        }
        Ok(Self {
            request: request.clone(),
            running: Some(running),
            pending: Vec::new(),
            sent: 0,
            delay: FIRST_DELAY,
            again_at: None,
            give_up_at: None,
        })
    }

    /// Add one message; it goes with the next [`Self::flush`].
    pub(super) fn add(&mut self, message: &Message<'_>) {
        let limit = self.request.buffer;
        let full = |limit: u64| (self.pending.len() + message.line.len()) as u64 > limit;
        if !self.pending.is_empty() && limit.is_some_and(full) {
            return;
        }
        frame::encode(&mut self.pending, message);
    }

    /// Give the program what it takes now.
    pub(super) fn flush(&mut self) {
        let Some(running) = &self.running else { return };
        while self.sent < self.pending.len() {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::net::send(&running.socket, &self.pending[self.sent..], flags) {
                Ok(n) => self.sent += n,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // its end is reported apart
                Err(_) => break,
            }
        }
        self.forget_sent();
    }

    /// Messages are kept until all of them is sent, so that another program can be given them whole.
    fn forget_sent(&mut self) {
        let mut whole = 0;
        while let Some(length) = frame::length(&self.pending[whole..]) {
            if whole + length > self.sent {
                break;
            }
            whole += length;
        }
        self.pending.drain(..whole);
        self.sent -= whole;
        if self.pending.is_empty() && self.give_up_at.is_some() {
            self.hang_up();
        }
    }

    /// Give memory back.
    pub(super) fn rest(&mut self) {
        self.pending.shrink_to_fit();
    }

    /// Whether something waits for the program.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether the container has to wait.
    pub(super) fn is_blocked(&self) -> bool {
        self.request.buffer.is_none() && self.has_pending()
    }

    pub(super) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.running.as_ref().map(|running| running.socket.as_fd())
    }

    /// The container's output has ended.
    pub(super) fn finish(&mut self) {
        self.give_up_at.get_or_insert_with(|| Instant::now() + GRACE);
        self.flush();
    }

    /// The program reads what it has got, and ends.
    fn hang_up(&mut self) {
        if let Some(running) = &self.running {
            // one that has ended already needs to be told nothing
            let _ = rustix::net::shutdown(&running.socket, Shutdown::Write);
        }
    }

    /// A child has ended; whether it was the program.
    pub(super) fn child_ended(&mut self, pid: Pid) -> bool {
        let Some(running) = self.running.take_if(|running| running.child.pid == pid) else { return false };
        if running.since.elapsed() > LAST_DELAY {
            self.delay = FIRST_DELAY;
        }
        self.sent = 0;
        if !self.is_over() {
            self.again_at = Some(Instant::now() + self.delay);
            self.delay = (self.delay * 2).min(LAST_DELAY);
        }
        true
    }

    /// When something is to be done though nothing happens: see [`Self::wake`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        let give_up = self.give_up_at.filter(|_| self.has_pending());
        self.again_at.into_iter().chain(give_up).min()
    }

    /// A deadline may have come; whether the program was started.
    pub(super) fn wake(&mut self, now: Instant) -> bool {
        if self.give_up_at.is_some_and(|at| at <= now) {
            self.pending = Vec::new();
            self.sent = 0;
            self.again_at = None;
            self.hang_up();
        }
        if self.again_at.take_if(|at| *at <= now).is_none() {
            return false;
        }
        match start(&self.request, true) {
            Ok(running) => self.running = Some(running),
            // the file may be on its way to a newer version
            Err(_) => self.again_at = Some(now + self.delay),
        }
        self.running.is_some()
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_over(&self) -> bool {
        self.give_up_at.is_some() && !self.has_pending()
    }
}

fn start(request: &ForwardRequest, again: bool) -> io::Result<Running> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let child = spawn(request, theirs.as_fd())?;
    drop(theirs);
    let hello = frame::hello(&request.settings, again);
    let mut rest = &hello[..];
    // it fits into the socket's buffer, or is read at once
    while !rest.is_empty() {
        match rustix::net::send(&ours, rest, SendFlags::NOSIGNAL) {
            Ok(n) => rest = &rest[n..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(Running { socket: ours, child, since: Instant::now() })
}

fn spawn(request: &ForwardRequest, socket: BorrowedFd<'_>) -> io::Result<Child> {
    let null = File::options().write(true).open("/dev/null")?;
    // its complaints go where ours go
    let complaints = io::stderr();
    let mut call = Command::new(&request.program, PROGRAM)?;
    call.arg(&request.about)?;
    call.new_session().map(socket, 0).map(null.as_fd(), 1).map(complaints.as_fd(), 2);
    Ok(call.spawn()?)
}

/// What the program says when it is ready, or can't be.
fn answer(socket: &OwnedFd) -> io::Result<String> {
    let mut length = [0; 4];
    receive(socket, &mut length)?;
    let mut text = vec![0; (u32::from_le_bytes(length) as usize).min(MAX_REASON)];
    receive(socket, &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn receive(socket: &OwnedFd, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match rustix::net::recv(socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((n, _)) => buffer = &mut buffer[n..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}
