//! What the firewall is to say, as a value. Pure: [`super::nft`] puts it into the kernel.
//!
//! One table holds everything, and nobody else's table is touched. A packet that our rules accept
//! may still be dropped by another table (nftables gives every table its say), never the reverse.

use core::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::endpoint::PublishedPort;

/// Map of ports published on one host address: address, protocol, port → container, port.
pub(crate) const PUBLISHED_HERE: &str = "published";
/// Map of ports published on every host address: protocol, port → container, port.
pub(crate) const PUBLISHED_EVERYWHERE: &str = "published_everywhere";

/// Set of the host's interfaces between which nothing was forwarded before we came.
pub(crate) const UPLINKS: &str = "uplinks";

/// A bridge network, as far as the firewall cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bridge {
    /// The interface.
    pub(crate) name: String,
    /// Its subnet.
    pub(crate) subnet: Ipv4Net,
    /// Containers on it may talk to each other.
    pub(crate) icc: bool,
    /// What leaves it gets the host's address.
    pub(crate) masquerade: bool,
    /// Nothing leaves it, and nothing enters.
    pub(crate) internal: bool,
}

/// A chain of rules at a place in the kernel's packet path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Its name, and its place.
    pub(crate) at: Place,
    /// Rules, tried in order.
    pub(crate) rules: Vec<Rule>,
}

/// Places that we use, each with one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Arriving packets, before connections are tracked.
    Raw,
    /// Arriving packets whose destination may be changed.
    Prerouting,
    /// The host's own packets whose destination may be changed.
    Output,
    /// Packets on their way through the host.
    Forward,
    /// Departing packets whose source may be changed.
    Postrouting,
}

/// Matches that must all hold, and what then happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The matches.
    pub(crate) matches: Vec<Match>,
    /// The action.
    pub(crate) action: Action,
}

/// One property of an IPv4 packet (or of any packet, where it doesn't concern addresses).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Match {
    /// It came in through this interface.
    In(String),
    /// It goes out through this interface.
    Out(String),
    /// It goes out through another interface.
    NotOut(String),
    /// It came in through an interface of the set [`UPLINKS`].
    InUplink,
    /// It goes out through an interface of that set.
    OutUplink,
    /// Its source lies in this subnet.
    Source(Ipv4Net),
    /// Its destination lies in this subnet.
    Destination(Ipv4Net),
    /// Its destination is an address of the host.
    ToHost,
    /// It belongs to a connection that was accepted before.
    Established,
    /// Its connection's destination was changed: it goes to a published port.
    Published,
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// This chain has no objection.
    Accept,
    /// It is gone.
    Drop,
    /// It gets the address of the interface that it leaves through.
    Masquerade,
    /// It goes where the map of its destination address, protocol and port says, if there.
    ToPublishedHere,
    /// It goes where the map of its protocol and port says, if there.
    ToPublishedEverywhere,
}

/// The chains for these bridges.
pub(crate) fn chains(bridges: &[Bridge]) -> Vec<Chain> {
    let chain =
        |at, rules: fn(&Bridge) -> Vec<Rule>| Chain { at, rules: bridges.iter().flat_map(rules).collect() };
    let forwarding = Chain { at: Place::Forward, rules: forwarding(bridges) };
    vec![
        chain(Place::Raw, raw),
        Chain { at: Place::Prerouting, rules: prerouting() },
        Chain { at: Place::Output, rules: translate() },
        forwarding,
        chain(Place::Postrouting, postrouting),
    ]
}

/// Forwarding is a switch for the whole machine. Where we had to turn it on, the machine must not
/// become a router for its neighbours by that.
fn guard() -> Rule {
    rule([Match::InUplink, Match::OutUplink], Action::Drop)
}

/// The host's own connections to 127.0.0.1 reach published ports because the bridge routes that
/// subnet; a container must not get to the host's loopback the same way (CVE-2020-8558).
fn raw(bridge: &Bridge) -> Vec<Rule> {
    vec![rule([Match::In(bridge.name.clone()), Match::Destination(loopback())], Action::Drop)]
}

