//! Connections for attached clients.

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::net::UnixStream;

use super::ShimError;

/// The two ends of an attached connection: ours, and the one for [`super::ShimHandle::attach_fd`] or
/// [`super::ShimHandle::exec`]. Bytes written before the shim has its end wait in the socket.
///
/// # Errors
/// Out of file descriptors.
pub fn stream_pair() -> Result<(UnixStream, OwnedFd), ShimError> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (near, far) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(std::io::Error::from)
        .map_err(ShimError::system("socketpair"))?;
    let near = UnixStream::from_std(near.into()).map_err(ShimError::system("register socket"))?;
    Ok((near, far))
}
