//! Host ports that are published many in a row: one entry, whatever their number.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;

use super::socket;
use crate::endpoint::{Protocol, PublishedPort};
use crate::error::{Error, Result};

/// The book of published ranges.
#[derive(Debug, Default)]
pub(super) struct Ranges(Vec<Taken>);

#[derive(Debug)]
struct Taken {
    holder: String,
    ports: PublishedPort,
}

impl Ranges {
    /// Whether somebody has this port, by protocol, address and number.
    pub(super) fn has(&self, protocol: Protocol, host_ip: IpAddr, port: u16) -> bool {
        self.0.iter().any(|taken| {
            let ports = &taken.ports;
            ports.protocol == protocol
                && clash(ports.host_ip, host_ip)
                && (ports.host_port..=ports.last()).contains(&port)
        })
    }

    /// Enters ports that somebody has.
    pub(super) fn enter(&mut self, holder: &str, ports: PublishedPort) {
        let known = self.0.iter().any(|taken| taken.holder == holder && taken.ports == ports);
        if !known {
            self.0.push(Taken { holder: holder.to_owned(), ports });
        }
    }

    /// The first port that anybody (but `holder`) has among these.
    pub(super) fn taken(&self, holder: Option<&str>, ports: &PublishedPort) -> Option<u16> {
        let others =
            self.0.iter().filter(|taken| Some(taken.holder.as_str()) != holder).map(|taken| &taken.ports);
        let met =
            others.filter(|other| other.protocol == ports.protocol && clash(other.host_ip, ports.host_ip));
        let shared = met.filter(|other| other.host_port <= ports.last() && ports.host_port <= other.last());
        shared.map(|other| other.host_port.max(ports.host_port)).min()
    }

    /// Takes some of `holder`'s back.
    pub(super) fn give_back(&mut self, holder: &str, ports: &PublishedPort) {
        self.0.retain(|taken| taken.holder != holder || taken.ports != *ports);
    }

    /// Takes all of `holder`'s back.
    pub(super) fn release(&mut self, holder: &str) {
        self.0.retain(|taken| taken.holder != holder);
    }
}

/// Whether two addresses cannot both have the same port.
pub(super) fn clash(a: IpAddr, b: IpAddr) -> bool {
    a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()))
}

/// The first of these ports that a program of the host has. None of them is held: a socket each would cost more than
/// the ports themselves. `both`: on every address of IPv6 as well.
pub(super) fn in_use(ports: &PublishedPort, both: bool) -> Result<Option<u16>> {
    let address = if both { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { ports.host_ip };
    for port in ports.host_port..=ports.last() {
        match socket::bind(ports.protocol, SocketAddr::new(address, port), both) {
            Ok(_let_go) => {}
            // Nobody speaks it to programs (SCTP is often a module).
            Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) => return Ok(None),
            Err(Errno::ADDRINUSE) => return Ok(Some(port)),
            Err(errno) => return Err(Error::system(format!("reserving {address}:{port}"))(errno)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(host_ip: &str, first: u16, more: u16) -> PublishedPort {
        let host_ip = host_ip.parse().expect("address");
        PublishedPort { protocol: Protocol::Tcp, container_port: first, host_ip, host_port: first, more }
    }

    #[test]
    fn ports_of_a_range_are_given_once() {
        let mut ranges = Ranges::default();
        ranges.enter("a", ports("0.0.0.0", 20_000, 9999));
        ranges.enter("a", ports("0.0.0.0", 20_000, 9999));
        let here: IpAddr = "127.0.0.1".parse().expect("address");
        assert!(ranges.has(Protocol::Tcp, here, 29_999) && !ranges.has(Protocol::Udp, here, 29_999));
        assert!(
            !ranges.has(Protocol::Tcp, here, 30_000)
                && !ranges.has(Protocol::Tcp, "::1".parse().expect("six"), 20_000)
        );
        assert_eq!(ranges.taken(Some("b"), &ports("127.0.0.1", 19_000, 1000)), Some(20_000));
        assert_eq!(ranges.taken(Some("b"), &ports("127.0.0.1", 29_000, 5000)), Some(29_000));
        assert_eq!(ranges.taken(Some("b"), &ports("127.0.0.1", 30_000, 5000)), None);
        assert_eq!(ranges.taken(Some("a"), &ports("0.0.0.0", 20_000, 5000)), None);
        ranges.give_back("a", &ports("0.0.0.0", 20_000, 9999));
        assert!(ranges.0.is_empty());
    }

    #[test]
    fn a_program_of_the_host_is_found_among_many_ports() {
        let listener = std::net::TcpListener::bind("127.83.11.10:20700").expect("bound");
        let asked = ports("127.83.11.10", 20_500, 999);
        assert_eq!(in_use(&asked, false).expect("asked"), Some(20_700));
        drop(listener);
        assert_eq!(in_use(&asked, false).expect("asked"), None);
    }
}
