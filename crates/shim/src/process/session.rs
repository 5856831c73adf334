//! The streams of one process: the container's first, or an exec session's.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use sys::Pid;

use super::backend::CheckpointStreams;
use super::client::{Client, Input, Lost};
use super::token::{Poller, Token, Watched};
use crate::log::{LogWriter, Stream};

/// Bytes of output read at once.
const OUTPUT: usize = 64 * 1024;

/// Input that may wait for the process.
const MAX_PENDING_INPUT: usize = 4096;

/// A process's streams and who is attached to them.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) number: u64,
    /// `None` is the container itself.
    pub(super) exec_id: Option<String>,
    pub(super) terminal: bool,
    /// Clients get its output with stream headers, though it comes from a terminal.
    pub(super) framed: bool,
    /// The daemon's connection with which the process ends.
    pub(super) bound_to: Option<u64>,
    /// The process, while it is not reaped.
    pub(super) pid: Option<Pid>,
    /// Standard output (of a terminal: everything) and standard error.
    outputs: [Option<Watched>; 2],
    input: Option<Watched>,
    /// The program's side of the terminal, open while the process lives: one that has closed its terminal (systemd does)
    /// may open it again, and until then the master would report a hang-up all the time.
    peer: Option<OwnedFd>,
    /// The end of one client's input is the end of the process's.
    pub(super) stdin_once: bool,
    /// Input that the process has not taken.
    pending: Vec<u8>,
    /// Close the input when `pending` is empty.
    closing: bool,
    pub(super) clients: Vec<Client>,
    /// Its log takes no more now.
    pub(super) held: bool,
}

/// Our ends of a process's streams.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
}

/// A client has typed its detach keys.
pub(super) struct Detached(pub(super) u64);

impl Session {
    pub(super) fn new(number: u64, exec_id: Option<String>) -> Self {
        Self {
            number,
            exec_id,
            terminal: false,
            framed: false,
            bound_to: None,
            pid: None,
            outputs: [None, None],
            input: None,
            peer: None,
            stdin_once: false,
            pending: Vec::new(),
            closing: false,
            clients: Vec::new(),
            held: false,
        }
    }

    /// The process exists: begin to read its output and to take input for it.
    pub(super) fn begin(&mut self, poller: &Poller, pid: Pid, ends: Ends) -> std::io::Result<()> {
        for fd in [&ends.stdin, &ends.stdout, &ends.stderr].into_iter().flatten() {
            sys::fd::set_nonblocking(fd, true)?;
        }
        self.peer = match ends.stdout.as_ref().filter(|_| self.terminal) {
            Some(master) => Some(sys::tty::peer(master)?),
            None => None,
        };
        let n = self.number;
        let watched = |fd: Option<OwnedFd>, token| fd.map(|fd| Watched::new(fd, token));
        self.input = watched(ends.stdin, Token::Stdin(n));
        self.outputs = [watched(ends.stdout, Token::Stdout(n)), watched(ends.stderr, Token::Stderr(n))];
        self.pid = Some(pid);
        self.clients_joined();
        self.watch(poller);
        Ok(())
    }

    /// Clients have joined: of a process that takes no input none is taken.
    pub(super) fn clients_joined(&mut self) {
        if self.pid.is_some() && self.input.is_none() {
            self.clients.iter_mut().for_each(|client| client.stdin = false);
        }
    }

    /// Ask for what can be dealt with now.
    pub(super) fn watch(&mut self, poller: &Poller) {
        let blocked = self.held || self.clients.iter().any(Client::is_blocked);
        let flags = if blocked { EventFlags::empty() } else { EventFlags::IN };
        for output in self.outputs.iter_mut().flatten() {
            output.set(poller, flags);
        }
        let take_input = self.input.is_some() && self.pending.len() < MAX_PENDING_INPUT;
        if let Some(input) = &mut self.input {
            input.set(poller, if self.pending.is_empty() { EventFlags::empty() } else { EventFlags::OUT });
        }
        for client in &mut self.clients {
            client.watch(poller, take_input);
        }
    }

    /// The streams as a checkpoint names them.
    pub(super) fn checkpoint_streams(&self) -> std::io::Result<CheckpointStreams> {
        let [stdout, stderr] = &self.outputs;
        CheckpointStreams::of(
            [self.input.as_ref(), stdout.as_ref(), stderr.as_ref()].map(|end| end.map(AsFd::as_fd)),
        )
    }

    /// The terminal's master.
    pub(super) fn console(&self) -> Option<&Watched> {
        self.outputs[0].as_ref().filter(|_| self.terminal)
    }

    /// Whether anything of it is left to wait for.
    pub(super) fn is_over(&self) -> bool {
        self.pid.is_none() && self.clients.is_empty() && self.outputs.iter().all(Option::is_none)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.clients.iter().filter_map(Client::deadline).min()
    }

