//! Networks on an interface of the host's, and configurations that are lent, with packets.

use std::collections::{BTreeMap, HashSet};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use super::user_tests::{attach, id, links, named, on, port};
use super::*;
use crate::definition::CreateRequest;
use crate::endpoint::EndpointRequest;
use crate::ipam::{Family, SubnetRequest};
use crate::lab::{HOST, Lab, OUTSIDE, call, call_here, not_run, on_host, serve};

/// A network on the segment that the lab's host and its neighbour are on.
fn segment(name: &str, options: &[(&str, &str)]) -> CreateRequest {
    let pairs = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let subnet = SubnetRequest {
        subnet: "198.51.100.0/24".to_owned(),
        ip_range: "198.51.100.128/25".to_owned(),
        gateway: OUTSIDE.to_string(),
        aux: BTreeMap::from([("host".to_owned(), HOST.to_string())]),
    };
    let options = [("parent".to_owned(), "up0".to_owned())].into_iter().chain(pairs).collect();
    CreateRequest { driver: "macvlan".to_owned(), subnets: vec![subnet], options, ..named(name) }
}

#[test]
fn a_container_on_the_hosts_segment_comes_goes_and_survives_the_daemon() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let lan = network.create(segment("lan", &[])).expect("lan").id;
        let request = EndpointRequest { ports: vec![port(8080)], ..on(&lan, 'a', &["a"]) };
        let (a, ends) = attach(&network, std::slice::from_ref(&request));
        assert_eq!(ends[0].v4(), Ipv4Addr::new(198, 51, 100, 128), "the range's first");
        assert_eq!((ends[0].host_interface.as_str(), ends[0].ports.len()), ("", 0));
        let services = [serve(&a, 80), serve(&lab.outside.fd, 80)];
        assert!(call(&lab.outside.fd, ends[0].v4(), 80).is_some(), "from the segment");
        assert_eq!(call(&a, OUTSIDE, 80), Some(ends[0].v4().to_string()), "with its own address");
        assert_eq!(call_here(Ipv4Addr::LOCALHOST, 8080), None, "nothing is published");
        // A second daemon takes it over: its address stays taken, and it goes on.
        drop(network);
        let network = lab.network();
        network.adopt(&id('a'), &ends).expect("adopted");
        assert_eq!(network.sweep(&HashSet::from([id('a')])).expect("swept"), SweepReport::default());
        assert!(call(&lab.outside.fd, ends[0].v4(), 80).is_some(), "after the restart");
        let (b, others) = attach(&network, &[on(&lan, 'b', &["b"])]);
        assert_eq!(others[0].v4(), Ipv4Addr::new(198, 51, 100, 129));
        assert!(call(&b, ends[0].v4(), 80).is_some(), "container to container");
        assert!(matches!(network.remove(&lan), Err(Error::InUse { .. })));
        // It leaves and comes back while it runs.
        let left = network.disconnect(a.try_clone().expect("dup"), &id('a'), &lan, &[]).expect("left");
        assert_eq!(left, []);
        assert_eq!(call(&lab.outside.fd, ends[0].v4(), 80), None, "cut");
        let back = network.connect(a.try_clone().expect("dup"), &request).expect("back");
        assert_eq!(back[0].v4(), ends[0].v4());
        assert!(call(&lab.outside.fd, ends[0].v4(), 80).is_some(), "and back");
        assert!(call(&a, OUTSIDE, 80).is_some(), "its route, too");
        drop(services);
        network.detach(&id('a')).expect("detached");
        network.detach(&id('b')).expect("detached");
        drop((a, b));
        network.remove(&lan).expect("removed");
        network.teardown().expect("teardown");
        assert_eq!(links(), ["lo", "up0"]);
    });
}

