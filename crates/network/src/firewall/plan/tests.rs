use super::*;
use crate::endpoint::{Protocol, PublishedPort};

fn bridge(icc: bool, masquerade: bool) -> Bridge {
    let subnet = |net: &str| {
        let net = net.parse().expect("subnet");
        Subnet { net, gateway: Gateway::Nat, masquerade }
    };
    let subnets = vec![subnet("172.17.0.0/16"), subnet("fd00:17::/64")];
    Bridge { name: "berth0".into(), subnets, icc, internal: false, unfiltered6: false, trusted: Vec::new() }
}

fn at(chains: &[Chain], place: Place) -> &[Rule] {
    &chains.iter().find(|c| c.at == place).expect("a chain").rules
}

/// What the first rule that matches does; `holds` decides each match.
fn verdict(rules: &[Rule], holds: impl Fn(&Match) -> bool) -> Option<Action> {
    rules.iter().find(|r| r.matches.iter().all(&holds)).map(|r| r.action)
}

fn packet(input: &str, output: &str, seen: bool, published: bool) -> impl Fn(&Match) -> bool {
    move |m| match m {
        Match::In(name) => name == input,
        Match::Out(name) => name == output,
        Match::NotOut(name) => name != output,
        Match::Established => seen,
        Match::Published => published,
        Match::Source(_) => input == "berth0",
        Match::Is(family) => *family == Family::V4,
        Match::FromElsewhere | Match::OfClient => false,
        Match::Destination(_) | Match::ToHost(_) | Match::Icmp(_) | Match::Routed(..) => false,
        Match::InUplink(_) => input == "eth0",
        Match::OutUplink(_) => output == "eth0" || output == "eth2",
    }
}

#[test]
fn only_answers_and_published_ports_get_into_a_bridge() {
    let chains = chains(&[bridge(true, true)]);
    let forward = at(&chains, Place::Forward);
    assert_eq!(verdict(forward, packet("eth0", "berth0", false, false)), Some(Action::Drop));
    assert_eq!(verdict(forward, packet("eth0", "berth0", true, false)), Some(Action::Accept));
    assert_eq!(verdict(forward, packet("eth0", "berth0", false, true)), Some(Action::Accept));
    assert_eq!(verdict(forward, packet("berth0", "berth0", false, false)), Some(Action::Accept));
    assert_eq!(verdict(forward, packet("berth0", "eth0", false, false)), None);
    // Whatever else the machine forwards is none of our business.
    assert_eq!(verdict(forward, packet("eth0", "eth1", false, false)), None);
    // Unless we have turned forwarding on: then what was not forwarded still isn't.
    assert_eq!(verdict(forward, packet("eth0", "eth2", false, false)), Some(Action::Drop));
}

#[test]
fn without_icc_containers_reach_each_other_through_published_ports_only() {
    let chains = chains(&[bridge(false, true)]);
    let forward = at(&chains, Place::Forward);
    assert_eq!(verdict(forward, packet("berth0", "berth0", false, false)), Some(Action::Drop));
    assert_eq!(verdict(forward, packet("berth0", "berth0", false, true)), Some(Action::Accept));
}

#[test]
fn networks_do_not_reach_each_other_but_by_published_ports() {
    let other = Bridge { name: "br-other".into(), ..bridge(true, true) };
    let inner = Bridge { name: "br-inner".into(), internal: true, ..bridge(true, false) };
    let chains = chains(&[bridge(true, true), other, inner]);
    let forward = at(&chains, Place::Forward);
    let first = |from, to, published| verdict(forward, packet(from, to, false, published));
    assert_eq!(first("berth0", "br-other", false), Some(Action::Drop));
    assert_eq!(first("br-other", "berth0", false), Some(Action::Drop));
    assert_eq!(first("berth0", "br-other", true), Some(Action::Accept));
    // An internal network takes part in nothing, published or not.
    assert_eq!(first("br-inner", "br-inner", false), Some(Action::Accept));
    for published in [false, true] {
        assert_eq!(first("br-inner", "berth0", published), Some(Action::Drop));
        assert_eq!(first("br-inner", "eth0", published), Some(Action::Drop));
        assert_eq!(first("berth0", "br-inner", published), Some(Action::Drop));
        assert_eq!(first("eth0", "br-inner", published), Some(Action::Drop));
    }
}

#[test]
fn the_hosts_address_hides_containers_on_the_way_out_only() {
    let with = chains(&[bridge(true, true)]);
    let post = at(&with, Place::Postrouting);
    assert_eq!(verdict(post, packet("berth0", "eth0", false, false)), Some(Action::Masquerade));
    let mut inner = packet("berth0", "berth0", false, false);
    let not_loopback = |m: &Match| !Family::ALL.iter().any(|f| *m == Match::Source(loopback(*f))) && inner(m);
    assert_eq!(verdict(post, not_loopback), None);
    inner = packet("berth0", "berth0", false, false);
    let hairpin = |m: &Match| {
        *m == Match::Published || (!Family::ALL.iter().any(|f| *m == Match::Source(loopback(*f))) && inner(m))
    };
    assert_eq!(verdict(post, hairpin), Some(Action::Masquerade));
    let without = chains(&[bridge(true, false)]);
    assert_eq!(verdict(at(&without, Place::Postrouting), packet("berth0", "eth0", false, false)), None);
}

