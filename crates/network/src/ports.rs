//! Which host ports are published, by whom.
//!
//! A published port is an element of a firewall map. So that no program of the host (nor another
//! daemon) takes the port as well, a socket is bound to it and never read: whoever tries to bind
//! the same port is told so, and so are we when somebody has it already.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};

use crate::endpoint::{PortRequest, Protocol, PublishedPort};
use crate::error::{Error, Result};
use crate::sysctl;

/// Sockets that are held at most. Beyond it a port is tested when it is published, not held.
const MAX_HELD: usize = 512;

/// The book of published ports.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    taken: HashMap<(Protocol, u16), Vec<Taken>>,
    held: usize,
    /// Where the search for an ephemeral port goes on.
    next: Option<u16>,
}

#[derive(Debug)]
struct Taken {
    holder: String,
    host_ip: IpAddr,
    socket: Option<OwnedFd>,
}

impl Ports {
    /// Takes every port of `requests` for `holder`, or none.
    pub(crate) fn take(
        &mut self,
        holder: &str,
        requests: &[PortRequest],
        default_ip: IpAddr,
    ) -> Result<Vec<PublishedPort>> {
        let taken = self.add(holder, requests, default_ip);
        if taken.is_err() {
            self.release(holder);
        }
        taken
    }

    /// Takes more ports for `holder`: every one of `requests`, or none.
    pub(crate) fn add(
        &mut self,
        holder: &str,
        requests: &[PortRequest],
        default_ip: IpAddr,
    ) -> Result<Vec<PublishedPort>> {
        let mut published = Vec::with_capacity(requests.len());
        for request in requests {
            match self.take_one(holder, request, request.host_ip.unwrap_or(default_ip)) {
                Ok(port) => published.push(port),
                Err(error) => {
                    self.give_back(holder, &published);
                    return Err(error);
                }
            }
        }
        Ok(published)
    }

    /// Takes some of `holder`'s ports back.
    pub(crate) fn give_back(&mut self, holder: &str, ports: &[PublishedPort]) {
        for port in ports {
            if let Some(all) = self.taken.get_mut(&(port.protocol, port.host_port)) {
                all.retain(|t| t.holder != holder || t.host_ip != port.host_ip);
            }
        }
        self.tidy();
    }

    /// Takes a port that `holder` has had all along; the host's programs are not asked.
    pub(crate) fn adopt(&mut self, holder: &str, port: &PublishedPort) -> Result<()> {
        let others = self.taken.entry((port.protocol, port.host_port)).or_default();
        if others.iter().any(|t| t.holder != holder && clash(t.host_ip, port.host_ip)) {
            return Err(allocated(port.protocol, port.host_ip, port.host_port));
        }
        if !others.iter().any(|t| t.host_ip == port.host_ip) {
            let socket = reserve(port.protocol, port.host_ip, port.host_port).ok().flatten();
            let socket = socket.filter(|_| self.held < MAX_HELD);
            self.held += usize::from(socket.is_some());
            others.push(Taken { holder: holder.to_owned(), host_ip: port.host_ip, socket });
        }
        Ok(())
    }

    /// Takes back all that `holder` has.
    pub(crate) fn release(&mut self, holder: &str) {
        self.taken.values_mut().for_each(|all| all.retain(|t| t.holder != holder));
        self.tidy();
    }

    fn tidy(&mut self) {
        self.taken.retain(|_, all| !all.is_empty());
        self.held = self.taken.values().flatten().filter(|t| t.socket.is_some()).count();
    }

    fn take_one(&mut self, holder: &str, request: &PortRequest, host_ip: IpAddr) -> Result<PublishedPort> {
        let protocol = request.protocol;
        let single = request.host_port_end.is_none_or(|end| Some(end) == request.host_port);
        let host_port = match request.host_port {
            Some(port) if single => self.try_port(holder, protocol, host_ip, port).map(|()| port)?,
            Some(first) => {
                let last = request.host_port_end.unwrap_or(first);
                self.first_free(holder, protocol, host_ip, (first, last), first)?
            }
            None => {
                let range = sysctl::ephemeral_ports();
                let start = self.next.filter(|n| (range.0..=range.1).contains(n)).unwrap_or(range.0);
                let port = self.first_free(holder, protocol, host_ip, range, start)?;
                self.next = port.checked_add(1);
                port
            }
        };
        Ok(PublishedPort { protocol, container_port: request.container_port, host_ip, host_port })
    }

