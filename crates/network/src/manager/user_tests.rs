//! Networks that persons make, with packets.

use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::*;
use crate::definition::CreateRequest;
use crate::dns::Verdict;
use crate::endpoint::{Attachment, Endpoint, EndpointRequest, PortRequest, Protocol as Transport};
use crate::ipam::SubnetRequest;
use crate::lab::{self, Lab, OUTSIDE, call, call_here, on_host, serve};
use crate::route;

pub(super) fn named(name: &str) -> CreateRequest {
    CreateRequest { name: name.to_owned(), ..CreateRequest::default() }
}

fn with_subnet(name: &str, subnet: &str) -> CreateRequest {
    let subnets = vec![SubnetRequest { subnet: subnet.to_owned(), ..SubnetRequest::default() }];
    CreateRequest { subnets, ..named(name) }
}

pub(super) fn on(network: &str, container: char, names: &[&str]) -> EndpointRequest {
    EndpointRequest {
        container_id: id(container),
        network_id: network.to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..EndpointRequest::default()
    }
}

pub(super) fn id(container: char) -> String {
    container.to_string().repeat(64)
}

pub(super) fn attach(network: &Network, requests: &[EndpointRequest]) -> (OwnedFd, Vec<Endpoint>) {
    let Attachment { netns, endpoints, .. } = network.attach(requests).expect("attached");
    (netns, endpoints)
}

pub(super) fn links() -> Vec<String> {
    let mut socket = Socket::open(Protocol::Route).expect("socket");
    route::dump(&mut socket).expect("links").into_iter().map(|l| l.name).collect()
}

fn bridges() -> usize {
    links().iter().filter(|name| name.starts_with("br-")).count()
}

pub(super) fn port(host_port: u16) -> PortRequest {
    PortRequest {
        protocol: Transport::Tcp,
        container_port: 80,
        host_ip: None,
        host_port: Some(host_port),
        host_port_end: None,
        more: 0,
    }
}

#[test]
fn networks_get_dockers_subnets_and_are_kept_and_removed() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let first = network.create(named("one")).expect("one");
        assert_eq!(
            first.pools[0].subnet,
            "172.18.0.0/16".parse().expect("net"),
            "the first is the default's"
        );
        let second = network.create(with_subnet("two", "10.7.0.0/16")).expect("two");
        assert_eq!((second.pools[0].gateway, second.subnet_chosen), (None, true));
        assert!(links().contains(&format!("br-{}", &first.id[..12])));
        let refused = |request| network.create(request).expect_err("refused").to_string();
        assert_eq!(refused(named("one")), "network with name one already exists");
        assert_eq!(refused(named("host")), "operation is not permitted on predefined host network");
        assert_eq!(
            refused(with_subnet("x", "10.7.9.0/24")),
            "Pool overlaps with other one on this address space"
        );
        assert_eq!(
            refused(with_subnet("x", "172.17.0.0/24")),
            "Pool overlaps with other one on this address space"
        );
        assert!(refused(named("a\nb")).starts_with("invalid name"));
        let name = BTreeMap::from([("com.docker.network.bridge.name".to_owned(), "br0".to_owned())]);
        network.create(CreateRequest { options: name.clone(), ..named("three") }).expect("three");
        assert!(
            refused(CreateRequest { options: name, ..named("four") })
                .ends_with("networks have same bridge name")
        );
        // A second daemon with the same records finds them again; one with others keeps off.
        drop(network);
        let network = lab.network();
        assert_eq!(network.networks().len(), 6);
        network.remove(&first.id).expect("removed");
        assert!(network.remove(&first.id).is_err());
        let default = network.networks()[0].id.clone();
        assert!(network.remove(&default).expect_err("default").to_string().contains("pre-defined"));
        assert!(!links().contains(&format!("br-{}", &first.id[..12])));
        network.teardown().expect("teardown");
        assert_eq!((bridges(), links().contains(&"br0".to_owned())), (0, false));
    });
}