#[test]
fn published_ports_follow_the_default_route_to_where_they_can_be_published() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        // `a` comes before `b`: while it is there, the default route leads through it.
        let lan = network.create(segment("a", &[])).expect("lan").id;
        let bridge = network.create(named("b")).expect("bridge").id;
        let ports = vec![port(8080)];
        let (a, ends) = attach(
            &network,
            &[EndpointRequest { ports: ports.clone(), ..on(&bridge, 'a', &["a"]) }, on(&lan, 'a', &["a"])],
        );
        let _service = serve(&a, 80);
        assert_eq!(ends.iter().map(|end| end.ports.len()).collect::<Vec<_>>(), [0, 0]);
        assert_eq!(call_here(Ipv4Addr::LOCALHOST, 8080), None);
        let dup = || a.try_clone().expect("dup");
        let now = network.disconnect(dup(), &id('a'), &lan, &ports).expect("left");
        assert_eq!(now.iter().map(|end| end.ports.len()).collect::<Vec<_>>(), [2]);
        assert!(call_here(Ipv4Addr::LOCALHOST, 8080).is_some(), "through the bridge");
        let request = EndpointRequest { ports: ports.clone(), ..on(&lan, 'a', &["a"]) };
        let now = network.connect(dup(), &request).expect("back");
        assert_eq!(now.iter().map(|end| end.ports.len()).collect::<Vec<_>>(), [0, 0]);
        assert_eq!(call_here(Ipv4Addr::LOCALHOST, 8080), None);
        // The port is free for others.
        let (_b, others) = attach(&network, &[EndpointRequest { ports, ..on(&bridge, 'b', &["b"]) }]);
        assert_eq!(others[0].ports.len(), 2, "one a family");
        network.teardown().expect("teardown");
    });
}

#[test]
fn a_namespace_that_somebody_holds_keeps_no_address() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let lan = network.create(segment("lan", &[("macvlan_mode", "passthru")])).expect("lan").id;
        let mut kept = Vec::new();
        for _ in 0..3 {
            let (a, ends) = attach(&network, &[on(&lan, 'a', &["a"])]);
            let service = serve(&a, 80);
            assert!(call(&lab.outside.fd, ends[0].v4(), 80).is_some());
            network.detach(&id('a')).expect("detached");
            assert_eq!(call(&lab.outside.fd, ends[0].v4(), 80), None);
            kept.push((a, service));
        }
        // So it is after a restart of the daemon.
        let (a, ends) = attach(&network, &[on(&lan, 'a', &["a"])]);
        drop(network);
        let network = lab.network();
        network.adopt(&id('a'), &ends).expect("adopted");
        network.hold(&id('a'), a.as_fd()).expect("held");
        network.detach(&id('a')).expect("detached");
        let (b, _) = attach(&network, &[on(&lan, 'b', &["b"])]);
        drop((kept, a, b));
        network.teardown().expect("teardown");
    });
}

/// A daemon that ends right after the last container does not wait for the kernel to free that one's namespace.
#[test]
fn forwarding_ends_though_a_namespace_is_there_still() {
    on_host(|lab: &Lab| {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").expect("off");
        let network = lab.network();
        let lan = network.create(segment("lan", &[])).expect("lan").id;
        let bridge = network.create(named("net")).expect("net").id;
        let requests = [EndpointRequest { ports: vec![port(8080)], ..on(&bridge, 'a', &["a"]) }];
        let (a, _) = attach(&network, &requests);
        let default = network.networks()[0].id.clone();
        let (b, _) = attach(&network, &[on(&default, 'b', &["b"])]);
        network.connect(a.try_clone().expect("dup"), &on(&lan, 'a', &["a"])).expect("connected");
        assert!(crate::sysctl::forwarding(Family::V4));
        network.detach(&id('a')).expect("detached");
        network.detach(&id('b')).expect("detached");
        network.remove(&bridge).expect("removed");
        network.remove(&lan).expect("removed");
        assert!(network.teardown_if_unused().expect("torn down"));
        assert_eq!(links(), ["lo", "up0"]);
        assert!(!crate::sysctl::forwarding(Family::V4));
        drop((a, b));
    });
}

