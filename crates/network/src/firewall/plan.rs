//! What the firewall is to say, as a value. Pure: [`super::nft`] puts it into the kernel.
//!
//! One table holds everything, for IPv4 and IPv6, and nobody else's table is touched. A packet that our rules accept
//! may still be dropped by another table (nftables gives every table its say), never the reverse.

mod clients;
mod element;

use core::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

pub(crate) use crate::ipam::Family;
pub(crate) use clients::keep as keep_clients;
pub(crate) use element::{Element, Map, Scope, Target, Way, elements};

/// Sets of the host's interfaces between which nothing of the family was forwarded before we came.
pub(crate) const UPLINKS: [&str; 2] = ["uplinks", "uplinks6"];

/// A bridge network, as far as the firewall cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bridge {
    /// The interface.
    pub(crate) name: String,
    /// Its subnets, of either family.
    pub(crate) subnets: Vec<Subnet>,
    /// Containers on it may talk to each other.
    pub(crate) icc: bool,
    /// Nothing leaves it, and nothing enters.
    pub(crate) internal: bool,
    /// IPv6 packets are none of our business there.
    pub(crate) unfiltered6: bool,
    /// Interfaces of the host from which the ports that it publishes are reached by containers' own addresses, too.
    pub(crate) trusted: Vec<String>,
}

/// A bridge's subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subnet {
    /// Its addresses.
    pub(crate) net: IpNet,
    /// How they are reached.
    pub(crate) gateway: Gateway,
    /// What leaves it gets the host's address.
    pub(crate) masquerade: bool,
}

/// How a subnet's containers are reached from elsewhere (`gateway_mode_ipv4`, `gateway_mode_ipv6`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Gateway {
    /// Through ports published on the host, and by nothing else.
    #[default]
    Nat,
    /// Through published ports, and by their own addresses.
    Unprotected,
    /// By their own addresses: the ports that are published, and ICMP.
    Routed,
    /// Not at all: not even the host has an address there.
    Isolated,
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
    /// Arriving packets of known connections, before they are routed.
    Returning,
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

/// One property of a packet; those that concern addresses hold for no packet of the other family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Match {
    /// It came in through this interface.
    In(String),
    /// It goes out through this interface.
    Out(String),
    /// It goes out through another interface.
    NotOut(String),
    /// It came in through an interface of the family's set of [`UPLINKS`].
    InUplink(Family),
    /// It goes out through an interface of that set.
    OutUplink(Family),
    /// Its source lies in this subnet.
    Source(IpNet),
    /// Its destination lies in this subnet.
    Destination(IpNet),
    /// It is of this family.
    Is(Family),
    /// It is ICMP, of this family.
    Icmp(Family),
    /// Its destination is an address of the host.
    ToHost(Family),
    /// Its destination address, protocol and port are in the set (of ports, or of ranges) that routed networks open.
    Routed(Family, Scope),
    /// It belongs to a connection that was accepted before.
    Established,
    /// Its connection's destination was changed: it goes to a published port.
    Published,
    /// Its source is no address of the host.
    FromElsewhere,
    /// It belongs to a connection that we have made in a client's name.
    OfClient,
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
    /// It goes where the map says, if it is there.
    To(Map),
    /// Its connection is marked as made in a client's name, and the next rule is tried.
    MarkConnection,
    /// It gets that mark, and the next rule is tried.
    Mark,
}

/// The chains for these bridges.
pub(crate) fn chains(bridges: &[Bridge]) -> Vec<Chain> {
    let chain =
        |at, rules: fn(&Bridge) -> Vec<Rule>| Chain { at, rules: bridges.iter().flat_map(rules).collect() };
    let forwarding = Chain { at: Place::Forward, rules: forwarding(bridges) };
    vec![
        chain(Place::Raw, raw),
        Chain { at: Place::Prerouting, rules: prerouting() },
        Chain { at: Place::Output, rules: output() },
        forwarding,
        chain(Place::Postrouting, postrouting),
    ]
}

/// Forwarding is a switch for the whole machine. Where we had to turn it on, the machine must not
/// become a router for its neighbours by that.
fn guard() -> [Rule; 2] {
    Family::ALL.map(|family| {
        rule([Match::Is(family), Match::InUplink(family), Match::OutUplink(family)], Action::Drop)
    })
}

/// The host's own connections to 127.0.0.1 reach published ports because the bridge routes that
/// subnet; a container must not get to the host's loopback the same way (CVE-2020-8558).
fn raw(bridge: &Bridge) -> Vec<Rule> {
    Family::ALL
        .map(|family| {
            rule([Match::In(bridge.name.clone()), Match::Destination(loopback(family))], Action::Drop)
        })
        .into()
}