#[test]
fn two_networks_are_isolated_and_a_container_on_both_reaches_both() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let (front, back) = (
            network.create(named("front")).expect("front").id,
            network.create(named("back")).expect("back").id,
        );
        let (a, ea) = attach(&network, &[on(&front, 'a', &["a"])]);
        let (b, eb) = attach(&network, &[on(&front, 'b', &["b"]), on(&back, 'b', &["b"])]);
        let (c, ec) = attach(&network, &[on(&back, 'c', &["c"])]);
        assert_eq!(eb.iter().map(|e| e.interface.as_str()).collect::<Vec<_>>(), ["eth0", "eth1"]);
        let services = [serve(&a, 80), serve(&b, 80), serve(&c, 80), serve(&lab.outside.fd, 80)];
        assert!(call(&b, ea[0].v4(), 80).is_some() && call(&b, ec[0].v4(), 80).is_some());
        assert!(call(&a, eb[0].v4(), 80).is_some() && call(&c, eb[1].v4(), 80).is_some());
        assert_eq!(call(&a, ec[0].v4(), 80), None, "another network's container");
        assert_eq!(call(&c, ea[0].v4(), 80), None);
        assert!(call(&b, OUTSIDE, 80).is_some(), "the way out");
        assert!(network.remove(&back).expect_err("in use").to_string().ends_with("has active endpoints"));
        drop(services);
        network.teardown().expect("teardown");
    });
}

#[test]
fn nothing_leaves_an_internal_network_and_nothing_enters() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let inner = network.create(CreateRequest { internal: true, ..named("inner") }).expect("inner").id;
        let asking = EndpointRequest { ports: vec![port(8080)], ..on(&inner, 'a', &["a"]) };
        let (a, ea) = attach(&network, &[asking]);
        let (b, _) = attach(&network, &[on(&inner, 'b', &["b"])]);
        let (c, _) = attach(&network, &[on("", 'c', &[])]);
        assert!(ea[0].ports.is_empty(), "there is nothing to publish to");
        let services = [serve(&a, 80), serve(&lab.outside.fd, 80)];
        lab.outside_routes_through_host();
        assert!(call(&b, ea[0].v4(), 80).is_some());
        assert_eq!(call(&a, OUTSIDE, 80), None);
        assert_eq!(call(&c, ea[0].v4(), 80), None);
        assert_eq!(call(&lab.outside.fd, ea[0].v4(), 80), None);
        // Even with a route of its own making.
        lab::within(&a, || {
            let mut socket = Socket::open(Protocol::Route).expect("socket");
            let index = route::by_name(&mut socket, "eth0").expect("asked").expect("eth0").index;
            let mut batch = crate::netlink::Batch::default();
            route::default_route(&mut batch, index, ea[0].gateway.expect("gateway").into());
            socket.request(&mut batch).expect("route");
        });
        assert_eq!(call(&a, OUTSIDE, 80), None);
        drop(services);
        network.teardown().expect("teardown");
    });
}

