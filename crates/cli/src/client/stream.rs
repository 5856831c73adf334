//! A connected stream, whatever it runs over.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use super::relayed::Relayed;

/// A connected stream.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Local.
    Unix(UnixStream),
    /// Remote, in the clear.
    Tcp(TcpStream),
    /// Remote, with someone between who makes plain bytes of what travels.
    Relayed(Relayed),
}

impl Stream {
    /// No more will be written; reading goes on.
    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        let how = std::net::Shutdown::Write;
        match self {
            Self::Unix(stream) => stream.shutdown(how),
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Relayed(relayed) => relayed.socket().shutdown(how),
        }
    }

    /// Switches blocking off or on.
    pub(crate) fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_nonblocking(on),
            Self::Tcp(stream) => stream.set_nonblocking(on),
            Self::Relayed(relayed) => relayed.socket().set_nonblocking(on),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
            Self::Relayed(relayed) => relayed.socket().as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
            Self::Relayed(relayed) => relayed.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
            Self::Relayed(relayed) => relayed.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