/// What a neighbour sends to a loopback address must not find the ports published there (CVE-2025-54388).
fn prerouting() -> Vec<Rule> {
    let mut rules: Vec<_> =
        Family::ALL.map(|family| rule([Match::Destination(loopback(family))], Action::Accept)).into();
    rules.extend(Family::ALL.into_iter().flat_map(translate));
    rules
}

/// Nothing that leaves `::1` can come back from elsewhere: there the user-space path is the only one.
fn output() -> Vec<Rule> {
    let mut rules = vec![rule([Match::Destination(loopback(Family::V6))], Action::Accept)];
    rules.extend(Family::ALL.into_iter().flat_map(translate));
    rules
}

fn translate(family: Family) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (guard, scopes) in [
        (Match::Is(family), [Scope::Here, Scope::RangesHere]),
        (Match::ToHost(family), [Scope::Everywhere, Scope::RangesEverywhere]),
    ] {
        let to = |scope| rule([guard.clone()], Action::To(Map { way: Way::Published, scope, family }));
        rules.extend(scopes.map(to));
    }
    rules
}

/// A connection is judged by its first packet; the others find their answer in the first rule,
/// however many networks there are. Internal networks come before those that publish ports.
fn forwarding(bridges: &[Bridge]) -> Vec<Rule> {
    let mut rules = vec![rule([Match::Established], Action::Accept)];
    for bridge in bridges.iter().filter(|bridge| bridge.unfiltered6) {
        for way in [Match::In(bridge.name.clone()), Match::Out(bridge.name.clone())] {
            rules.push(rule([Match::Is(Family::V6), way], Action::Accept));
        }
    }
    rules.extend(bridges.iter().filter(|bridge| bridge.internal).flat_map(confine));
    rules.extend(bridges.iter().filter(|bridge| !bridge.internal).flat_map(forward));
    rules.extend(guard());
    rules
}

/// Into a bridge go answers, what is published, and (with `icc`) its own containers' packets;
/// nothing else, so that a neighbour with a route to the subnet reaches nothing unpublished.
fn forward(bridge: &Bridge) -> Vec<Rule> {
    let into = || Match::Out(bridge.name.clone());
    let mut rules = vec![
        rule([into(), Match::Published], Action::Accept),
        rule([into(), Match::In(bridge.name.clone())], between(bridge)),
    ];
    for subnet in &bridge.subnets {
        let accept = |matches: Vec<Match>| {
            let matches = core::iter::once(into()).chain(matches).collect();
            Rule { matches, action: Action::Accept }
        };
        rules.extend(direct(subnet).into_iter().map(accept));
        for interface in &bridge.trusted {
            let from =
                |scope| vec![Match::In(interface.clone()), Match::Routed(Family::of(&subnet.net), scope)];
            rules.extend([Scope::Here, Scope::RangesHere].map(|scope| accept(from(scope))));
        }
    }
    rules.push(rule([into()], Action::Drop));
    rules
}

/// What reaches a subnet's own addresses from elsewhere.
fn direct(subnet: &Subnet) -> Vec<Vec<Match>> {
    let family = Family::of(&subnet.net);
    let there = || Match::Destination(subnet.net);
    match subnet.gateway {
        Gateway::Nat | Gateway::Isolated => Vec::new(),
        Gateway::Unprotected => vec![vec![there()]],
        Gateway::Routed => vec![
            vec![there(), Match::Icmp(family)],
            vec![there(), Match::Routed(family, Scope::Here)],
            vec![there(), Match::Routed(family, Scope::RangesHere)],
        ],
    }
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
    let mut rules = Vec::new();
    for subnet in &bridge.subnets {
        let family = Family::of(&subnet.net);
        // From the host's 127.0.0.1 to a published port: the container could not answer that.
        if family == Family::V4 {
            rules.push(rule([into(), Match::Source(loopback(family))], Action::Masquerade));
        }
        // From a container to a port that a neighbour, or it itself, has published: the answer
        // must come back through the host, which translates it.
        rules.push(rule([into(), Match::Source(subnet.net), Match::Published], Action::Masquerade));
        if subnet.masquerade {
            let out = Match::NotOut(bridge.name.clone());
            rules.push(rule([Match::Source(subnet.net), out], Action::Masquerade));
        }
    }
    rules
}

fn rule<const N: usize>(matches: [Match; N], action: Action) -> Rule {
    Rule { matches: matches.into(), action }
}

fn loopback(family: Family) -> IpNet {
    match family {
        Family::V4 => IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
        Family::V6 => IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    }
}

#[cfg(test)]
mod tests;