#[test]
fn a_running_container_joins_and_leaves_and_its_ports_and_route_move() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let one = network.create(named("one")).expect("one").id;
        let two = network.create(named("two")).expect("two").id;
        let (a, ea) =
            attach(&network, &[EndpointRequest { ports: vec![port(8080)], ..on(&two, 'a', &["a"]) }]);
        let (b, eb) = attach(&network, &[on(&one, 'b', &["b"])]);
        let services = [serve(&a, 80), serve(&b, 80), serve(&lab.outside.fd, 80)];
        assert_eq!(call(&a, eb[0].v4(), 80), None);
        let dup = || a.try_clone().expect("dup");
        // `one` comes before `two`: it is the way out now.
        let now = network.connect(dup(), &on(&one, 'a', &["a"])).expect("connected");
        assert_eq!(now.iter().map(|e| e.ports.len()).collect::<Vec<_>>(), [0, 2]);
        assert!(call(&a, eb[0].v4(), 80).is_some() && call(&b, now[1].v4(), 80).is_some());
        assert!(call(&a, OUTSIDE, 80).is_some());
        assert!(call(&lab.outside.fd, lab::HOST, 8080).is_some(), "through the new endpoint");
        assert!(call_here(Ipv4Addr::LOCALHOST, 8080).is_some());
        assert!(call(&a, lab::HOST, 8080).is_some(), "from itself");
        assert!(matches!(network.connect(dup(), &on(&one, 'a', &[])), Err(Error::AlreadyAttached { .. })));
        let left = network.disconnect(dup(), &id('a'), &one, &[]).expect("disconnected");
        assert_eq!((left.len(), left[0].v4(), left[0].ports.len()), (1, ea[0].v4(), 2));
        assert_eq!(call(&a, eb[0].v4(), 80), None, "cut");
        assert_eq!(call(&b, now[1].v4(), 80), None, "cut");
        assert!(call(&a, OUTSIDE, 80).is_some(), "the way out is the old one again");
        assert!(call(&lab.outside.fd, lab::HOST, 8080).is_some(), "through the old endpoint");
        assert_eq!(network.disconnect(dup(), &id('a'), &two, &[]).expect("disconnected"), []);
        assert_eq!(call(&lab.outside.fd, lab::HOST, 8080), None);
        assert!(matches!(network.disconnect(dup(), &id('a'), &two, &[]), Err(Error::NotAttached { .. })));
        let again = EndpointRequest { ports: vec![port(8080)], ..on(&two, 'a', &["a"]) };
        let back = network.connect(dup(), &again).expect("back");
        assert_eq!((back[0].v4(), back[0].ports.len()), (ea[0].v4(), 2));
        assert!(call(&lab.outside.fd, lab::HOST, 8080).is_some(), "and back");
        drop(services);
        network.teardown().expect("teardown");
    });
}

#[test]
fn the_next_daemon_takes_over_and_sweeps_what_has_no_record() {
    on_host(|lab: &Lab| {
        let first = lab.network();
        let kept = first.create(named("kept")).expect("kept").id;
        let lost = first.create(named("lost")).expect("lost").id;
        let (a, ea) = attach(&first, &[on(&kept, 'a', &["a"]), on("", 'a', &[])]);
        let services = [serve(&a, 80)];
        drop(first);
        std::fs::remove_file(
            crate::layout::user(&lab.config().data_dir).join(crate::layout::definition(&lost)),
        )
        .expect("the crash came before");
        let second = lab.network();
        second.adopt(&id('a'), &ea).expect("adopted");
        let swept = second.sweep(&HashSet::from([id('a')])).expect("swept");
        assert_eq!(swept.bridges, [format!("br-{}", &lost[..12])]);
        assert_eq!((swept.interfaces.len(), bridges()), (0, 1));
        let (b, eb) = attach(&second, &[on(&kept, 'b', &["b"])]);
        assert_ne!(eb[0].v4(), ea[0].v4(), "the lease is held");
        assert!(call(&b, ea[0].v4(), 80).is_some());
        drop(services);
        second.teardown().expect("teardown");
    });
}

#[test]
fn another_daemons_bridges_are_not_swept() {
    on_host(|lab: &Lab| {
        let other = Config::new(Some("0badcafe".into()), lab.dir.path().join("other"));
        let other = Network::open(other).expect("other");
        other.create(named("theirs")).expect("theirs");
        let network = lab.network();
        let ours = network.create(named("ours")).expect("ours");
        assert_ne!(ours.pools[0].subnet, other.networks()[3].pools[0].subnet);
        assert_eq!(network.sweep(&HashSet::new()).expect("swept").bridges, [""; 0]);
        assert_eq!(bridges(), 2);
        network.teardown().expect("teardown");
        other.teardown().expect("teardown");
    });
}

