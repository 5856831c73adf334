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
