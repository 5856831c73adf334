//! Which host ports are published, by whom.
//!
//! A published port is an element of a firewall map. So that no program of the host (nor another
//! daemon) takes the port as well, a socket is bound to it: whoever tries to bind the same port is
//! told so, and so are we when somebody has it already. The container's shim gets it as soon as there
//! is one, so that it stays while no daemon runs, and serves it where the kernel can't.

mod host_side;
mod range;
mod socket;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::endpoint::{PortRequest, Protocol, PublishedPort};
use crate::error::{Error, Result};
use crate::sysctl;
use range::{Ranges, clash};
use socket::reserve;

pub use host_side::HostPorts;

/// Sockets of one container at most. Beyond it a port is tested when it is published, not held.
pub(crate) const MAX_HELD: usize = 512;

/// One socket: the protocol, the host's address, and the port.
type Key = (Protocol, IpAddr, u16);

/// What those requests mean that name no address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults {
    /// The address of the host.
    pub(crate) ip: IpAddr,
    /// On every address, if that is all of IPv4's, means IPv6's as well.
    pub(crate) twins: bool,
    /// The kernel leads IPv6 to the container: many ports in a row have no other way there.
    pub(crate) six: bool,
}

/// The book of published ports.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    taken: HashMap<(Protocol, u16), Vec<Taken>>,
    /// Ports that are published many in a row.
    ranges: Ranges,
    /// Sockets that holders have, in the hands of their shims.
    lent: HashMap<String, HashSet<Key>>,
    /// Sockets of each holder, wherever they are.
    held: HashMap<String, usize>,
    /// Where the search for an ephemeral port goes on.
    next: Option<u16>,
    /// Who opens ports on the host, which is elsewhere: each published port is a socket then, and what comes to it is
    /// passed on.
    host_side: Option<Arc<HostPorts>>,
}

#[derive(Debug)]
struct Taken {
    holder: String,
    host_ip: IpAddr,
    /// There is a socket for it.
    held: bool,
    /// The socket, until the container's shim has it.
    socket: Option<OwnedFd>,
}

impl Ports {
    /// An empty book. `host_side`: who opens ports on the host, where that is not the daemon itself.
    pub(crate) fn new(host_side: Option<Arc<HostPorts>>) -> Self {
        Self { host_side, ..Self::default() }
    }

    /// Takes every port of `requests` for `holder`, or none.
    pub(crate) fn take(
        &mut self,
        holder: &str,
        requests: &[PortRequest],
        defaults: Defaults,
    ) -> Result<Vec<PublishedPort>> {
        let taken = self.add(holder, requests, defaults);
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
        defaults: Defaults,
    ) -> Result<Vec<PublishedPort>> {
        let mut published = Vec::with_capacity(requests.len());
        for request in requests {
            if let Err(error) = self.take_one(holder, request, defaults, &mut published) {
                self.give_back(holder, &published);
                return Err(error);
            }
        }
        Ok(published)
    }

    /// Takes some of `holder`'s ports back.
    pub(crate) fn give_back(&mut self, holder: &str, ports: &[PublishedPort]) {
        for port in ports {
            self.ranges.give_back(holder, port);
            if let Some(all) = self.taken.get_mut(&(port.protocol, port.host_port)) {
                all.retain(|t| t.holder != holder || t.host_ip != port.host_ip);
            }
        }
        self.tidy();
    }

    /// Takes a port that `holder` has had all along; the host's programs are not asked.
    pub(crate) fn adopt(&mut self, holder: &str, port: &PublishedPort) -> Result<()> {
        if port.more > 0 {
            return match self.ranges.taken(Some(holder), port) {
                Some(taken) => Err(allocated(port.protocol, port.host_ip, taken)),
                None => {
                    self.ranges.enter(holder, *port);
                    Ok(())
                }
            };
        }
        let others = self.taken.get(&(port.protocol, port.host_port)).map_or(&[][..], Vec::as_slice);
        if others.iter().any(|t| t.holder != holder && clash(t.host_ip, port.host_ip)) {
            return Err(allocated(port.protocol, port.host_ip, port.host_port));
        }
        if !others.iter().any(|t| t.host_ip == port.host_ip) {
            // its shim holds it, and then nobody else can
            let socket = self.reserve(port.protocol, port.host_ip, port.host_port).ok().flatten();
            self.enter(holder, port.protocol, port.host_ip, port.host_port, socket);
        }
        Ok(())
    }

