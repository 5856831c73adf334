//! Sockets that hold ports.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, ipproto, sockopt};

use super::allocated;
use crate::endpoint::Protocol;
use crate::error::{Error, Result};

/// Binds a socket to the port. `None` when the kernel doesn't speak the protocol to programs
/// (SCTP is often a module): then there is nobody to keep out.
pub(super) fn reserve(protocol: Protocol, host_ip: IpAddr, port: u16) -> Result<Option<OwnedFd>> {
    let address = SocketAddr::new(host_ip, port);
    judge(try_reserve(protocol, address, false), protocol, address)
}

/// The same, with the kernel's word: `EADDRINUSE` says that somebody has the port. `both` as for [`bind`].
pub(super) fn try_reserve(
    protocol: Protocol,
    address: SocketAddr,
    both: bool,
) -> Result<Option<OwnedFd>, Errno> {
    match bind(protocol, address, both) {
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) => Ok(None),
        Err(Errno::ADDRINUSE) if protocol == Protocol::Tcp => {
            bind_past_former(address, both).map(Some).map_err(|_others| Errno::ADDRINUSE)
        }
        bound => bound.map(Some),
    }
}

/// That word in ours.
pub(super) fn judge(
    made: Result<Option<OwnedFd>, Errno>,
    protocol: Protocol,
    address: SocketAddr,
) -> Result<Option<OwnedFd>> {
    made.map_err(|errno| match errno {
        Errno::ADDRINUSE => allocated(protocol, address.ip(), address.port()),
        errno => Error::system(format!("reserving {address}/{protocol}"))(errno),
    })
}

/// A socket that is bound to the port. `both`: one of IPv6 takes IPv4's port as well.
pub(super) fn bind(protocol: Protocol, address: SocketAddr, both: bool) -> Result<OwnedFd, Errno> {
    let socket = open(protocol, address, both)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

fn open(protocol: Protocol, address: SocketAddr, both: bool) -> Result<OwnedFd, Errno> {
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, Some(number))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !both)?;
    }
    Ok(socket)
}

/// Where nothing but connections that have ended a moment ago (`TIME_WAIT`) is in the way. `SO_REUSEADDR` lets us past
/// them, and would let others past us: so we listen, which tells whether anybody else is there, stop to, and take the
/// option back.
fn bind_past_former(address: SocketAddr, both: bool) -> Result<OwnedFd, Errno> {
    let socket = open(Protocol::Tcp, address, both)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, 0)?;
    rustix::net::shutdown(&socket, Shutdown::Read)?;
    sockopt::set_socket_reuseaddr(&socket, false)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn connections_that_have_ended_are_not_in_the_way_and_programs_are() {
        for ip in ["127.0.0.1", "::1"].map(|ip| ip.parse::<IpAddr>().expect("address")) {
            let listener = TcpListener::bind((ip, 0)).expect("bound");
            let address = listener.local_addr().expect("address");
            let mut client = TcpStream::connect(address).expect("connected");
            let (server, _) = listener.accept().expect("accepted");
            assert!(reserve(Protocol::Tcp, ip, address.port()).is_err());
            drop(listener);
            // whoever ends first waits
            drop(server);
            assert_eq!(client.read(&mut [0]).expect("end"), 0);
            drop(client);
            assert!(bind(Protocol::Tcp, address, false).is_err(), "nothing waits: the test shows nothing");
            let held = reserve(Protocol::Tcp, ip, address.port()).expect("reserved").expect("spoken");
            // the standard library's listeners reuse addresses
            assert!(TcpListener::bind(address).is_err());
            assert!(reserve(Protocol::Tcp, ip, address.port()).is_err());
            assert!(TcpStream::connect(address).is_err());
            // and it may listen later
            sockopt::set_socket_reuseaddr(&held, true).expect("option");
            rustix::net::listen(&held, 1).expect("listens");
            TcpStream::connect(address).expect("connected");
        }
    }
}
