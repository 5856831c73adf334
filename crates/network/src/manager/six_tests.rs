//! IPv6, with packets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use super::*;
use crate::definition::CreateRequest;
use crate::endpoint::{Endpoint, EndpointRequest};
use crate::ipam::{Family, SubnetRequest};
use crate::lab::{self, Lab, OUTSIDE, OUTSIDE6, call, call_here, on_host, serve};
use crate::{route, sysctl};

/// A network with IPv6; with these subnets, where any are given.
fn six(name: &str, subnets: &[&str]) -> CreateRequest {
    let subnet = |text: &&str| SubnetRequest { subnet: (*text).to_owned(), ..SubnetRequest::default() };
    CreateRequest {
        name: name.to_owned(),
        enable_ipv6: true,
        subnets: subnets.iter().map(subnet).collect(),
        ..CreateRequest::default()
    }
}

fn on(network: &str, name: char) -> EndpointRequest {
    EndpointRequest {
        container_id: name.to_string().repeat(64),
        network_id: network.to_owned(),
        ..EndpointRequest::default()
    }
}

fn attach(network: &Network, requests: &[EndpointRequest]) -> (OwnedFd, Vec<Endpoint>) {
    let made = network.attach(requests).expect("attached");
    (made.netns, made.endpoints)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("ip")
}

fn v6(endpoint: &Endpoint) -> Ipv6Addr {
    endpoint.ip6.expect("an IPv6 address")
}

#[test]
fn containers_reach_each_other_and_the_world_by_both_families() {
    on_host(|lab: &Lab| {
        lab.with_ipv6();
        let network = lab.network();
        let info = network.create(six("dual", &["fd00:5::/64"])).expect("made");
        assert_eq!((info.enable_ipv4, info.enable_ipv6, info.pools.len()), (true, true, 2));
        let (a, ea) = attach(&network, &[on(&info.id, 'a')]);
        let (b, eb) = attach(&network, &[on(&info.id, 'b')]);
        assert_eq!((v6(&ea[0]), v6(&eb[0])), ("fd00:5::2".parse().unwrap(), "fd00:5::3".parse().unwrap()));
        assert_eq!((ea[0].gateway6, ea[0].prefix6_len), (Some("fd00:5::1".parse().unwrap()), 64));
        let _services = [serve(&a, 80), serve(&b, 80), serve(&lab.outside.fd, 80)];
        assert_eq!(call(&a, v6(&eb[0]), 80), Some("fd00:5::2".into()), "at once, without a wait for DAD");
        assert_eq!(call(&a, eb[0].v4(), 80), Some(ea[0].v4().to_string()));
        assert_eq!(call_here(v6(&ea[0]), 80), Some("fd00:5::1".into()), "the host reaches containers");
        assert_eq!(call(&a, OUTSIDE6, 80), Some(lab::HOST6.to_string()), "masqueraded");
        assert_eq!(call(&a, OUTSIDE, 80), Some(lab::HOST.to_string()));
        assert!(sysctl::forwarding(Family::V6));
        lab.outside_routes6_through_host();
        assert_eq!(call(&lab.outside.fd, v6(&ea[0]), 80), None, "nothing is published");
        network.disconnect(a, &"a".repeat(64), &info.id, &[]).expect("left");
        let (_c, ec) = attach(&network, &[on(&info.id, 'c')]);
        assert_eq!(v6(&ec[0]), v6(&ea[0]), "the address is free again");
        network.detach(&"b".repeat(64)).expect("detached");
        network.detach(&"c".repeat(64)).expect("detached");
        drop(b);
    });
}

#[test]
fn a_network_may_have_ipv6_alone() {
    on_host(|lab: &Lab| {
        lab.with_ipv6();
        let network = lab.network();
        let only = CreateRequest { enable_ipv4: false, ..six("six", &[]) };
        let info = network.create(only).expect("made");
        let pool = &info.pools[0];
        assert_eq!((info.enable_ipv4, info.pools.len(), pool.subnet.prefix_len()), (false, 1, 64));
        assert!(pool.subnet.to_string().starts_with("fd"), "{}", pool.subnet);
        let (a, ea) = attach(&network, &[on(&info.id, 'a')]);
        let (b, eb) = attach(&network, &[on(&info.id, 'b')]);
        assert_eq!((ea[0].ip, ea[0].gateway), (None, None));
        assert_ne!(ea[0].mac, eb[0].mac);
        let _services = [serve(&b, 80), serve(&lab.outside.fd, 80)];
        assert_eq!(call(&a, v6(&eb[0]), 80), Some(v6(&ea[0]).to_string()));
        assert_eq!(call(&a, OUTSIDE6, 80), Some(lab::HOST6.to_string()));
        assert_eq!(call(&a, OUTSIDE, 80), None);
        let mut refused = on(&info.id, 'd');
        refused.ip = Some(Ipv4Addr::new(10, 0, 0, 1));
        assert!(matches!(network.attach(&[refused]), Err(Error::NoSuchFamily { .. })));
        let neither = CreateRequest { enable_ipv4: false, enable_ipv6: false, ..six("none", &[]) };
        assert!(network.create(neither).expect_err("neither").to_string().contains("must be enabled"));
    });
}

