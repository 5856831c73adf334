//! Elements of the maps and sets by which ports are found.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Family;
use crate::endpoint::PublishedPort;

/// Ports in a row from which on they are one element of a map of ranges, if each leads to the same port of the
/// container: ten thousand cost what one does. Fewer are quicker found one by one.
const RANGE: usize = 16;

/// A map, or a set, of ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Map {
    /// What becomes of packets to its ports.
    pub(crate) way: Way,
    /// What its keys hold.
    pub(crate) scope: Scope,
    /// The family of its addresses.
    pub(crate) family: Family,
}

/// What becomes of packets to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// They go to an address and a port of the container.
    Published,
    /// They go on to the container, as they say themselves (a set).
    Routed,
}

/// What a map's keys hold beside the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// An address and a port.
    Here,
    /// A port of every address of the host.
    Everywhere,
    /// An address and a range of ports, which stay the same in the container.
    RangesHere,
    /// A range of ports of every address, which stay the same in the container.
    RangesEverywhere,
}

impl Scope {
    /// Keys begin with an address.
    pub(crate) fn here(self) -> bool {
        matches!(self, Self::Here | Self::RangesHere)
    }

    /// Keys end in a range of ports.
    pub(crate) fn ranges(self) -> bool {
        matches!(self, Self::RangesHere | Self::RangesEverywhere)
    }
}

impl Map {
    /// All that there are.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let kinds = [
            (Way::Published, Scope::Here),
            (Way::Published, Scope::Everywhere),
            (Way::Published, Scope::RangesHere),
            (Way::Published, Scope::RangesEverywhere),
            (Way::Routed, Scope::Here),
            (Way::Routed, Scope::RangesHere),
        ];
        let of = move |family| kinds.map(|(way, scope)| Self { way, scope, family });
        Family::ALL.into_iter().flat_map(of)
    }

    /// Its name in the table.
    pub(crate) fn name(self) -> String {
        let way = match self.way {
            Way::Published => "published",
            Way::Routed => "routed",
        };
        let scope = match self.scope {
            Scope::Here => "",
            Scope::Everywhere => "_everywhere",
            Scope::RangesHere => "_ranges",
            Scope::RangesEverywhere => "_ranges_everywhere",
        };
        let family = if self.family == Family::V4 { "" } else { "6" };
        format!("{way}{family}{scope}")
    }
}

/// An element of a map.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Element {
    /// The map.
    pub(crate) map: Map,
    /// Key, each part padded to four bytes.
    pub(crate) key: Vec<u8>,
    /// The last key of the range, in a map of ranges.
    pub(crate) end: Option<Vec<u8>>,
    /// Value: container address, and port where that is not the key's. Empty in a set.
    pub(crate) value: Vec<u8>,
    /// Who it belongs to.
    pub(crate) container_id: String,
}

/// Where a container is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Target {
    /// Its IPv4 address.
    pub(crate) ip: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub(crate) ip6: Option<Ipv6Addr>,
    /// Its network's addresses are routed, not translated, one a family.
    pub(crate) routed: [bool; 2],
    /// Some reach its ports by its own address, although they are translated.
    pub(crate) trusted: bool,
}

impl Target {
    fn address(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.ip.map(IpAddr::V4),
            Family::V6 => self.ip6.map(IpAddr::V6),
        }
    }
}

/// The elements that lead to these ports of a container.
pub(crate) fn elements(ports: &[PublishedPort], target: &Target, container_id: &str) -> Vec<Element> {
    let mut elements = Vec::new();
    for run in runs(ports) {
        lead(run, target, |map, part, value| {
            elements.push(element(map, &part, value, container_id));
        });
    }
    elements
}

/// Joins ports that follow the one before.
fn runs(ports: &[PublishedPort]) -> Vec<PublishedPort> {
    let next = |port: u16, other: u16| port.checked_add(1) == Some(other);
    let mut runs: Vec<PublishedPort> = Vec::new();
    for port in ports {
        match runs.last_mut() {
            Some(run)
                if run.protocol == port.protocol
                    && run.host_ip == port.host_ip
                    && next(run.last(), port.host_port)
                    && next(run.container_port.saturating_add(run.more), port.container_port) =>
            {
                run.more += port.more + 1;
            }
            _ => runs.push(*port),
        }
    }
    runs
}

/// Where a run of ports leads: `push` gets each map with the ports and the value of one element.
fn lead(run: PublishedPort, target: &Target, mut push: impl FnMut(Map, PublishedPort, Vec<u8>)) {
    let host_ip = run.host_ip;
    let family = if host_ip.is_ipv4() { Family::V4 } else { Family::V6 };
    let index = usize::from(family == Family::V6);
    let many = usize::from(run.more) + 1 >= RANGE;
    let map = |way, ranges| {
        let scope = match (host_ip.is_unspecified() && way != Way::Routed, ranges) {
            (false, false) => Scope::Here,
            (true, false) => Scope::Everywhere,
            (false, true) => Scope::RangesHere,
            (true, true) => Scope::RangesEverywhere,
        };
        Map { way, scope, family }
    };
    let parts = |whole: bool| {
        let one = whole.then_some(run);
        one.into_iter().chain(run.each().take(if whole { 0 } else { usize::MAX }))
    };
    let address = target.address(family);
    // What leaves ::1 never comes back from elsewhere.
    let own = host_ip.is_ipv6() && host_ip.is_loopback();
    if let Some(ip) = address.filter(|_| target.routed[index] || (target.trusted && !own)) {
        parts(many).for_each(|part| push(map(Way::Routed, many), part, bytes(ip)));
    }
    if address.is_some() && target.routed[index] {
        return;
    }
    if let Some(ip) = address.filter(|_| !own) {
        let ranged = many && run.host_port == run.container_port;
        for part in parts(ranged) {
            let port = if ranged { Vec::new() } else { padded(part.container_port).to_vec() };
            push(map(Way::Published, ranged), part, [bytes(ip), port].concat());
        }
    }
}

/// The element of `map` for a part of a run. Where addresses are routed, `value` is the address that the key begins with.
fn element(map: Map, part: &PublishedPort, value: Vec<u8>, container_id: &str) -> Element {
    let routed = map.way == Way::Routed;
    let first = if routed { part.container_port } else { part.host_port };
    let key = |port: u16| {
        let mut key = match part.host_ip {
            _ if routed => value.clone(),
            ip if map.scope.here() => bytes(ip),
            _ => Vec::new(),
        };
        key.extend_from_slice(&[part.protocol.number(), 0, 0, 0]);
        key.extend_from_slice(&padded(port));
        key
    };
    let end = map.scope.ranges().then(|| key(first.saturating_add(part.more)));
    let key = key(first);
    let value = if routed { Vec::new() } else { value };
    Element { map, key, end, value, container_id: container_id.to_owned() }
}

fn bytes(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}
