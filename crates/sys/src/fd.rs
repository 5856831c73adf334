//! Descriptors: passing them over unix sockets, moving and marking them.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::FdFlags;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::{Errno, Result};

/// Most descriptors that one message may carry.
pub const MAX_FDS: usize = 16;

/// Sends `data` and `fds` (at most [`MAX_FDS`]) in one message (`unix(7)`, `SCM_RIGHTS`). On a stream socket less
/// than all of `data` may go out: the count comes back, and the descriptors went with the first byte.
///
/// # Errors
/// `E2BIG` with too many descriptors; else what `sendmsg(2)` says. Never raises `SIGPIPE`.
pub fn send(socket: impl AsFd, data: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize> {
    if fds.len() > MAX_FDS {
        return Err(Errno::TOOBIG);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOBIG);
    }
    let flags = SendFlags::NOSIGNAL;
    rustix::io::retry_on_intr(|| rustix::net::sendmsg(&socket, &[IoSlice::new(data)], &mut control, flags))
}

/// Receives one message's bytes (or, on a stream, some bytes) and its descriptors, all close-on-exec.
/// `Ok((0, []))` is the end of the stream.
///
/// # Errors
/// What `recvmsg(2)` says.
pub fn recv(socket: impl AsFd, data: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = rustix::io::retry_on_intr(|| {
        rustix::net::recvmsg(&socket, &mut [IoSliceMut::new(data)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut fds = Vec::new();
    for item in control.drain() {
        if let RecvAncillaryMessage::ScmRights(list) = item {
            fds.extend(list);
        }
    }
    Ok((message.bytes, fds))
}

/// A connected pair of unix sockets that keeps message borders (`SOCK_SEQPACKET`), close-on-exec.
///
/// # Errors
/// What `socketpair(2)` says.
pub fn message_pair() -> Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// A pipe `(read, write)`, close-on-exec.
///
/// # Errors
/// What `pipe2(2)` says.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
}

/// A duplicate numbered `min` or more, close-on-exec.
///
/// # Errors
/// What `fcntl(2)` says.
pub fn dup_above(fd: impl AsFd, min: i32) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, min)
}

/// Sets or clears close-on-exec.
///
/// # Errors
/// What `fcntl(2)` says.
pub fn set_cloexec(fd: impl AsFd, on: bool) -> Result<()> {
    rustix::io::fcntl_setfd(fd, if on { FdFlags::CLOEXEC } else { FdFlags::empty() })
}

/// Sets or clears `O_NONBLOCK` of the open file (shared by all its duplicates).
///
/// # Errors
/// What `fcntl(2)` says.
pub fn set_nonblocking(fd: impl AsFd, on: bool) -> Result<()> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    let nonblock = rustix::fs::OFlags::NONBLOCK;
    rustix::fs::fcntl_setfl(&fd, if on { flags | nonblock } else { flags - nonblock })
}

/// The path that names an open descriptor of this process, for calls that take only paths.
#[must_use]
pub fn proc_path(fd: impl AsFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}