#[test]
fn networks_are_isolated_in_ipv6_and_internal_ones_lead_nowhere() {
    on_host(|lab: &Lab| {
        lab.with_ipv6();
        let network = lab.network();
        let one = network.create(six("one", &[])).expect("one");
        let two = network.create(six("two", &[])).expect("two");
        let inner = CreateRequest { internal: true, ..six("inner", &[]) };
        let inner = network.create(inner).expect("inner");
        let (a, _ea) = attach(&network, &[on(&one.id, 'a')]);
        let (b, eb) = attach(&network, &[on(&two.id, 'b')]);
        let (c, ec) = attach(&network, &[on(&inner.id, 'c')]);
        let (d, ed) = attach(&network, &[on(&inner.id, 'd'), on(&two.id, 'd')]);
        let _services = [serve(&b, 80), serve(&c, 80), serve(&d, 80), serve(&lab.outside.fd, 80)];
        assert_eq!(call(&a, v6(&eb[0]), 80), None, "another network's container");
        assert_eq!(call(&c, OUTSIDE6, 80), None, "out of an internal network");
        assert_eq!(call(&a, v6(&ec[0]), 80), None, "into an internal network");
        assert!(call(&c, v6(&ed[0]), 80).is_some() && call(&b, v6(&ed[1]), 80).is_some());
        assert!(call(&d, OUTSIDE6, 80).is_some(), "by its other network");
    });
}

#[test]
fn each_family_leaves_through_the_network_that_leads_it_out() {
    on_host(|lab: &Lab| {
        lab.with_ipv6();
        let network = lab.network();
        let four = CreateRequest { enable_ipv6: false, ..six("a-four", &[]) };
        let four = network.create(four).expect("four");
        let only = CreateRequest { enable_ipv4: false, ..six("b-six", &[]) };
        let only = network.create(only).expect("six");
        let (a, _) = attach(&network, &[on(&four.id, 'a')]);
        let _service = serve(&lab.outside.fd, 80);
        assert_eq!(call(&a, OUTSIDE6, 80), None, "IPv6 is off on a network without");
        let live = network.connect(a.try_clone().expect("dup"), &on(&only.id, 'a')).expect("joined");
        assert_eq!((live[0].ip6, live[1].ip), (None, None));
        assert!(call(&a, OUTSIDE6, 80).is_some() && call(&a, OUTSIDE, 80).is_some());
        network.disconnect(a.try_clone().expect("dup"), &"a".repeat(64), &four.id, &[]).expect("left");
        assert!(call(&a, OUTSIDE6, 80).is_some());
        assert_eq!(call(&a, OUTSIDE, 80), None);
        network.disconnect(a, &"a".repeat(64), &only.id, &[]).expect("left");
    });
}

#[test]
fn addresses_are_held_over_a_restart_and_given_when_they_are_chosen() {
    on_host(|lab: &Lab| {
        lab.with_ipv6();
        let network = lab.network();
        let info = network.create(six("dual", &["fd00:7::/64", "10.7.0.0/16"])).expect("made");
        let mut chosen = on(&info.id, 'a');
        chosen.ip6 = Some("fd00:7::abcd".parse().expect("ip"));
        chosen.link_local = vec![ip("169.254.7.7"), ip("fe80::7")];
        let (a, ea) = attach(&network, &[chosen.clone()]);
        assert_eq!(v6(&ea[0]), "fd00:7::abcd".parse::<Ipv6Addr>().expect("ip"));
        let _service = serve(&a, 80);
        let has = lab::within(&a, || {
            let mut socket = Socket::open(Protocol::Route).expect("socket");
            route::addresses(&mut socket).expect("addresses")
        });
        for further in ["169.254.7.7/16", "fe80::7/64"] {
            assert!(has.iter().any(|address| address.net == further.parse().expect("net")), "{further}");
        }
        let mut taken = on(&info.id, 'b');
        taken.ip6 = chosen.ip6;
        assert!(matches!(network.attach(&[taken]), Err(Error::AddressInUse(_))));
        drop(network);
        let next = lab.network();
        next.adopt(&"a".repeat(64), &ea).expect("adopted");
        assert_eq!(call_here(v6(&ea[0]), 80), Some("fd00:7::1".into()));
        let again = CreateRequest { name: "other".into(), ..six("x", &["fd00:7::/80"]) };
        assert!(matches!(next.create(again), Err(Error::PoolOverlap)));
    });
}

