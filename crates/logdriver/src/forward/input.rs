//! What the shim sends: see [`shim::log::frame`].

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use shim::log::frame::{self, Message};

use super::patience::Patience;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// The shim's socket and what has come from it.
pub(super) struct Input {
    socket: UnixStream,
    buffer: Vec<u8>,
    /// Messages before here were given.
    start: usize,
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the shim speaks another protocol")
}

impl Input {
    /// Standard input, which nobody else uses.
    pub(super) fn over_stdin() -> io::Result<Self> {
        let socket: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self { socket: socket.into(), buffer: Vec::new(), start: 0 })
    }

    /// The settings, and whether an earlier program has ended.
    pub(super) fn hello(&mut self) -> io::Result<(String, bool)> {
        let mut head = [0; frame::HELLO];
        self.socket.read_exact(&mut head)?;
        let [a, b, c, d, again] = head;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > frame::MAX_LENGTH {
            return Err(malformed());
        }
        let mut settings = vec![0; length];
        self.socket.read_exact(&mut settings)?;
        Ok((String::from_utf8(settings).map_err(|_not_text| malformed())?, again != 0))
    }

    /// Say that we are ready (nothing), or why not. Nobody listens to a program that was started `again`.
    pub(super) fn answer(&mut self, again: bool, reason: &str) -> io::Result<()> {
        if again {
            return Ok(());
        }
        let length = u32::try_from(reason.len()).unwrap_or(u32::MAX).to_le_bytes();
        self.socket.write_all(&length)?;
        self.socket.write_all(reason.as_bytes())
    }

    /// Waits that end when the shim has no more to say.
    pub(super) fn patience(&self) -> io::Result<Patience> {
        Ok(Patience::until_shut(self.socket.try_clone()?.into()))
    }

    /// The next message, if all of it is here.
    pub(super) fn message(&mut self) -> io::Result<Option<Message<'_>>> {
        let rest = &self.buffer[self.start..];
        match frame::length(rest) {
            Some(length) if length > frame::HEADER + frame::MAX_LENGTH => Err(malformed()),
            Some(length) if length <= rest.len() => {
                let at = self.start;
                self.start += length;
                Ok(frame::decode(&self.buffer[at..]))
            }
            _ => Ok(None),
        }
    }

    /// Wait for more; `false` at the end.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let read = loop {
            match self.socket.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.buffer.truncate(filled + read);
        Ok(read > 0)
    }
}