    /// Takes back all that `holder` has.
    pub(crate) fn release(&mut self, holder: &str) {
        self.taken.values_mut().for_each(|all| all.retain(|t| t.holder != holder));
        self.lent.remove(holder);
        self.ranges.release(holder);
        self.tidy();
    }

    /// Gives away the socket of one of `holder`'s ports, if it is here.
    pub(crate) fn lend(&mut self, holder: &str, port: &PublishedPort) -> Option<OwnedFd> {
        let all = self.taken.get_mut(&(port.protocol, port.host_port))?;
        let taken = all.iter_mut().find(|t| t.holder == holder && t.host_ip == port.host_ip)?;
        let socket = taken.socket.take()?;
        self.lent.entry(holder.to_owned()).or_default().insert(key(port));
        Some(socket)
    }

    /// Takes a socket back that nobody wanted.
    pub(crate) fn take_back(&mut self, holder: &str, port: &PublishedPort, socket: OwnedFd) {
        if let Some(lent) = self.lent.get_mut(holder) {
            lent.remove(&key(port));
        }
        let all = self.taken.get_mut(&(port.protocol, port.host_port));
        let taken = all.and_then(|all| all.iter_mut().find(|t| t.host_ip == port.host_ip));
        if let Some(taken) = taken.filter(|t| t.holder == holder) {
            taken.socket = Some(socket);
        }
    }

    /// `holder`'s shim has exactly these sockets.
    pub(crate) fn note_lent(&mut self, holder: &str, ports: impl Iterator<Item = Key>) {
        self.lent.insert(holder.to_owned(), ports.collect());
    }

    fn tidy(&mut self) {
        self.taken.retain(|_, all| !all.is_empty());
        self.held.clear();
        for taken in self.taken.values().flatten().filter(|taken| taken.held) {
            *self.held.entry(taken.holder.clone()).or_default() += 1;
        }
    }

    fn take_one(
        &mut self,
        holder: &str,
        request: &PortRequest,
        defaults: Defaults,
        published: &mut Vec<PublishedPort>,
    ) -> Result<()> {
        if request.more > 0 {
            return self.take_many(holder, request, defaults, published);
        }
        let protocol = request.protocol;
        let ip = request.host_ip.unwrap_or(defaults.ip);
        let twin = defaults.twins && request.host_ip.is_none() && ip.is_ipv4() && ip.is_unspecified();
        let ips = [Some(ip), twin.then_some(Ipv6Addr::UNSPECIFIED.into())];
        let ips: Vec<IpAddr> = ips.into_iter().flatten().collect();
        let single = request.host_port_end.is_none_or(|end| Some(end) == request.host_port);
        let (host_port, ips) = match request.host_port {
            Some(port) if single => (port, self.try_ports(holder, protocol, &ips, port)?),
            Some(first) => {
                let last = request.host_port_end.unwrap_or(first);
                self.first_free(holder, protocol, &ips, (first, last), first)?
            }
            None => {
                let range = sysctl::ephemeral_ports();
                let start = self.next.filter(|n| (range.0..=range.1).contains(n)).unwrap_or(range.0);
                let found = self.first_free(holder, protocol, &ips, range, start)?;
                self.next = found.0.checked_add(1);
                found
            }
        };
        let container_port = request.container_port;
        let port = |host_ip| PublishedPort { protocol, container_port, host_ip, host_port, more: 0 };
        published.extend(ips.into_iter().map(port));
        Ok(())
    }

