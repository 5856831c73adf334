//! Interface flags and socket queues by `ioctl(2)`, socket options that rustix lacks.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;
use crate::Result;

/// Sets `IFF_UP` on `lo` of the network namespace that `socket` was made in.
pub(crate) fn loopback_up(socket: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: an all-zero ifreq is valid.
    let mut req: libc::ifreq = unsafe { std::mem::zeroed() };
    req.ifr_name[0] = b'l' as libc::c_char;
    req.ifr_name[1] = b'o' as libc::c_char;
    req.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which outlives the call.
    let ret = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const req) };
    check(ret.into()).map(drop)
}

/// Sets a boolean option of a netlink socket.
pub(crate) fn netlink_option(socket: BorrowedFd<'_>, option: libc::c_int) -> Result<()> {
    let on: libc::c_int = 1;
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: setsockopt reads `len` bytes of `on`, which outlives the call.
    let ret = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_NETLINK, option, (&raw const on).cast(), len)
    };
    check(ret.into()).map(drop)
}

/// `SIOCOUTQ`: bytes (with the kernel's own overhead) that were sent and not read yet.
pub(crate) fn unread(socket: BorrowedFd<'_>) -> Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one int, which outlives the call.
    let ret = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    check(ret.into()).map(|_| usize::try_from(bytes).unwrap_or(0))
}
