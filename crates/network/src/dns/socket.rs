//! The resolver's sockets in a container's namespace, and those by which it asks other servers.
//!
//! They listen on ports that the kernel picks: port 53 is the container's own, should it be a name
//! server itself. A few stateless rules in its namespace rewrite the port on the way there and back;
//! that needs no connection tracking, which would cost all of the container's traffic something.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::error::{Error, Result};
use crate::firewall::divert;
use crate::netns;

/// Where containers find their resolver, as with Docker.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// The port of DNS.
const PORT: u16 = 53;
/// Room for queries that come while no daemon reads, in bytes; the kernel doubles it. A short query
/// takes some 800.
const BUFFER_LEN: usize = 2 << 20;
/// TCP connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// The sockets that a container's queries come to. They outlive the daemon in the hands of whoever
/// holds them: a query that nobody reads waits.
#[derive(Debug)]
pub struct ResolverSockets {
    /// Bound, not blocking.
    pub udp: OwnedFd,
    /// Listening, not blocking.
    pub tcp: OwnedFd,
}

impl ResolverSockets {
    /// Opens them in a namespace.
    pub(crate) fn open(netns: BorrowedFd<'_>) -> Result<Self> {
        netns::within_then_drop(netns, || {
            let sockets = Self::bind(0)?;
            match divert::install(ADDRESS, PORT, port_of(&sockets.udp)?, port_of(&sockets.tcp)?) {
                Ok(firewall) => Ok((sockets, Some(firewall))),
                // Without rules the resolver takes the port itself.
                Err(error) => {
                    tracing::debug!("{error}");
                    Ok((Self::bind(PORT)?, None))
                }
            }
        })
    }

    fn bind(port: u16) -> Result<Self> {
        let address = SocketAddrV4::new(ADDRESS, port);
        let open = |kind, flags| {
            rustix::net::socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC | flags, None)
                .map_err(Error::system("opening a socket of the resolver"))
        };
        let failed = || Error::system(format!("binding the resolver to {address}"));
        let udp = open(SocketType::DGRAM, SocketFlags::NONBLOCK)?;
        // A smaller buffer works as well.
        let _ = sockopt::set_socket_recv_buffer_size_force(&udp, BUFFER_LEN);
        rustix::net::bind(&udp, &address).map_err(failed())?;
        let tcp = open(SocketType::STREAM, SocketFlags::NONBLOCK)?;
        rustix::net::bind(&tcp, &address).map_err(failed())?;
        rustix::net::listen(&tcp, BACKLOG).map_err(failed())?;
        Ok(Self { udp, tcp })
    }
}

fn port_of(socket: &OwnedFd) -> Result<u16> {
    let address =
        rustix::net::getsockname(socket).map_err(Error::system("asking for the resolver's port"))?;
    let address = SocketAddrV4::try_from(address).map_err(Error::system("reading the resolver's port"))?;
    Ok(address.port())
}

/// The way by which a container's questions go to other servers: from its own namespace, so that
/// they take the way that all of its traffic takes.
#[derive(Debug)]
pub struct Door {
    netns: OwnedFd,
}

impl Door {
    /// The door of the container whose namespace this is.
    pub fn new(netns: OwnedFd) -> Self {
        Self { netns }
    }

    /// A socket, not blocking, that is connected to `server` (over UDP) or being connected to it
    /// (over TCP). A server on a loopback address is the host's own: it is asked from there, and so is
    /// one with an IPv6 address that the container has no way to. Blocks for a moment.
    ///
    /// # Errors
    /// The namespace or the kernel refuses, such as when there is no route.
    pub fn connect(&self, server: SocketAddr, stream: bool) -> Result<OwnedFd> {
        if server.ip().is_loopback() {
            return connect(server, stream);
        }
        match netns::within(self.netns.as_fd(), || connect(server, stream)) {
            // It has no IPv6, and the host has: the question is no traffic of the container's own.
            Err(error) if server.is_ipv6() && error.errno().is_some_and(unreachable) => {
                connect(server, stream)
            }
            result => result,
        }
    }
}

const fn unreachable(errno: Errno) -> bool {
    matches!(errno, Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ADDRNOTAVAIL | Errno::ACCESS)
}

fn connect(server: SocketAddr, stream: bool) -> Result<OwnedFd> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let kind = if stream { SocketType::STREAM } else { SocketType::DGRAM };
    let failed = || Error::system(format!("asking name server {server}"));
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, None).map_err(failed())?;
    match rustix::net::connect(&socket, &server) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(failed()(errno)),
    }
}