    /// Takes many ports in a row, or none of them. They are tested, and not held.
    fn take_many(
        &mut self,
        holder: &str,
        request: &PortRequest,
        defaults: Defaults,
        published: &mut Vec<PublishedPort>,
    ) -> Result<()> {
        let wrong = || Error::Invalid(format!("invalid range of ports: {request:?}"));
        let (protocol, more) = (request.protocol, request.more);
        let (host_port, container_port) = (request.host_port.ok_or_else(wrong)?, request.container_port);
        host_port.checked_add(more).ok_or_else(wrong)?;
        container_port.checked_add(more).ok_or_else(wrong)?;
        if self.host_side.is_some() {
            let one = |n| PortRequest {
                container_port: container_port + n,
                host_port: Some(host_port + n),
                host_port_end: None,
                more: 0,
                ..request.clone()
            };
            return (0..=more).try_for_each(|n| self.take_one(holder, &one(n), defaults, published));
        }
        let ip = request.host_ip.unwrap_or(defaults.ip);
        if ip.is_ipv6() && (ip.is_loopback() || !defaults.six) {
            return Err(Error::Unsupported(format!(
                "{} ports in a row cannot be published on {ip}: only the kernel serves so many, and from there it leads to no container{}; publish fewer than 64 at once, or on an IPv4 address",
                usize::from(more) + 1,
                if ip.is_loopback() { "" } else { " without an IPv6 address" },
            )));
        }
        let on = |host_ip| PublishedPort { protocol, container_port, host_ip, host_port, more };
        let twin = defaults.twins
            && defaults.six
            && request.host_ip.is_none()
            && ip.is_ipv4()
            && ip.is_unspecified();
        let mut wanted = vec![on(ip)];
        wanted.extend(twin.then(|| on(Ipv6Addr::UNSPECIFIED.into())));
        let booked = wanted.iter().find_map(|ports| self.booked(ports).map(|port| (ports.host_ip, port)));
        if let Some((ip, port)) = booked {
            return Err(allocated(protocol, ip, port));
        }
        let in_use = match range::in_use(&wanted[0], twin) {
            // A machine may have no IPv6.
            Err(_) if twin => {
                wanted.truncate(1);
                range::in_use(&wanted[0], false)
            }
            in_use => in_use,
        };
        if let Some(port) = in_use? {
            return Err(allocated(protocol, ip, port));
        }
        for ports in &wanted {
            self.ranges.enter(holder, *ports);
        }
        published.extend(wanted);
        Ok(())
    }

    /// The first of many ports that somebody has.
    fn booked(&self, ports: &PublishedPort) -> Option<u16> {
        let single = |(&(protocol, port), all): (&(Protocol, u16), &Vec<Taken>)| {
            let within = protocol == ports.protocol && (ports.host_port..=ports.last()).contains(&port);
            (within && all.iter().any(|t| clash(t.host_ip, ports.host_ip))).then_some(port)
        };
        let range = self.ranges.taken(None, ports);
        range.into_iter().chain(self.taken.iter().filter_map(single)).min()
    }