    /// Drop the clients that have held the output back for too long.
    pub(super) fn drop_stalled(&mut self, now: Instant) {
        while let Some(at) =
            self.clients.iter().position(|client| client.deadline().is_some_and(|d| d <= now))
        {
            self.drop_client(at);
        }
    }

    /// Read one chunk of output and pass it on; whether there may be more.
    pub(super) fn pump(&mut self, stream: Stream, buffer: &mut Vec<u8>, log: &mut LogWriter) -> bool {
        let Some(output) = &self.outputs[stream.index()] else { return false };
        buffer.clear();
        buffer.reserve_exact(OUTPUT);
        let read =
            rustix::io::retry_on_intr(|| rustix::io::read(output, rustix::buffer::spare_capacity(buffer)));
        match read {
            Err(Errno::AGAIN) => false,
            Ok(0) | Err(_) => {
                self.end_output(stream, log);
                false
            }
            Ok(_) => {
                if self.exec_id.is_none() {
                    log.write(stream, buffer);
                    self.held = log.is_blocked();
                }
                let header = !self.terminal || self.framed;
                self.clients
                    .retain_mut(|client| client.send(stream, buffer, header).is_ok() || client.hang_up());
                true
            }
        }
    }

    fn end_output(&mut self, stream: Stream, log: &mut LogWriter) {
        self.outputs[stream.index()] = None;
        if self.exec_id.is_none() {
            log.finish(stream);
        }
    }

    /// The process has ended: pass on what it has left in its pipes, then close the clients. What its
    /// children still write is read and thrown away, so that they don't die of it.
    pub(super) fn process_ended(&mut self, buffer: &mut Vec<u8>, log: &mut LogWriter) {
        self.pid = None;
        self.input = None;
        self.peer = None;
        self.pending = Vec::new();
        for stream in [Stream::Stdout, Stream::Stderr] {
            while self.pump(stream, buffer, log) {}
            if self.exec_id.is_none() || self.terminal {
                self.end_output(stream, log);
            }
        }
        self.clients.retain_mut(|client| client.finish().is_ok());
    }

    /// Forget a process that could not start.
    pub(super) fn abandon(&mut self) {
        self.pid = None;
        self.input = None;
        self.peer = None;
        self.outputs = [None, None];
        self.clients.clear();
    }

    /// Nobody will ask for this process: forget it, unless it has ended and its clients get their last bytes.
    pub(super) fn abandon_unless_ended(&mut self) {
        if self.pid.is_some() {
            self.abandon();
        }
    }

    /// A client's socket is ready.
    pub(super) fn client_ready(&mut self, id: u64, flags: EventFlags) -> Option<Detached> {
        let at = self.clients.iter().position(|client| client.id == id)?;
        let client = &mut self.clients[at];
        let lost = flags.contains(EventFlags::OUT) && client.flush().is_err();
        if !lost && flags.contains(EventFlags::IN) {
            return self.client_input(at);
        }
        let hung_up = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if (lost || hung_up) && !client.hang_up() {
            self.drop_client(at);
        }
        None
    }

    fn client_input(&mut self, at: usize) -> Option<Detached> {
        match self.clients[at].read(self.terminal) {
            Ok(Input::Nothing) => None,
            Ok(Input::Bytes(bytes)) => {
                self.write_input(&bytes);
                None
            }
            Ok(Input::Detach(bytes)) => {
                self.write_input(&bytes);
                let id = self.clients.swap_remove(at).id;
                Some(Detached(id))
            }
            Ok(Input::End) => {
                if self.ends_input() {
                    self.close_input();
                } else if self.clients[at].finish().is_err() {
                    // without an end to pass on, the end of the input is the end of the attachment
                    self.drop_client(at);
                }
                None
            }
            Err(Lost) => {
                self.drop_client(at);
                None
            }
        }
    }

    fn drop_client(&mut self, at: usize) {
        let client = self.clients.swap_remove(at);
        if client.stdin && self.ends_input() {
            self.close_input();
        }
    }

    fn ends_input(&self) -> bool {
        self.stdin_once && !self.terminal
    }

    fn write_input(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        self.flush_input();
    }

    /// Give the process what waits for it.
    pub(super) fn flush_input(&mut self) {
        let Some(input) = &self.input else {
            self.pending = Vec::new();
            return;
        };
        while !self.pending.is_empty() {
            match rustix::io::retry_on_intr(|| rustix::io::write(input.as_fd(), &self.pending)) {
                Ok(n) => drop(self.pending.drain(..n)),
                Err(Errno::AGAIN) => return,
                Err(_) => return self.abandon_input(),
            }
        }
        self.pending = Vec::new();
        if self.closing {
            self.input = None;
        }
    }

    /// The process has closed its input: nothing more is taken from the clients.
    fn abandon_input(&mut self) {
        self.input = None;
        self.pending = Vec::new();
    }

    /// Close the process's input behind what waits for it. A terminal has no end.
    pub(super) fn close_input(&mut self) {
        if self.terminal {
            return;
        }
        self.closing = true;
        self.flush_input();
    }
}