#[test]
fn the_default_bridge_has_ipv6_when_it_is_told_so_and_keeps_its_subnet() {
    on_host(|lab: &Lab| {
        lab.with_ipv6();
        let mut config = lab.config();
        config.bridge.ipv6 = true;
        let network = Network::open(config.clone()).expect("network");
        let (_, ea) = attach(&network, &[on("", 'a')]);
        let (first, prefix) = (v6(&ea[0]), ea[0].prefix6_len);
        assert_eq!((prefix, first.segments()[7]), (64, 2));
        let info = &network.networks()[0];
        assert_eq!((info.enable_ipv6, info.pools.len()), (true, 2));
        network.detach(&"a".repeat(64)).expect("detached");
        network.teardown().expect("gone");
        drop(network);
        let network = Network::open(config.clone()).expect("network");
        let (_a, ea) = attach(&network, &[on("", 'a')]);
        assert_eq!(v6(&ea[0]), first, "as before the restart");
        network.detach(&"a".repeat(64)).expect("detached");
        network.teardown().expect("gone");
        config.bridge.fixed_cidr6 = Some("fd00:9::/112".parse().expect("net"));
        config.bridge.default_gateway6 = Some("fd00:9::ff".parse().expect("ip"));
        let network = Network::open(config).expect("network");
        let (_b, eb) = attach(&network, &[on("", 'b')]);
        assert_eq!(v6(&eb[0]), "fd00:9::2".parse::<Ipv6Addr>().expect("ip"));
        assert_eq!(eb[0].gateway6, Some("fd00:9::ff".parse().expect("ip")));
    });
}

#[test]
fn a_host_that_is_told_its_router_goes_on_listening_and_is_as_before_afterwards() {
    on_host(|lab: &Lab| {
        lab.with_ipv6();
        sysctl::set_accepts_routers("up0", 1).expect("set");
        let mut config = lab.config();
        config.bridge.ipv6 = true;
        let network = Network::open(config).expect("network");
        network.host_gateway().expect("up");
        assert!(sysctl::forwarding(Family::V6));
        assert_eq!(sysctl::accepts_routers("up0"), Some(2));
        network.teardown().expect("gone");
        assert!(!sysctl::forwarding(Family::V6));
        assert_eq!(sysctl::accepts_routers("up0"), Some(1));
    });
}

#[test]
fn without_rules_for_ipv6_it_is_routed_freely() {
    on_host(|lab: &Lab| {
        lab.with_ipv6();
        lab.outside_routes6_through_host();
        let mut config = lab.config();
        config.firewall6 = false;
        let network = Network::open(config).expect("network");
        let one = network.create(six("one", &[])).expect("one");
        let (a, ea) = attach(&network, &[on(&one.id, 'a')]);
        let _services = [serve(&a, 80), serve(&lab.outside.fd, 80)];
        assert_eq!(call(&lab.outside.fd, v6(&ea[0]), 80), Some(OUTSIDE6.to_string()));
        assert_eq!(call(&a, OUTSIDE6, 80), Some(v6(&ea[0]).to_string()), "not masqueraded");
        assert_eq!(call(&a, OUTSIDE, 80), Some(lab::HOST.to_string()));
    });
}

#[test]
fn nothing_of_ipv6_stays() {
    on_host(|lab: &Lab| {
        lab.with_ipv6();
        let routes = || {
            let mut socket = Socket::open(Protocol::Route).expect("socket");
            route::subnets_in_use(&mut socket).expect("routes")
        };
        let before = routes();
        let network = lab.network();
        let made = network.create(six("one", &[])).expect("one");
        assert_ne!(routes(), before);
        network.remove(&made.id).expect("removed");
        network.teardown().expect("gone");
        assert_eq!(routes(), before);
    });
}

#[test]
fn a_subnet_of_a_family_that_is_off_is_shown_and_said_to_be_unused() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let off = CreateRequest { enable_ipv6: false, ..six("one", &["fd00:7::/64", "10.7.0.0/24"]) };
        let made = network.create(off).expect("accepted");
        let shown: Vec<_> = made.pools.iter().map(|pool| pool.subnet.to_string()).collect();
        assert_eq!(shown, ["10.7.0.0/24", "fd00:7::/64"]);
        let said = "the IPv6 subnet fd00:7::/64 is not used, because EnableIPv6 is off";
        assert_eq!(made.without_effect(), said);
        let (_a, ea) = attach(&network, &[on(&made.id, 'a')]);
        assert_eq!(ea[0].ip6, None);
        let on = network.create(six("two", &["fd00:8::/64"])).expect("made");
        assert_eq!(on.without_effect(), "");
        network.teardown().expect("gone");
    });
}
