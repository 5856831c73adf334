use super::*;
use crate::endpoint::Protocol;

fn bridge(icc: bool, masquerade: bool) -> Bridge {
    let subnet = "172.17.0.0/16".parse().expect("subnet");
    Bridge { name: "berth0".into(), subnet, icc, masquerade, internal: false }
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
        Match::Destination(_) | Match::ToHost => false,
        Match::InUplink => input == "eth0",
        Match::OutUplink => output == "eth0" || output == "eth2",
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
    let not_loopback = |m: &Match| *m != Match::Source(loopback()) && inner(m);
    assert_eq!(verdict(post, not_loopback), None);
    inner = packet("berth0", "berth0", false, false);
    let hairpin = |m: &Match| *m == Match::Published || (*m != Match::Source(loopback()) && inner(m));
    assert_eq!(verdict(post, hairpin), Some(Action::Masquerade));
    let without = chains(&[bridge(true, false)]);
    assert_eq!(verdict(at(&without, Place::Postrouting), packet("berth0", "eth0", false, false)), None);
}

#[test]
fn packets_to_loopback_from_outside_are_never_translated() {
    let chains = chains(&[bridge(true, true)]);
    let to_loopback = |m: &Match| matches!(m, Match::Destination(_));
    assert_eq!(verdict(at(&chains, Place::Prerouting), to_loopback), Some(Action::Accept));
    assert_eq!(verdict(at(&chains, Place::Output), to_loopback), Some(Action::ToPublishedHere));
    let from_bridge = |m: &Match| matches!(m, Match::Destination(_) | Match::In(_));
    assert_eq!(verdict(at(&chains, Place::Raw), from_bridge), Some(Action::Drop));
}

#[test]
fn elements_pad_every_part_to_four_bytes() {
    let port = PublishedPort {
        protocol: Protocol::Tcp,
        container_port: 80,
        host_ip: Ipv4Addr::new(127, 0, 0, 1),
        host_port: 8080,
    };
    let here = element(&port, Ipv4Addr::new(172, 17, 0, 2), "id");
    assert_eq!(here.map, PUBLISHED_HERE);
    assert_eq!(here.key, [127, 0, 0, 1, 6, 0, 0, 0, 0x1f, 0x90, 0, 0]);
    assert_eq!(here.value, [172, 17, 0, 2, 0, 80, 0, 0]);
    let port = PublishedPort { host_ip: Ipv4Addr::UNSPECIFIED, ..port };
    let everywhere = element(&port, Ipv4Addr::new(172, 17, 0, 2), "id");
    assert_eq!((everywhere.map, everywhere.key.len()), (PUBLISHED_EVERYWHERE, 8));
}
