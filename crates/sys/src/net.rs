//! What a new network namespace needs before anything else.

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::{Result, raw};

/// Brings `lo` up in the calling thread's network namespace (its addresses appear by themselves).
///
/// # Errors
/// What `socket(2)` and the `SIOCSIFFLAGS` ioctl (`netdevice(7)`) say.
pub fn loopback_up() -> Result<()> {
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    raw::net::loopback_up(std::os::fd::AsFd::as_fd(&socket))
}

/// Asks for the kernel's explanations in the errors of a netlink socket (`NETLINK_EXT_ACK`), without a copy of
/// the request (`NETLINK_CAP_ACK`). See `netlink(7)`.
///
/// # Errors
/// What `setsockopt(2)` says; kernels before 4.12 know no explanations (`ENOPROTOOPT`).
pub fn explain_errors(netlink: std::os::fd::BorrowedFd<'_>) -> Result<()> {
    raw::net::netlink_option(netlink, libc::NETLINK_CAP_ACK)?;
    raw::net::netlink_option(netlink, libc::NETLINK_EXT_ACK)
}

/// Bytes (with the kernel's own overhead) that were sent on a unix socket and that its peer has not read yet;
/// 0 also when the peer is gone (`unix(7)`, `SIOCOUTQ`).
///
/// # Errors
/// `EINVAL` for what is no socket.
pub fn unread(socket: std::os::fd::BorrowedFd<'_>) -> Result<usize> {
    raw::net::unread(socket)
}