    /// The first port from `start` on that is free on all of these addresses, going round at the end of the range.
    fn first_free(
        &mut self,
        holder: &str,
        protocol: Protocol,
        ips: &[IpAddr],
        (first, last): (u16, u16),
        start: u16,
    ) -> Result<(u16, Vec<IpAddr>)> {
        for port in (start..=last).chain(first..start) {
            match self.try_ports(holder, protocol, ips, port) {
                Ok(had) => return Ok((port, had)),
                Err(Error::PortAllocated { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::PortsExhausted { first, last, protocol })
    }

    /// Takes a port on all of these addresses, or on none; those that it was taken on. A machine may have no IPv6: then
    /// an address beyond the first is left out.
    fn try_ports(
        &mut self,
        holder: &str,
        protocol: Protocol,
        ips: &[IpAddr],
        port: u16,
    ) -> Result<Vec<IpAddr>> {
        let mut had = Vec::with_capacity(ips.len());
        for ip in ips {
            match self.try_port(holder, protocol, *ip, port) {
                Ok(()) => had.push(*ip),
                Err(Error::System { .. }) if !had.is_empty() => {}
                Err(error) => {
                    let port = |host_ip| PublishedPort {
                        protocol,
                        container_port: 0,
                        host_ip,
                        host_port: port,
                        more: 0,
                    };
                    self.give_back(holder, &had.into_iter().map(port).collect::<Vec<_>>());
                    return Err(error);
                }
            }
        }
        Ok(had)
    }

    fn try_port(&mut self, holder: &str, protocol: Protocol, host_ip: IpAddr, port: u16) -> Result<()> {
        let others = self.taken.get(&(protocol, port));
        let taken = others.is_some_and(|all| all.iter().any(|t| clash(t.host_ip, host_ip)));
        if taken || self.ranges.has(protocol, host_ip, port) {
            return Err(allocated(protocol, host_ip, port));
        }
        // it may have been another port's of the same container a moment ago, and then its shim still has it
        let own = self.lent.get(holder).is_some_and(|lent| lent.contains(&(protocol, host_ip, port)));
        if self.host_side.is_some() {
            self.check_serving(holder, protocol)?;
        }
        let socket = if own { None } else { self.reserve(protocol, host_ip, port)? };
        self.enter(holder, protocol, host_ip, port, socket);
        Ok(())
    }

    /// A socket on the host.
    fn reserve(&self, protocol: Protocol, host_ip: IpAddr, port: u16) -> Result<Option<OwnedFd>> {
        match &self.host_side {
            Some(host) => host.reserve(protocol, host_ip, port),
            None => reserve(protocol, host_ip, port),
        }
    }

    /// Refuses what no socket can serve.
    fn check_serving(&self, holder: &str, protocol: Protocol) -> Result<()> {
        if protocol == Protocol::Sctp {
            let why = "an ordinary user's daemon publishes no SCTP ports: only the kernel passes them on";
            return Err(Error::Unsupported(why.to_owned()));
        }
        if self.held.get(holder).is_some_and(|held| *held >= MAX_HELD) {
            return Err(Error::Unsupported(format!(
                "an ordinary user's daemon publishes {MAX_HELD} ports of a container at most, each of which is a socket (a port on all addresses counts once for each family)"
            )));
        }
        Ok(())
    }

    fn enter(
        &mut self,
        holder: &str,
        protocol: Protocol,
        host_ip: IpAddr,
        port: u16,
        socket: Option<OwnedFd>,
    ) {
        let count = self.held.entry(holder.to_owned()).or_default();
        let held = *count < MAX_HELD;
        *count += usize::from(held);
        let taken = Taken { holder: holder.to_owned(), host_ip, held, socket: socket.filter(|_| held) };
        self.taken.entry((protocol, port)).or_default().push(taken);
    }
}

fn key(port: &PublishedPort) -> Key {
    (port.protocol, port.host_ip, port.host_port)
}

fn allocated(protocol: Protocol, host_ip: IpAddr, host_port: u16) -> Error {
    Error::PortAllocated { host_ip, host_port, protocol }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const ON: Defaults = Defaults { ip: HERE, twins: false, six: false };

    fn request(host_port: Option<u16>, end: Option<u16>) -> PortRequest {
        PortRequest {
            protocol: Protocol::Tcp,
            container_port: 80,
            host_ip: Some(HERE),
            host_port,
            host_port_end: end,
            more: 0,
        }
    }

    #[test]
    fn a_port_is_given_once_and_kept_from_the_hosts_programs() {
        let mut ports = Ports::default();
        let port = ports.take("a", &[request(None, None)], ON).expect("any port")[0].host_port;
        let taken = ports.take("b", &[request(Some(port), None)], ON).expect_err("taken").to_string();
        assert_eq!(taken, format!("Bind for 127.0.0.1:{port} failed: port is already allocated"));
        let everywhere = PortRequest { host_ip: None, ..request(Some(port), None) };
        assert!(
            ports
                .take(
                    "b",
                    &[everywhere],
                    Defaults { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), twins: true, six: true }
                )
                .is_err()
        );
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
            ports.take("a", &[request(Some(port), None)], ON),
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
        assert_eq!(ports.take("a", std::slice::from_ref(&range), ON).expect("first")[0].host_port, 20000);
        assert_eq!(ports.take("b", std::slice::from_ref(&range), ON).expect("second")[0].host_port, 20001);
        assert!(matches!(ports.take("c", &[range], ON), Err(Error::PortsExhausted { .. })));
    }

    #[test]
    fn every_address_means_those_of_both_families() {
        let mut ports = Ports::default();
        let defaults = Defaults { ip: Ipv4Addr::UNSPECIFIED.into(), twins: true, six: true };
        let anywhere = PortRequest { host_ip: None, ..request(None, None) };
        let taken = ports.take("a", std::slice::from_ref(&anywhere), defaults).expect("two");
        let ips: Vec<_> = taken.iter().map(|port| port.host_ip.to_string()).collect();
        assert_eq!(ips, ["0.0.0.0", "::"]);
        assert_eq!(taken[0].host_port, taken[1].host_port);
        // a program that has one of the two has both
        ports.release("a");
        let port = taken[0].host_port;
        let program = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, port)).expect("free again");
        let same = PortRequest { host_port: Some(port), ..anywhere };
        assert!(matches!(
            ports.take("a", std::slice::from_ref(&same), defaults),
            Err(Error::PortAllocated { .. })
        ));
        assert!(ports.taken.is_empty() && ports.held.is_empty());
        drop(program);
        ports.take("a", &[same], defaults).expect("both");
    }