#[test]
fn questions_for_names_arrive_at_the_resolvers_sockets_and_port_53_is_free() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let net = network.create(named("net")).expect("net").id;
        let made = network.attach(&[on(&net, 'a', &["web", "svc"])]).expect("attached");
        let sockets = made.resolver.expect("a resolver");
        let server = UdpSocket::from(sockets.udp);
        server.set_nonblocking(false).expect("blocking");
        server.set_read_timeout(Some(Duration::from_secs(5))).expect("time-out");
        let (own, client) = lab::within(&made.netns, || {
            let any = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53));
            let client = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("client");
            client.connect((crate::dns::ADDRESS, 53)).expect("connected");
            (any().expect("the container may be a name server itself"), client)
        });
        client.set_read_timeout(Some(Duration::from_secs(5))).expect("time-out");
        let question = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x00\x00\x01\x00\x01";
        client.send(question).expect("sent");
        let mut buffer = [0; 512];
        let (len, peer) = server.recv_from(&mut buffer).expect("asked");
        let Verdict::Answer(answer) = network.answer(&id('a'), &buffer[..len], 0, false) else {
            panic!("no answer");
        };
        server.send_to(&answer, peer).expect("answered");
        let len = client.recv(&mut buffer).expect("from port 53 as it seems");
        assert_eq!(buffer[len - 4..len], made.endpoints[0].v4().octets());
        drop(own);
        // The same over TCP.
        let listener = std::net::TcpListener::from(sockets.tcp);
        listener.set_nonblocking(false).expect("blocking");
        let accepted = std::thread::spawn(move || listener.accept().map(|(_, peer)| peer));
        lab::within(&made.netns, || {
            let to = SocketAddrV4::new(crate::dns::ADDRESS, 53).into();
            std::net::TcpStream::connect_timeout(&to, Duration::from_secs(5)).expect("connected");
        });
        accepted.join().expect("no panic").expect("accepted");
        network.teardown().expect("teardown");
    });
}

#[test]
fn options_of_a_network_are_effective() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let option = |key: &str, value: &str| (format!("com.docker.network.{key}"), value.to_owned());
        let options = BTreeMap::from([
            option("bridge.name", "br-mine"),
            option("bridge.enable_icc", "false"),
            option("bridge.enable_ip_masquerade", "false"),
            option("bridge.host_binding_ipv4", "127.0.0.1"),
            option("driver.mtu", "1300"),
            option("container_iface_prefix", "net"),
        ]);
        let mut request = with_subnet("net", "10.5.0.0/24");
        request.subnets[0].ip_range = "10.5.0.128/25".into();
        request.subnets[0].gateway = "10.5.0.1".into();
        request.subnets[0].aux = BTreeMap::from([("router".to_owned(), "10.5.0.128".to_owned())]);
        let id_of = network.create(CreateRequest { options, ..request }).expect("net").id;
        let (a, ea) =
            attach(&network, &[EndpointRequest { ports: vec![port(8080)], ..on(&id_of, 'a', &["a"]) }]);
        let (b, eb) = attach(&network, &[on(&id_of, 'b', &["b"])]);
        assert_eq!((ea[0].v4(), eb[0].v4()), (Ipv4Addr::new(10, 5, 0, 129), Ipv4Addr::new(10, 5, 0, 130)));
        assert_eq!((ea[0].interface.as_str(), ea[0].gateway), ("net0", Some(Ipv4Addr::new(10, 5, 0, 1))));
        assert!(links().contains(&"br-mine".to_owned()));
        let services = [serve(&a, 80), serve(&b, 80), serve(&lab.outside.fd, 80)];
        assert_eq!(call(&b, ea[0].v4(), 80), None, "icc");
        assert!(call_here(Ipv4Addr::LOCALHOST, 8080).is_some());
        assert_eq!(call(&lab.outside.fd, lab::HOST, 8080), None, "published on loopback only");
        lab.outside_routes_through_host();
        assert_eq!(call(&a, OUTSIDE, 80), Some(ea[0].v4().to_string()), "not masqueraded");
        drop(services);
        network.teardown().expect("teardown");
        assert!(!links().contains(&"br-mine".to_owned()));
    });
}

