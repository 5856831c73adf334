//! Network namespaces: made by a thread that leaves the host's, held by a descriptor.

mod pool;
mod switches;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::thread::LinkNameSpaceType;

use sys::process::Namespaces;

use crate::error::{Error, Result};
use crate::netlink::{Batch, Protocol, Socket};
use crate::route;

pub(crate) use pool::Pool;
use switches::Switches;

/// Index of the loopback interface, the same in every namespace.
const LOOPBACK: u32 = 1;
/// Enough for the few calls of a thread that makes a namespace.
pub(crate) const STACK_LEN: usize = 128 << 10;

/// A new namespace, its loopback interface up.
#[derive(Debug)]
pub(crate) struct Namespace {
    /// The namespace.
    pub(crate) fd: OwnedFd,
    /// A socket in it.
    pub(crate) route: Socket,
    /// Its switch that keeps IPv6 off interfaces that come; none in a kernel without IPv6.
    without_ipv6: Option<File>,
}

impl Namespace {
    /// Makes one. The calling thread stays where it is.
    pub(crate) fn new() -> Result<Self> {
        on_thread("berth-netns", Self::unshare)
    }

    /// One that exists, with a socket in it. The calling thread stays where it is.
    pub(crate) fn open(fd: OwnedFd) -> Result<Self> {
        let (route, without_ipv6) = within(fd.as_fd(), || {
            Ok((Socket::open(Protocol::Route)?, without_ipv6(Switches::of_ipv6().as_ref())))
        })?;
        Ok(Self { fd, route, without_ipv6 })
    }

    /// One that was just made elsewhere, as one of ours. The calling thread stays where it is.
    pub(crate) fn furnish(fd: OwnedFd) -> Result<Self> {
        let copy = fd.try_clone().map_err(|e| Error::system("duplicating a descriptor")(errno(&e)))?;
        within(copy.as_fd(), || Self::furnished(fd))
    }

    /// Makes one and leaves the calling thread in it.
    pub(crate) fn unshare() -> Result<Self> {
        sys::process::unshare(Namespaces::NET).map_err(Error::system("creating a network namespace"))?;
        let fd = File::open("/proc/thread-self/ns/net")
            .map_err(|e| Error::system("opening the new network namespace")(errno(&e)))?;
        Self::furnished(fd.into())
    }

    /// The calling thread's new one, with its loopback interface up.
    fn furnished(fd: OwnedFd) -> Result<Self> {
        let mut route = Socket::open(Protocol::Route)?;
        let mut batch = Batch::default();
        route::push_up(&mut batch, LOOPBACK);
        route.request(&mut batch)?;
        // Interfaces that come later get no IPv6 address of their own accord; `lo` keeps ::1. Those that
        // do get IPv6 listen to no router (whoever is on their network could be one), and use their
        // addresses at once. A kernel without IPv6 has no such files.
        let switches = Switches::of_ipv6();
        for name in ["accept_ra", "accept_dad"] {
            let _ = switches.as_ref().and_then(|all| all.open(name)).map(|file| file.write_at(b"0", 0));
        }
        let namespace = Self { fd, route, without_ipv6: without_ipv6(switches.as_ref()) };
        namespace.ipv6(false);
        Ok(namespace)
    }

    /// Whether interfaces that come from now on have IPv6. The switch is written through a descriptor:
    /// that of the calling thread's namespace has the same name.
    pub(crate) fn ipv6(&self, on: bool) {
        let value = if on { b"0" } else { b"1" };
        // Without the switch there is no IPv6 to keep off; that it can't be had shows in the addresses.
        let _ = self.without_ipv6.as_ref().map(|file| file.write_at(value, 0));
    }
}

fn without_ipv6(switches: Option<&Switches>) -> Option<File> {
    switches?.open("disable_ipv6")
}

/// Runs `work` on a thread of its own in that namespace; sockets made there stay there.
pub(crate) fn within<T: Send>(netns: BorrowedFd<'_>, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    on_thread("berth-netns", move || {
        rustix::thread::move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))
            .map_err(Error::system("entering a network namespace"))?;
        work()
    })
}

/// As [`within`], but does not wait until the second thing that `work` gives is dropped, which the thread does
/// afterwards. For a netfilter socket: closing one waits for the kernel to be done with the last transaction of
/// its namespace (a grace period of 10 to 20 ms, measured on 6.18).
pub(crate) fn within_then_drop<T: Send + 'static, D: 'static>(
    netns: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<(T, D)> + Send + 'static,
) -> Result<T> {
    let netns =
        netns.try_clone_to_owned().map_err(|e| Error::system("duplicating a descriptor")(errno(&e)))?;
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let run = move || {
        let entered =
            rustix::thread::move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(Error::system("entering a network namespace"));
        drop(netns);
        let (result, rest) = match entered.and_then(|()| work()) {
            Ok((result, rest)) => (Ok(result), Some(rest)),
            Err(error) => (Err(error), None),
        };
        // Whoever asked waits for this.
        let _ = tell.send(result);
        drop(rest);
    };
    std::thread::Builder::new()
        .name("berth-netns".to_owned())
        .stack_size(STACK_LEN)
        .spawn(run)
        .map_err(|e| Error::system("starting a thread")(errno(&e)))?;
    told.recv().unwrap_or(Err(Error::Malformed("a network thread panicked")))
}

/// Runs `work` on a thread of its own, which may change its namespaces.
pub(crate) fn on_thread<T: Send>(name: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK_LEN)
            .spawn_scoped(scope, work)
            .map_err(|e| Error::system("starting a thread")(errno(&e)))?;
        thread.join().unwrap_or(Err(Error::Malformed("a network thread panicked")))
    })
}

/// The error number in an I/O error.
pub(crate) fn errno(error: &std::io::Error) -> rustix::io::Errno {
    rustix::io::Errno::from_io_error(error).unwrap_or(rustix::io::Errno::IO)
}