#[test]
fn networks_share_a_parent_except_in_passthru() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let first = network.create(segment("one", &[])).expect("one").id;
        let other = |name: &str, options: &[(&str, &str)]| CreateRequest {
            subnets: Vec::new(),
            ..segment(name, options)
        };
        let refused = |request| network.create(request).expect_err("refused").to_string();
        assert_eq!(refused(segment("x", &[])), "Pool overlaps with other one on this address space");
        assert_eq!(
            refused(other("x", &[("macvlan_mode", "passthru")])),
            format!(
                "cannot use mode passthru, macvlan network {first} is already using parent interface up0"
            )
        );
        let second = network.create(other("two", &[("macvlan_mode", "private")])).expect("two").id;
        let (a, _) = attach(&network, &[on(&first, 'a', &["a"])]);
        let (b, _) = attach(&network, &[on(&second, 'b', &["b"])]);
        drop((a, b));
        for container in ['a', 'b'] {
            network.detach(&id(container)).expect("detached");
        }
        network.remove(&first).expect("removed");
        network.remove(&second).expect("removed");
        let alone = network.create(segment("alone", &[("macvlan_mode", "passthru")])).expect("alone").id;
        assert_eq!(
            refused(other("x", &[])),
            format!("macvlan network {alone} is already using parent interface up0 in mode passthru")
        );
        let (a, ends) = attach(&network, &[on(&alone, 'a', &["a"])]);
        let mut socket = Socket::open(Protocol::Route).expect("socket");
        let parent = crate::route::by_name(&mut socket, "up0").expect("asked").expect("up0");
        assert_eq!(Some(ends[0].mac), parent.mac, "it bears its parent's address");
        let _service = serve(&a, 80);
        assert!(call(&lab.outside.fd, ends[0].v4(), 80).is_some());
        network.teardown().expect("teardown");
    });
}

#[test]
fn a_configuration_is_lent_and_stays_while_it_is() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let CreateRequest { subnets, options, .. } = segment("", &[]);
        let settings = CreateRequest {
            config_only: true,
            subnets,
            options,
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            ..named("settings")
        };
        let lender = network.create(settings.clone()).expect("settings");
        assert_eq!((lender.driver.as_str(), lender.config_only, lender.pools.len()), ("null", true, 1));
        let taking = |name: &str| CreateRequest {
            driver: "macvlan".to_owned(),
            config_from: "settings".to_owned(),
            ..named(name)
        };
        let made = network.create(taking("lan")).expect("lan");
        assert_eq!((made.labels.len(), made.options["parent"].as_str()), (1, "up0"));
        assert_eq!((made.config_from.as_str(), made.pools[0].gateway), ("settings", Some(OUTSIDE.into())));
        let (a, ends) = attach(&network, &[on(&made.id, 'a', &["a"])]);
        let _service = serve(&a, 80);
        assert!(call(&lab.outside.fd, ends[0].v4(), 80).is_some());
        let error = network.attach(&[on(&lender.id, 'b', &["b"])]).expect_err("none").to_string();
        assert_eq!(error, "cannot create endpoint on configuration-only network");
        let refused = |request| network.create(request).expect_err("refused").to_string();
        assert!(refused(settings.clone()).contains("already exists"));
        assert!(refused(CreateRequest { internal: true, ..settings }).contains("network specific fields"));
        let labels = BTreeMap::from([("x".to_owned(), String::new())]);
        assert!(refused(CreateRequest { labels, ..taking("x") }).contains("user specified configurations"));
        let options = BTreeMap::from([("parent".to_owned(), "up0".to_owned())]);
        assert!(
            refused(CreateRequest { options, ..taking("x") }).contains("driver options are not supported")
        );
        assert_eq!(
            refused(CreateRequest { config_from: "lan".to_owned(), ..named("x") }),
            "configuration network \"lan\" does not exist"
        );
        // All of it is found again.
        drop(network);
        let network = lab.network();
        network.adopt(&id('a'), &ends).expect("adopted");
        let found = network.networks().into_iter().find(|found| found.id == lender.id).expect("kept");
        assert_eq!(found, lender);
        let error = network.remove(&lender.id).expect_err("lent").to_string();
        assert_eq!(error, "error while removing network: configuration network \"settings\" is in use");
        network.detach(&id('a')).expect("detached");
        network.remove(&made.id).expect("removed");
        network.remove(&lender.id).expect("removed");
        network.teardown().expect("teardown");
    });
}

