//! A stream that someone else carries on: a thread that speaks TLS, or `ssh`.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use super::{ssh, tls};

/// Our end of a pair of sockets, and who has the other one.
#[derive(Debug)]
pub(crate) struct Relayed {
    // first: who waits for `behind` to end must have closed this
    socket: UnixStream,
    behind: Behind,
}

/// Who carries the bytes on.
#[derive(Debug)]
pub(crate) enum Behind {
    /// A thread of this process.
    Tls(tls::Thread),
    /// A child.
    Ssh(ssh::Ssh),
}

impl Behind {
    /// Why the stream has ended, if it should not have.
    fn failure(&mut self) -> Option<Failure> {
        match self {
            Self::Tls(thread) => thread.failure(),
            Self::Ssh(ssh) => ssh.failure(),
        }
    }
}

/// Why a relayed stream has ended: a whole sentence.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(pub(crate) String);

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        Self::other(failure)
    }
}

impl Relayed {
    /// A stream whose other end `behind` has.
    pub(super) fn new(socket: UnixStream, behind: Behind) -> Self {
        Self { socket, behind }
    }

    /// Our end.
    pub(crate) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// The socket for an event loop, and who carries on behind it: to be dropped after the socket.
    pub(crate) fn into_parts(self) -> (UnixStream, Behind) {
        (self.socket, self.behind)
    }
}

impl Read for Relayed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.socket.read(buffer) {
            Ok(0) if !buffer.is_empty() => self.behind.failure().map_or(Ok(0), |failure| Err(failure.into())),
            // the other end was closed with something of ours unread
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                Err(self.behind.failure().map_or(error, Into::into))
            }
            other => other,
        }
    }
}

impl Write for Relayed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.socket.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                Err(self.behind.failure().map_or(error, Into::into))
            }
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
