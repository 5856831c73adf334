//! What a new network namespace needs before anything else.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::{Result, raw};

/// Brings `lo` up in the calling thread's network namespace (its addresses appear by themselves).
///
/// # Errors
/// What `socket(2)` and the `SIOCSIFFLAGS` ioctl (`netdevice(7)`) say.
pub fn loopback_up() -> Result<()> {
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    raw::net::loopback_up(socket.as_fd())
}

/// Asks for the kernel's explanations in the errors of a netlink socket (`NETLINK_EXT_ACK`), without a copy of
/// the request (`NETLINK_CAP_ACK`). See `netlink(7)`.
///
/// # Errors
/// What `setsockopt(2)` says; kernels before 4.12 know no explanations (`ENOPROTOOPT`).
pub fn explain_errors(netlink: BorrowedFd<'_>) -> Result<()> {
    raw::net::netlink_option(netlink, libc::NETLINK_CAP_ACK)?;
    raw::net::netlink_option(netlink, libc::NETLINK_EXT_ACK)
}

/// Bytes (with the kernel's own overhead) that were sent on a unix socket and that its peer has not read yet;
/// 0 also when the peer is gone (`unix(7)`, `SIOCOUTQ`).
///
/// # Errors
/// `EINVAL` for what is no socket.
pub fn unread(socket: BorrowedFd<'_>) -> Result<usize> {
    raw::net::unread(socket)
}

/// One of our addresses, and the number of the interface that a datagram came in by.
pub type Local = (IpAddr, u32);

/// Has a UDP socket tell to which address of ours each datagram was sent (`IP_PKTINFO`, `IPV6_RECVPKTINFO`).
///
/// # Errors
/// What `setsockopt(2)` says.
pub fn ask_for_destination(socket: impl AsFd, v6: bool) -> Result<()> {
    raw::net::ask_for_destination(socket.as_fd(), v6)
}

/// Lets a socket be bound to addresses that are not the machine's (`IP_TRANSPARENT`, `IPV6_TRANSPARENT`).
///
/// # Errors
/// `EPERM` without `CAP_NET_ADMIN` or `CAP_NET_RAW` over the network namespace.
pub fn allow_any_address(socket: impl AsFd, v6: bool) -> Result<()> {
    raw::net::allow_any_address(socket.as_fd(), v6)
}

/// A datagram that was taken.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    /// Its length in bytes; what did not fit is lost.
    pub len: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// To which address of ours, if the socket was asked to tell.
    pub to: Option<Local>,
}

/// Takes one datagram without waiting. `recvmsg(2)`
///
/// # Errors
/// `EAGAIN` when there is none; an error that an earlier datagram has met on its way.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received> {
    raw::net::receive(socket.as_fd(), buffer)
}

/// Sends one datagram from one of our addresses, without waiting. `sendmsg(2)`
///
/// # Errors
/// `EAGAIN` when the socket is full; the kernel's refusal.
pub fn send_from(socket: impl AsFd, bytes: &[u8], to: &SocketAddr, from: Local) -> Result<()> {
    raw::net::send_from(socket.as_fd(), bytes, to, from)
}