#[test]
fn what_a_parent_cannot_be_is_refused_and_leaves_nothing() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let refused = |parent: &str| {
            let options = BTreeMap::from([("parent".to_owned(), parent.to_owned())]);
            network.create(CreateRequest { options, ..segment("x", &[]) }).expect_err(parent).to_string()
        };
        assert_eq!(refused("nosuch"), "invalid subinterface vlan name nosuch, example formatting is eth0.10");
        assert_eq!(refused("nosuch.5"), "-o parent interface was not found on the host: nosuch");
        assert_eq!(refused("up0.5000"), "vlan id must be between 1-4094, received: 5000");
        assert_eq!(network.networks().len(), 3);
        assert_eq!(links(), ["lo", "up0"]);
    });
}

/// A network of the driver ipvlan; `None`, and said, where the kernel has none.
fn ipvlan(network: &Network, test: &str, options: &[(&str, &str)]) -> Option<String> {
    let request = CreateRequest { driver: "ipvlan".to_owned(), ..segment("lan", options) };
    created(network, test, request, "CONFIG_IPVLAN")
}

/// A network that needs what the kernel may lack; then `None`, and it is said.
fn created(network: &Network, test: &str, request: CreateRequest, what: &str) -> Option<String> {
    match network.create(request) {
        Ok(made) => Some(made.id),
        Err(error) => {
            assert!(error.to_string().contains(what), "{error}");
            not_run(test, &error.to_string());
            None
        }
    }
}

/// Two containers, and a neighbour that they talk to with their own addresses.
fn two_and_a_neighbour(lab: &Lab, network: &Network, lan: &str) {
    let (a, ends) = attach(network, &[on(lan, 'a', &["a"])]);
    let (b, others) = attach(network, &[on(lan, 'b', &["b"])]);
    let services = [serve(&a, 80), serve(&b, 80), serve(&lab.outside.fd, 80)];
    let mut socket = Socket::open(Protocol::Route).expect("socket");
    let parent = crate::route::by_name(&mut socket, "up0").expect("asked").expect("up0");
    assert_eq!(Some(ends[0].mac), parent.mac, "it bears its parent's address");
    assert_eq!(call(&a, others[0].v4(), 80), Some(ends[0].v4().to_string()), "container to container");
    assert_eq!(call(&b, OUTSIDE, 80), Some(others[0].v4().to_string()), "container to neighbour");
    assert_eq!(call(&lab.outside.fd, ends[0].v4(), 80), Some(OUTSIDE.to_string()), "neighbour to container");
    // A second daemon takes one of them over, the other one's place is free.
    network.detach(&id('b')).expect("detached");
    let network = lab.network();
    network.adopt(&id('a'), &ends).expect("adopted");
    network.hold(&id('a'), a.as_fd()).expect("held");
    assert_eq!(network.sweep(&HashSet::from([id('a')])).expect("swept"), SweepReport::default());
    let (c, again) = attach(&network, &[on(lan, 'c', &["c"])]);
    assert_eq!(again[0].v4(), others[0].v4(), "the address that is free");
    assert!(call(&c, ends[0].v4(), 80).is_some() && call(&c, OUTSIDE, 80).is_some());
    // The kernel has an address once on a parent: what is held still has none.
    network.detach(&id('a')).expect("detached");
    let (_d, first) = attach(&network, &[on(lan, 'd', &["d"])]);
    assert_eq!(first[0].v4(), ends[0].v4());
    drop(services);
    network.detach(&id('c')).expect("detached");
    network.detach(&id('d')).expect("detached");
    network.remove(lan).expect("removed");
    network.teardown().expect("teardown");
    assert_eq!(links(), ["lo", "up0"]);
}

