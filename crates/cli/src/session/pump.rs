//! The loop: input to the container, output from it, signals beside both.

use std::io::{self, BufReader, Read, Write};

use rustix::event::{PollFd, PollFlags, poll};

use super::demux::Sink;
use super::{Keys, Signals};
use crate::client::{Client, Connection, Incoming, Stream};
use crate::error::{Error, Result};
use crate::out::Out;

const CHUNK: usize = 32 << 10;

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The other end closed the stream, or there is nothing to read and all was written.
    Closed,
    /// The user typed the detach keys.
    Detached,
}

/// A hijacked connection and what belongs to it.
pub(crate) struct Session<'a> {
    client: &'a Client,
    out: &'a Out,
    stream: Stream,
    /// What was read ahead with the answer's head.
    early: Vec<u8>,
    sink: Sink,
    input: Input,
    /// Neither output nor error is attached.
    mute: bool,
    keys: Option<Keys>,
}

/// Standard input's side.
struct Input {
    open: bool,
    /// Read and not yet written.
    pending: Vec<u8>,
    /// The other end knows that no more comes.
    closed: bool,
}

impl<'a> Session<'a> {
    /// A session over an answered attach or exec request.
    pub(crate) fn new(client: &'a Client, out: &'a Out, connection: Connection, tty: bool) -> Self {
        let early = connection.buffer().to_vec();
        Self {
            client,
            out,
            stream: BufReader::into_inner(connection),
            early,
            sink: Sink::new(tty),
            input: Input { open: false, pending: Vec::new(), closed: true },
            mute: false,
            keys: None,
        }
    }

    /// Passes standard input on; with `keys`, until they are typed.
    pub(crate) fn with_input(mut self, keys: Option<Keys>) -> Self {
        self.input = Input { open: true, pending: Vec::new(), closed: false };
        self.keys = keys;
        self
    }

    /// Nothing comes back from the container.
    pub(crate) fn without_output(mut self) -> Self {
        self.mute = true;
        self
    }

    /// Runs until the stream ends or the user detaches.
    pub(crate) fn pump(mut self, signals: Option<&Signals>) -> Result<End> {
        self.stream.set_nonblocking(true).map_err(Error::io("attach"))?;
        self.out.flush()?;
        let early = std::mem::take(&mut self.early);
        self.sink.write(self.out, &early)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            self.send()?;
            if self.mute && self.input.closed {
                return Ok(End::Closed);
            }
            let ready = self.wait(signals)?;
            if let (true, Some(signals)) = (ready.signal, signals) {
                signals.handle(self.client)?;
            }
            if ready.input && self.take_input(&mut buffer)? {
                return Ok(End::Detached);
            }
            if ready.output && self.take_output(&mut buffer)? {
                return match self.sink.complaint() {
                    Some(text) => Err(Error::said(text)),
                    None => Ok(End::Closed),
                };
            }
        }
    }

    fn wait(&self, signals: Option<&Signals>) -> Result<Ready> {
        let mut interest = PollFlags::IN;
        if !self.input.pending.is_empty() {
            interest |= PollFlags::OUT;
        }
        let stdin = io::stdin();
        let mut fds = vec![PollFd::new(&self.stream, interest)];
        let input_at = (self.input.open && self.input.pending.is_empty()).then_some(fds.len());
        if input_at.is_some() {
            fds.push(PollFd::new(&stdin, PollFlags::IN));
        }
        let signal_at = signals.map(|signals| {
            fds.push(PollFd::new(signals, PollFlags::IN));
            fds.len() - 1
        });
        poll_retrying(&mut fds)?;
        let ready = |at: usize, flags: PollFlags| fds[at].revents().intersects(flags);
        let readable = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
        Ok(Ready {
            output: ready(0, readable),
            input: input_at.is_some_and(|at| ready(at, readable | PollFlags::NVAL)),
            signal: signal_at.is_some_and(|at| ready(at, PollFlags::IN)),
        })
    }

    /// Reads standard input; whether the detach keys were completed.
    fn take_input(&mut self, buffer: &mut [u8]) -> Result<bool> {
        let count = match rustix::io::read(io::stdin(), &mut *buffer) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(false),
            // A terminal that has gone away reads as an error.
            Err(_) => 0,
        };
        if count == 0 {
            self.input.open = false;
            return Ok(false);
        }
        let Some(keys) = &mut self.keys else {
            self.input.pending.extend_from_slice(&buffer[..count]);
            return Ok(false);
        };
        let (passed, detached) = keys.filter(&buffer[..count]);
        self.input.pending.extend_from_slice(&passed);
        Ok(detached)
    }

    /// Writes what is pending, as far as the other end takes it.
    fn send(&mut self) -> Result<()> {
        while !self.input.pending.is_empty() {
            match self.stream.write(&self.input.pending) {
                Ok(count) => drop(self.input.pending.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The process does not want its input any more; its output may still come.
                Err(_) => {
                    self.input = Input { open: false, pending: Vec::new(), closed: true };
                    return Ok(());
                }
            }
        }
        if !self.input.open && !self.input.closed {
            self.input.closed = true;
            // The other end may have closed first.
            drop(self.stream.shutdown_write());
        }
        Ok(())
    }

    /// Reads the stream; whether it has ended.
    fn take_output(&mut self, buffer: &mut [u8]) -> Result<bool> {
        match self.stream.read(buffer) {
            Ok(0) => Ok(true),
            Ok(count) => self.sink.write(self.out, &buffer[..count]).map(|()| false),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(true),
            Err(error) => Err(Error::Io { what: "read from the daemon".into(), error }),
        }
    }
}

struct Ready {
    output: bool,
    input: bool,
    signal: bool,
}

fn poll_retrying(fds: &mut [PollFd<'_>]) -> Result<()> {
    loop {
        match poll(fds, None) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(Error::Io { what: "poll".into(), error: error.into() }),
        }
    }
}

/// Waits until an answer can be read, dealing with signals meanwhile.
pub(crate) fn until_readable(client: &Client, incoming: &Incoming, signals: Option<&Signals>) -> Result<()> {
    let Some(signals) = signals else { return Ok(()) };
    while !incoming.has_buffered() {
        let mut fds = [PollFd::new(incoming, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        poll_retrying(&mut fds)?;
        let (answered, signalled) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if answered {
            return Ok(());
        }
        if signalled {
            signals.handle(client)?;
        }
    }
    Ok(())
}
