//! Being told of changes to the interfaces of a namespace.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

use crate::error::{Error, Result};

/// `RTMGRP_LINK`.
const LINKS: u32 = 1;

/// A socket on which every change of an interface arrives.
#[derive(Debug)]
pub(crate) struct Monitor {
    fd: OwnedFd,
}

impl Monitor {
    /// For the calling thread's network namespace, from now on.
    pub(crate) fn links() -> Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)
            .map_err(Error::system("opening a netlink socket"))?;
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, LINKS))
            .map_err(Error::system("asking to be told of changes to interfaces"))?;
        Ok(Self { fd })
    }

    /// Waits for a change, and swallows all that have happened; false when none came until `deadline`.
    pub(crate) fn changed(&self, deadline: Instant) -> Result<bool> {
        let action = "waiting for a change to an interface";
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
            match poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&timeout)) {
                Err(Errno::INTR) if left > Duration::ZERO => {}
                Ok(0) | Err(Errno::INTR) => return Ok(false),
                ready => {
                    ready.map_err(Error::system(action))?;
                    self.drain();
                    return Ok(true);
                }
            }
        }
    }

    fn drain(&self) {
        let mut buffer = [0; 8192];
        // An overrun queue says so once (ENOBUFS), and is a change as well.
        while matches!(
            rustix::net::recv(&self.fd, &mut buffer[..], RecvFlags::empty()),
            Ok(_) | Err(Errno::NOBUFS | Errno::INTR)
        ) {}
    }
}