    #[test]
    fn a_socket_that_is_lent_still_keeps_the_port() {
        let mut ports = Ports::default();
        let port = ports.take("a", &[request(None, None)], ON).expect("any port")[0];
        let socket = ports.lend("a", &port).expect("a socket");
        assert!(ports.lend("a", &port).is_none());
        // a port of the container's own moves: the socket is with its shim
        ports.give_back("a", &[port]);
        assert!(ports.taken.is_empty());
        let again = request(Some(port.host_port), None);
        assert!(ports.add("b", std::slice::from_ref(&again), ON).is_err());
        ports.add("a", std::slice::from_ref(&again), ON).expect("its own");
        assert!(ports.lend("a", &port).is_none());
        ports.take_back("a", &port, socket);
        assert!(ports.lend("a", &port).is_some());
        ports.release("a");
        ports.add("b", &[again], ON).expect("free");
    }

    #[test]
    fn many_ports_are_taken_at_once_and_given_back_at_once() {
        let mut ports = Ports::default();
        let ip = IpAddr::V4(Ipv4Addr::new(127, 83, 11, 12));
        let many = PortRequest { host_ip: Some(ip), more: 9999, ..request(Some(20_000), None) };
        let taken = ports.take("a", std::slice::from_ref(&many), ON).expect("free");
        assert_eq!((taken.len(), taken[0].last(), ports.held.len()), (1, 29_999, 0));
        let within = PortRequest { host_ip: Some(ip), ..request(Some(25_000), None) };
        let error = ports.take("b", std::slice::from_ref(&within), ON).expect_err("taken").to_string();
        assert_eq!(error, "Bind for 127.83.11.12:25000 failed: port is already allocated");
        assert!(ports.take("b", std::slice::from_ref(&many), ON).is_err());
        ports.give_back("a", &taken);
        ports.take("b", &[within], ON).expect("free");
        let error = ports.take("a", &[many], ON).expect_err("one is taken").to_string();
        assert_eq!(error, "Bind for 127.83.11.12:25000 failed: port is already allocated");
        let beyond = PortRequest { host_ip: Some(ip), more: 9999, ..request(Some(60_000), None) };
        assert!(matches!(ports.take("a", &[beyond], ON), Err(Error::Invalid(_))));
        for six in [Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED] {
            let own = PortRequest { host_ip: Some(six.into()), more: 99, ..request(Some(20_000), None) };
            assert!(matches!(ports.take("a", &[own], ON), Err(Error::Unsupported(_))), "{six}");
        }
    }
}
