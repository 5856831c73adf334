//! Frames: a little-endian `u32` length, then JSON; file descriptors beside the first byte.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest frame either side accepts, in bytes. A specification with a full seccomp policy takes about 60 KiB.
pub const MAX_FRAME: usize = 4 << 20;

/// Most file descriptors that may ride on one frame.
pub const MAX_FDS: usize = 128;

const LENGTH: usize = 4;
/// Bytes read at once.
const CHUNK: usize = 4096;

/// Why a connection can't be read any more.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed.
    #[error("shim connection: {0}")]
    Io(#[from] io::Error),
    /// The peer announced more than [`MAX_FRAME`].
    #[error("shim connection: a frame of {0} bytes is larger than {MAX_FRAME}")]
    TooLarge(usize),
    /// The peer's JSON can't be read.
    #[error("shim connection: {0}")]
    Json(#[from] serde_json::Error),
    /// The peer sent more file descriptors than frames ask for.
    #[error("shim connection: more than {MAX_FDS} file descriptors wait for their frame")]
    TooManyFds,
}

/// The bytes of one frame.
///
/// # Errors
/// The value can't be written as JSON, or is larger than [`MAX_FRAME`].
pub fn encode(value: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![0; LENGTH];
    serde_json::to_writer(&mut bytes, value)?;
    let length = bytes.len() - LENGTH;
    match u32::try_from(length) {
        Ok(n) if length <= MAX_FRAME => bytes[..LENGTH].copy_from_slice(&n.to_le_bytes()),
        _ => return Err(FrameError::TooLarge(length)),
    }
    Ok(bytes)
}

/// Send some of `bytes` without waiting, with `fds` beside the first; how many bytes went. sendmsg(2)
///
/// # Errors
/// `WouldBlock` when the socket is full (nothing was sent, neither were the descriptors), or the socket's error.
pub fn send_some(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    send_with(socket, bytes, fds, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
}

/// Send a whole frame on a blocking socket.
///
/// # Errors
/// The socket's error.
pub fn send(socket: impl AsFd, mut bytes: &[u8], mut fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = send_with(socket.as_fd(), bytes, fds, SendFlags::NOSIGNAL)?;
        bytes = &bytes[n..];
        fds = &[];
    }
    Ok(())
}

fn send_with(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>], flags: SendFlags) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let sent = rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(socket.as_fd(), &[IoSlice::new(bytes)], &mut control, flags)
    })?;
    Ok(sent)
}

/// Collects a connection's bytes and descriptors, and gives whole frames.
#[derive(Debug, Default)]
pub struct FrameReader {
    bytes: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl FrameReader {
    /// Read once; `false` at the end of the connection. recvmsg(2)
    ///
    /// # Errors
    /// `WouldBlock` on a socket without bytes when `wait` is false; the socket's error; too many descriptors.
    pub fn fill(&mut self, socket: impl AsFd, wait: bool) -> Result<bool, FrameError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut flags = RecvFlags::CMSG_CLOEXEC;
        flags.set(RecvFlags::DONTWAIT, !wait);
        let mut chunk = [0u8; CHUNK];
        let received = rustix::io::retry_on_intr(|| {
            rustix::net::recvmsg(socket.as_fd(), &mut [IoSliceMut::new(&mut chunk)], &mut control, flags)
        })
        .map_err(io::Error::from)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.fds.extend(fds);
            }
        }
        if self.fds.len() > 2 * MAX_FDS {
            return Err(FrameError::TooManyFds);
        }
        self.bytes.extend_from_slice(&chunk[..received.bytes]);
        Ok(received.bytes > 0)
    }

    /// The next whole frame's JSON, if it has arrived.
    ///
    /// # Errors
    /// The frame is longer than [`MAX_FRAME`].
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let Some(header) = self.bytes.first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_le_bytes(*header) as usize;
        if length > MAX_FRAME {
            return Err(FrameError::TooLarge(length));
        }
        if self.bytes.len() < LENGTH + length {
            return Ok(None);
        }
        let rest = self.bytes.split_off(LENGTH + length);
        let mut frame = std::mem::replace(&mut self.bytes, rest);
        frame.drain(..LENGTH);
        Ok(Some(frame))
    }

    /// The next whole frame as a value.
    ///
    /// # Errors
    /// As [`Self::next_frame`], and JSON that does not fit.
    pub fn next_value<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        match self.next_frame()? {
            Some(frame) => Ok(Some(serde_json::from_slice(&frame)?)),
            None => Ok(None),
        }
    }

    /// The oldest `count` descriptors (fewer when the peer sent fewer).
    pub fn take_fds(&mut self, count: usize) -> Vec<OwnedFd> {
        let count = count.min(self.fds.len());
        self.fds.drain(..count).collect()
    }
}