#[test]
fn subnets_come_from_the_given_pools_until_they_are_used_up() {
    on_host(|lab: &Lab| {
        let mut config = lab.config();
        let base = "10.66.0.0/22".parse().expect("net");
        config.address_pools = vec![crate::AddressPool { base, size: 24 }];
        let network = Network::open(config).expect("network");
        let subnet = |name: &str| network.create(named(name)).map(|made| made.pools[0].subnet.to_string());
        let made: Vec<_> = ["a", "b", "c"].iter().map(|name| subnet(name).expect("made")).collect();
        assert_eq!(made, ["10.66.1.0/24", "10.66.2.0/24", "10.66.3.0/24"], "the first is the default's");
        assert!(matches!(subnet("d"), Err(Error::NoFreeSubnet { .. })));
        assert_eq!(network.networks().len(), 6, "nothing of it stays");
        network.teardown().expect("teardown");
    });
}

#[test]
fn two_hundred_containers_come_and_go_and_leave_nothing() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let id_of = network.create(named("net")).expect("net").id;
        for round in 0..200 {
            let request =
                EndpointRequest { container_id: format!("{round:064x}"), ..on(&id_of, 'a', &["a"]) };
            let made = network.attach(&[request]).expect("attached");
            assert_eq!(made.endpoints[0].v4().octets()[3], 2, "the same address each time");
            network.detach(&format!("{round:064x}")).expect("detached");
        }
        let start = std::time::Instant::now();
        while links().iter().any(|name| name.starts_with("veth")) {
            assert!(start.elapsed().as_secs() < 20, "pairs are left");
            std::thread::yield_now();
        }
        assert!(network.state().endpoints.is_empty());
        assert_eq!(network.firewall().published().expect("dump"), []);
        network.teardown().expect("teardown");
    });
}

#[test]
fn the_default_route_follows_the_highest_priority() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let [aa, bb, inner] =
            [named("aa"), named("bb"), CreateRequest { internal: true, ..named("a-inner") }]
                .map(|request| network.create(request).expect("made").id);
        let (a, _) = attach(&network, &[on(&aa, 'a', &["a"]), on(&inner, 'a', &["a"])]);
        let route = || {
            lab::within(&a, || {
                let routes = std::fs::read_to_string("/proc/thread-self/net/route").expect("routes");
                let mut fields = routes.lines().map(|line| line.split('\t').collect::<Vec<_>>());
                fields.find(|fields| fields[1] == "00000000").map(|fields| fields[0].to_owned())
            })
        };
        assert_eq!(route().as_deref(), Some("eth0"));
        let dup = || a.try_clone().expect("dup");
        network.connect(dup(), &EndpointRequest { priority: 7, ..on(&bb, 'a', &["a"]) }).expect("connected");
        assert_eq!(route().as_deref(), Some("eth2"));
        network.disconnect(dup(), &id('a'), &bb, &[]).expect("disconnected");
        assert_eq!(route().as_deref(), Some("eth0"));
        network.disconnect(dup(), &id('a'), &aa, &[]).expect("disconnected");
        assert_eq!(route(), None, "an internal network leads nowhere");
        network.teardown().expect("teardown");
    });
}

