//! What the kernel tells without being asked.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

use super::{HEADER_LEN, align, attr};
use crate::error::{Error, Result};

/// Room for one datagram: the kernel fills a page, or what one message needs.
const RECEIVE_LEN: usize = 1 << 15;

/// A message that was sent to everybody who listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notice<'b> {
    /// Message type.
    pub(crate) kind: u16,
    /// Port of the socket that caused it.
    pub(crate) port: u32,
    /// Payload.
    pub(crate) payload: &'b [u8],
}

/// A socket that is member of groups of netfilter's.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
}

impl Listener {
    /// Listens to groups (a mask) in the calling thread's network namespace.
    pub(crate) fn open(groups: u32) -> Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(NETFILTER))
            .map_err(Error::system("opening a netlink socket to listen"))?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, groups))
            .map_err(Error::system("listening to changes of nftables"))?;
        Ok(Self { fd })
    }

    /// Hands on everything that has been told; whether nothing was lost (`ENOBUFS`, netlink(7)).
    pub(crate) fn drain(&mut self, mut tell: impl FnMut(Notice<'_>)) -> Result<bool> {
        let (mut buffer, mut complete) = (vec![0; RECEIVE_LEN], true);
        loop {
            match rustix::net::recv(&self.fd, buffer.as_mut_slice(), RecvFlags::TRUNC) {
                Ok((len, real)) => {
                    complete &= real <= len;
                    notices(&buffer[..len]).for_each(&mut tell);
                }
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => complete = false,
                Err(Errno::AGAIN) => return Ok(complete),
                Err(errno) => return Err(Error::system("reading changes of nftables")(errno)),
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The messages of a datagram (`struct nlmsghdr`).
pub(super) fn notices(mut bytes: &[u8]) -> impl Iterator<Item = Notice<'_>> {
    std::iter::from_fn(move || {
        let len = attr::u32_at(bytes, 0)? as usize;
        let (kind, port) = (attr::u16_at(bytes, 4)?, attr::u32_at(bytes, 12)?);
        let payload = bytes.get(HEADER_LEN..len)?;
        bytes = bytes.get(align(len)..).unwrap_or_default();
        Some(Notice { kind, port, payload })
    })
}