#[test]
fn ipvlan_l2_is_on_the_segment_with_its_parents_hardware_address() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let Some(lan) = ipvlan(&network, "ipvlan l2", &[]) else { return };
        two_and_a_neighbour(lab, &network, &lan);
    });
}

#[test]
fn ipvlan_private_keeps_containers_apart() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        for flag in ["private", "vepa"] {
            let Some(lan) = ipvlan(&network, "ipvlan private", &[("ipvlan_flag", flag)]) else { return };
            let (a, ends) = attach(&network, &[on(&lan, 'a', &["a"])]);
            let (b, _) = attach(&network, &[on(&lan, 'b', &["b"])]);
            let _services = [serve(&a, 80), serve(&lab.outside.fd, 80)];
            assert_eq!(call(&b, ends[0].v4(), 80), None, "{flag}: container to container");
            assert!(call(&b, OUTSIDE, 80).is_some(), "{flag}: container to neighbour");
            network.detach(&id('a')).expect("detached");
            network.detach(&id('b')).expect("detached");
            network.remove(&lan).expect("removed");
        }
        network.teardown().expect("teardown");
    });
}

/// The segment needs a route to it by way of the host: nobody there is told a container's hardware address.
#[test]
fn ipvlan_l3_and_l3s_are_routed_by_the_host() {
    for mode in ["l3", "l3s"] {
        on_host(|lab: &Lab| {
            lab.outside_routes_through_host();
            let network = lab.network();
            let request =
                CreateRequest { driver: "ipvlan".to_owned(), ..segment("lan", &[("ipvlan_mode", mode)]) };
            let subnets =
                vec![SubnetRequest { subnet: "10.66.0.0/24".to_owned(), ..SubnetRequest::default() }];
            let request = CreateRequest { subnets, ..request };
            let Some(lan) = created(&network, "ipvlan l3", request, "CONFIG_IPVLAN") else { return };
            two_and_a_neighbour(lab, &network, &lan);
        });
    }
}

#[test]
fn networks_on_parents_of_our_own_leave_nothing() {
    on_host(|lab: &Lab| {
        for driver in ["macvlan", "ipvlan"] {
            for parent in ["up0.50", ""] {
                let test = format!("{driver} on {parent:?}");
                let network = lab.network();
                let request = segment("lan", &[("parent", parent)]);
                let request = CreateRequest { driver: driver.to_owned(), ..request };
                let Some(lan) = created(&network, &test, request, "CONFIG_") else { continue };
                let (a, ends) = attach(&network, &[on(&lan, 'a', &["a"])]);
                let (b, _) = attach(&network, &[on(&lan, 'b', &["b"])]);
                let name = if parent.is_empty() { format!("dm-{}", &lan[..12]) } else { parent.to_owned() };
                assert!(links().contains(&name), "{test}: {:?}", links());
                let _services = [serve(&a, 80), serve(&lab.outside.fd, 80)];
                assert!(call(&b, ends[0].v4(), 80).is_some(), "{test}: container to container");
                assert_eq!(call(&b, OUTSIDE, 80), None, "{test}: without the tag nobody is there");
                // Both live on without the daemon, and the next one finds it.
                drop(network);
                let network = lab.network();
                network.adopt(&id('a'), &ends).expect("adopted");
                network.hold(&id('a'), a.as_fd()).expect("held");
                assert_eq!(network.sweep(&HashSet::from([id('a')])).expect("swept"), SweepReport::default());
                network.detach(&id('a')).expect("detached");
                network.remove(&lan).expect("removed");
                assert!(!links().contains(&name), "{test}: {:?}", links());
                network.teardown().expect("teardown");
                assert_eq!(links(), ["lo", "up0"]);
            }
        }
    });
}