/// What a neighbour sends to 127.0.0.1 must not find the ports published there (CVE-2025-54388).
fn prerouting() -> Vec<Rule> {
    let mut rules = vec![rule([Match::Destination(loopback())], Action::Accept)];
    rules.extend(translate());
    rules
}

fn translate() -> Vec<Rule> {
    vec![rule([], Action::ToPublishedHere), rule([Match::ToHost], Action::ToPublishedEverywhere)]
}

/// A connection is judged by its first packet; the others find their answer in the first rule,
/// however many networks there are. Internal networks come before those that publish ports.
fn forwarding(bridges: &[Bridge]) -> Vec<Rule> {
    let mut rules = vec![rule([Match::Established], Action::Accept)];
    rules.extend(bridges.iter().filter(|bridge| bridge.internal).flat_map(confine));
    rules.extend(bridges.iter().filter(|bridge| !bridge.internal).flat_map(forward));
    rules.push(guard());
    rules
}

/// Into a bridge go answers, what is published, and (with `icc`) its own containers' packets;
/// nothing else, so that a neighbour with a route to the subnet reaches nothing unpublished.
fn forward(bridge: &Bridge) -> Vec<Rule> {
    let into = || Match::Out(bridge.name.clone());
    vec![
        rule([into(), Match::Published], Action::Accept),
        rule([into(), Match::In(bridge.name.clone())], between(bridge)),
        rule([into()], Action::Drop),
    ]
}

/// Into an internal network, and out of it, goes nothing.
fn confine(bridge: &Bridge) -> Vec<Rule> {
    let (from, into) = (|| Match::In(bridge.name.clone()), || Match::Out(bridge.name.clone()));
    vec![rule([from(), into()], between(bridge)), rule([from()], Action::Drop), rule([into()], Action::Drop)]
}

fn between(bridge: &Bridge) -> Action {
    if bridge.icc { Action::Accept } else { Action::Drop }
}

fn postrouting(bridge: &Bridge) -> Vec<Rule> {
    let into = || Match::Out(bridge.name.clone());
    let mut rules = vec![
        // From the host's 127.0.0.1 to a published port: the container could not answer that.
        rule([into(), Match::Source(loopback())], Action::Masquerade),
        // From a container to a port that a neighbour, or it itself, has published: the answer
        // must come back through the host, which translates it.
        rule([into(), Match::Source(bridge.subnet), Match::Published], Action::Masquerade),
    ];
    if bridge.masquerade {
        let out = Match::NotOut(bridge.name.clone());
        rules.push(rule([Match::Source(bridge.subnet), out], Action::Masquerade));
    }
    rules
}

fn rule<const N: usize>(matches: [Match; N], action: Action) -> Rule {
    Rule { matches: matches.into(), action }
}

fn loopback() -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)
}

/// An element of one of the two maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    /// The map.
    pub(crate) map: &'static str,
    /// Key, each part padded to four bytes.
    pub(crate) key: Vec<u8>,
    /// Value: container address and port.
    pub(crate) value: Vec<u8>,
    /// Who it belongs to.
    pub(crate) container_id: String,
}

/// The element that publishes `port` of the container with the address `ip`.
pub(crate) fn element(port: &PublishedPort, ip: Ipv4Addr, container_id: &str) -> Element {
    let everywhere = port.host_ip.is_unspecified();
    let mut key = Vec::with_capacity(12);
    if !everywhere {
        key.extend_from_slice(&port.host_ip.octets());
    }
    key.extend_from_slice(&[port.protocol.number(), 0, 0, 0]);
    let [high, low] = port.host_port.to_be_bytes();
    key.extend_from_slice(&[high, low, 0, 0]);
    let mut value = ip.octets().to_vec();
    let [high, low] = port.container_port.to_be_bytes();
    value.extend_from_slice(&[high, low, 0, 0]);
    let map = if everywhere { PUBLISHED_EVERYWHERE } else { PUBLISHED_HERE };
    Element { map, key, value, container_id: container_id.to_owned() }
}

#[cfg(test)]
mod tests;