    /// The first free port from `start` on, going round at the end of the range.
    fn first_free(
        &mut self,
        holder: &str,
        protocol: Protocol,
        host_ip: IpAddr,
        (first, last): (u16, u16),
        start: u16,
    ) -> Result<u16> {
        for port in (start..=last).chain(first..start) {
            match self.try_port(holder, protocol, host_ip, port) {
                Ok(()) => return Ok(port),
                Err(Error::PortAllocated { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::PortsExhausted { first, last, protocol })
    }

    fn try_port(&mut self, holder: &str, protocol: Protocol, host_ip: IpAddr, port: u16) -> Result<()> {
        let others = self.taken.get(&(protocol, port));
        if others.is_some_and(|all| all.iter().any(|t| clash(t.host_ip, host_ip))) {
            return Err(allocated(protocol, host_ip, port));
        }
        let socket = reserve(protocol, host_ip, port)?.filter(|_| self.held < MAX_HELD);
        self.held += usize::from(socket.is_some());
        let taken = Taken { holder: holder.to_owned(), host_ip, socket };
        self.taken.entry((protocol, port)).or_default().push(taken);
        Ok(())
    }
}

/// Whether two addresses cannot both have the same port.
fn clash(a: IpAddr, b: IpAddr) -> bool {
    a == b || a.is_unspecified() || b.is_unspecified()
}

fn allocated(protocol: Protocol, host_ip: IpAddr, host_port: u16) -> Error {
    Error::PortAllocated { host_ip, host_port, protocol }
}

/// Binds a socket to the port. `None` when the kernel doesn't speak the protocol to programs
/// (SCTP is often a module): then there is nobody to keep out.
fn reserve(protocol: Protocol, host_ip: IpAddr, port: u16) -> Result<Option<OwnedFd>> {
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let family = if host_ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let action = || format!("reserving {host_ip}:{port}/{protocol}");
    let socket = match rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, Some(number)) {
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) => return Ok(None),
        made => made.map_err(Error::system(action()))?,
    };
    match rustix::net::bind(&socket, &SocketAddr::new(host_ip, port)) {
        Ok(()) => Ok(Some(socket)),
        Err(Errno::ADDRINUSE) => Err(allocated(protocol, host_ip, port)),
        Err(errno) => Err(Error::system(action())(errno)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn request(host_port: Option<u16>, end: Option<u16>) -> PortRequest {
        PortRequest {
            protocol: Protocol::Tcp,
            container_port: 80,
            host_ip: Some(HERE),
            host_port,
            host_port_end: end,
        }
    }

    #[test]
    fn a_port_is_given_once_and_kept_from_the_hosts_programs() {
        let mut ports = Ports::default();
        let port = ports.take("a", &[request(None, None)], HERE).expect("any port")[0].host_port;
        let taken = ports.take("b", &[request(Some(port), None)], HERE).expect_err("taken").to_string();
        assert_eq!(taken, format!("Bind for 127.0.0.1:{port} failed: port is already allocated"));
        let everywhere = PortRequest { host_ip: None, ..request(Some(port), None) };
        assert!(ports.take("b", &[everywhere], IpAddr::V4(Ipv4Addr::UNSPECIFIED)).is_err());
        assert!(std::net::TcpListener::bind((HERE, port)).is_err());
        ports.release("a");
        std::net::TcpListener::bind((HERE, port)).expect("free again");
    }

    #[test]
    fn a_program_of_the_host_keeps_its_port() {
        let listener = std::net::TcpListener::bind((HERE, 0)).expect("bound");
        let port = listener.local_addr().expect("address").port();
        let mut ports = Ports::default();
        assert!(matches!(
            ports.take("a", &[request(Some(port), None)], HERE),
            Err(Error::PortAllocated { .. })
        ));
        assert!(ports.taken.is_empty());
    }

    #[test]
    fn a_range_gives_its_first_free_port_and_then_says_that_it_is_used_up() {
        let mut ports = Ports::default();
        // Nobody else on the machine uses this address.
        let ip = IpAddr::V4(Ipv4Addr::new(127, 83, 11, 9));
        let range = PortRequest { host_ip: Some(ip), ..request(Some(20000), Some(20001)) };
        assert_eq!(ports.take("a", std::slice::from_ref(&range), ip).expect("first")[0].host_port, 20000);
        assert_eq!(ports.take("b", std::slice::from_ref(&range), ip).expect("second")[0].host_port, 20001);
        assert!(matches!(ports.take("c", &[range], ip), Err(Error::PortsExhausted { .. })));
    }
}