#[test]
fn packets_to_loopback_from_outside_are_never_translated() {
    let chains = chains(&[bridge(true, true)]);
    for family in Family::ALL {
        let to_loopback = |m: &Match| *m == Match::Destination(loopback(family)) || *m == Match::Is(family);
        assert_eq!(verdict(at(&chains, Place::Prerouting), to_loopback), Some(Action::Accept));
        // The host's own ::1 is served by sockets alone.
        let map = Map { way: Way::Published, scope: Scope::Here, family };
        let own = if family == Family::V4 { Action::To(map) } else { Action::Accept };
        assert_eq!(verdict(at(&chains, Place::Output), to_loopback), Some(own));
        let from_bridge = |m: &Match| to_loopback(m) || matches!(m, Match::In(_));
        assert_eq!(verdict(at(&chains, Place::Raw), from_bridge), Some(Action::Drop));
    }
}

#[test]
fn a_gateway_mode_and_trust_decide_who_reaches_unpublished_addresses() {
    let reached = |gateway, trusted: &[&str], from: &str, routed: bool, icmp: bool| {
        let mut bridge = bridge(true, false);
        bridge.subnets.iter_mut().for_each(|subnet| subnet.gateway = gateway);
        bridge.trusted = trusted.iter().map(|name| (*name).to_owned()).collect();
        let plain = packet(from, "berth0", false, false);
        let chains = chains(&[bridge]);
        verdict(at(&chains, Place::Forward), |m| match m {
            Match::Destination(_) => true,
            Match::Routed(..) => routed,
            Match::Icmp(_) => icmp,
            other => plain(other),
        })
    };
    assert_eq!(reached(Gateway::Nat, &[], "eth0", true, true), Some(Action::Drop));
    assert_eq!(reached(Gateway::Unprotected, &[], "eth0", false, false), Some(Action::Accept));
    assert_eq!(reached(Gateway::Routed, &[], "eth0", false, false), Some(Action::Drop));
    assert_eq!(reached(Gateway::Routed, &[], "eth0", true, false), Some(Action::Accept));
    assert_eq!(reached(Gateway::Routed, &[], "eth0", false, true), Some(Action::Accept));
    assert_eq!(reached(Gateway::Nat, &["eth0"], "eth0", true, false), Some(Action::Accept));
    assert_eq!(reached(Gateway::Nat, &["eth0"], "eth0", false, true), Some(Action::Drop));
    assert_eq!(reached(Gateway::Nat, &["eth1"], "eth0", true, false), Some(Action::Drop));
}

const ON: Target = Target {
    ip: Some(Ipv4Addr::new(172, 17, 0, 2)),
    ip6: Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2)),
    routed: [false; 2],
    trusted: false,
};

fn published(host_ip: &str, host_port: u16, container_port: u16) -> PublishedPort {
    let host_ip = host_ip.parse().expect("address");
    PublishedPort { protocol: Protocol::Tcp, container_port, host_ip, host_port, more: 0 }
}

fn names(elements: &[Element]) -> Vec<String> {
    elements.iter().map(|element| element.map.name()).collect()
}

#[test]
fn elements_pad_every_part_to_four_bytes() {
    let here = elements(&[published("127.0.0.1", 8080, 80)], &ON, "id").remove(0);
    assert_eq!(here.map.name(), "published");
    assert_eq!(here.key, [127, 0, 0, 1, 6, 0, 0, 0, 0x1f, 0x90, 0, 0]);
    assert_eq!(here.value, [172, 17, 0, 2, 0, 80, 0, 0]);
    let everywhere = elements(&[published("0.0.0.0", 8080, 80)], &ON, "id").remove(0);
    assert_eq!((everywhere.map.name().as_str(), everywhere.key.len()), ("published_everywhere", 8));
}

#[test]
fn ports_in_a_row_are_one_element() {
    let row = |first: u16, to: u16| -> Vec<_> {
        (0..100).map(|n| published("0.0.0.0", first + n, to + n)).collect()
    };
    let ranged = elements(&row(20_000, 20_000), &ON, "id");
    assert_eq!(names(&ranged), ["published_ranges_everywhere"]);
    assert_eq!(ranged[0].key, [6, 0, 0, 0, 0x4e, 0x20, 0, 0]);
    assert_eq!(ranged[0].end.as_deref(), Some(&[6, 0, 0, 0, 0x4e, 0x83, 0, 0][..]));
    assert_eq!(ranged[0].value, [172, 17, 0, 2]);
    assert_eq!(elements(&row(20_000, 1000), &ON, "id").len(), 100, "each has another port");
    assert_eq!(elements(&row(20_000, 20_000)[..15], &ON, "id").len(), 15, "few");
    let mut gap = row(20_000, 20_000);
    gap.remove(50);
    assert_eq!(elements(&gap, &ON, "id").len(), 2);
}

#[test]
fn a_port_is_in_as_many_maps_as_there_are_ways_to_it() {
    let port = published("0.0.0.0", 8080, 80);
    let trusted = elements(&[port], &Target { trusted: true, ..ON }, "id");
    assert_eq!(names(&trusted), ["routed", "published_everywhere"]);
    assert_eq!(
        (trusted[0].key.as_slice(), trusted[0].value.len()),
        (&[172, 17, 0, 2, 6, 0, 0, 0, 0, 80, 0, 0][..], 0)
    );
    let routed = elements(&[port], &Target { routed: [true, false], ..ON }, "id");
    assert_eq!(names(&routed), ["routed"]);
    assert_eq!(names(&elements(&[port], &Target { ip: None, ..ON }, "id")), [""; 0]);
}