#[test]
fn a_host_that_has_no_address_on_a_network_reaches_nobody_there() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let with = |name: &str, internal: bool, options: &[(&str, &str)]| {
            let option = |(key, value): &(&str, &str)| {
                (format!("com.docker.network.bridge.{key}"), (*value).to_owned())
            };
            let options = options.iter().map(option).collect();
            network.create(CreateRequest { options, internal, enable_ipv6: true, ..named(name) })
        };
        let isolated = [("gateway_mode_ipv4", "isolated"), ("gateway_mode_ipv6", "isolated")];
        let refused = with("open", false, &isolated).expect_err("not internal").to_string();
        assert_eq!(refused, "gateway mode 'isolated' can only be used for an internal network");
        let made = [
            with("inner", true, &[]).expect("made"),
            with("isolated", true, &isolated).expect("made"),
            with("inhibited", false, &[("inhibit_ipv4", "true")]).expect("made"),
        ];
        // What the host reaches, by IPv4 and by IPv6; and the neighbour on the same network, likewise.
        let seen = made.each_ref().map(|net| {
            let ((a, ea), (b, eb)) = (
                attach(&network, &[on(&net.id, 'a', &["a"])]),
                attach(&network, &[on(&net.id, 'b', &["b"])]),
            );
            let six = eb[0].ip6.expect("an IPv6 address");
            let service = serve(&b, 80);
            let host = (call_here(eb[0].v4(), 80).is_some(), call_here(six, 80).is_some());
            let neighbour = (call(&a, eb[0].v4(), 80).is_some(), call(&a, six, 80).is_some());
            let seen = (host, neighbour, ea[0].gateway.is_some(), ea[0].gateway6.is_some());
            drop(service);
            network.detach(&id('a')).expect("detached");
            network.detach(&id('b')).expect("detached");
            seen
        });
        assert_eq!(seen[0], ((true, true), (true, true), true, true), "internal");
        assert_eq!(seen[1], ((false, false), (true, true), false, false), "isolated");
        assert_eq!(seen[2], ((false, true), (true, true), true, true), "inhibited");
        let gateways = |at: usize| made[at].pools.iter().filter(|pool| pool.gateway.is_some()).count();
        assert_eq!([gateways(0), gateways(1), gateways(2)], [2, 0, 2]);
        // Another daemon finds it so.
        drop(network);
        let network = lab.network();
        let (b, eb) = attach(&network, &[on(&made[1].id, 'b', &["b"])]);
        let service = serve(&b, 80);
        assert_eq!(call_here(eb[0].v4(), 80), None);
        drop(service);
        network.detach(&id('b')).expect("detached");
        network.teardown().expect("teardown");
    });
}

#[test]
fn a_gateway_mode_decides_how_containers_are_reached_from_outside() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let with = |name: &str, key: &str, value: &str| {
            let options = BTreeMap::from([(format!("com.docker.network.bridge.{key}"), value.to_owned())]);
            network.create(CreateRequest { options, ..named(name) }).expect("made").id
        };
        let nets = [
            with("nat", "gateway_mode_ipv4", "nat"),
            with("unprotected", "gateway_mode_ipv4", "nat-unprotected"),
            with("routed", "gateway_mode_ipv4", "routed"),
            with("trusting", "trusted_host_interfaces", "other:up0"),
        ];
        lab.outside_routes_through_host();
        let seen = nets.map(|net| {
            let asking = EndpointRequest { ports: vec![port(8080)], ..on(&net, 'a', &["a"]) };
            let (a, ea) = attach(&network, &[asking]);
            let services = [serve(&a, 80), serve(&a, 81), serve(&lab.outside.fd, 80)];
            let from_outside = |ip, port| call(&lab.outside.fd, ip, port).is_some();
            let seen = (
                from_outside(lab::HOST, 8080),
                from_outside(ea[0].v4(), 80),
                from_outside(ea[0].v4(), 81),
                call(&a, OUTSIDE, 80) == Some(lab::HOST.to_string()),
            );
            drop(services);
            network.detach(&id('a')).expect("detached");
            seen
        });
        // Through the host's port, at its own address, unpublished; and whether the host's address hides it.
        assert_eq!(seen[0], (true, false, false, true), "nat");
        assert_eq!(seen[1], (true, true, true, true), "nat-unprotected");
        assert_eq!(seen[2], (false, true, false, false), "routed");
        assert_eq!(seen[3], (true, true, false, true), "trusted");
        network.teardown().expect("teardown");
    });
}
