use std::collections::HashSet;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use super::*;
use crate::bridge;
use crate::endpoint::{Endpoint, EndpointRequest, PortRequest, Protocol as Transport};
use crate::ipam::Family;
use crate::lab::{self, Lab, OUTSIDE, Service, call, call_here, call_udp, on_host, serve, serve_udp};
use crate::netlink::Batch;
use crate::route;

/// A container on one network.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) netns: OwnedFd,
    pub(super) endpoint: Endpoint,
}

impl Network {
    pub(super) fn attach_bridge(&self, request: &EndpointRequest) -> Result<Attachment> {
        let made = self.attach(std::slice::from_ref(request))?;
        Ok(Attachment { netns: made.netns, endpoint: made.endpoints.into_iter().next().expect("one") })
    }
}

fn request(name: char) -> EndpointRequest {
    EndpointRequest { container_id: name.to_string().repeat(64), ..EndpointRequest::default() }
}

fn publish(name: char, host_ip: Option<Ipv4Addr>, host_port: u16) -> EndpointRequest {
    let port = PortRequest {
        protocol: Transport::Tcp,
        container_port: 80,
        host_ip: host_ip.map(IpAddr::V4),
        host_port: Some(host_port),
        host_port_end: None,
        more: 0,
    };
    EndpointRequest { ports: vec![port], ..request(name) }
}

/// A setting without wishes.
pub(super) const fn setting(owner: &str) -> Setting<'_> {
    Setting {
        owner,
        pools: &[],
        private: None,
        recorded: None,
        recorded6: None,
        underlay: None,
        wireguard: None,
    }
}

fn links() -> Vec<String> {
    let mut socket = Socket::open(Protocol::Route).expect("socket");
    route::dump(&mut socket).expect("links").into_iter().map(|l| l.name).collect()
}

/// Waits until an interface of the host is gone; the kernel frees namespaces in its own time.
fn gone(name: &str) {
    let start = Instant::now();
    while links().iter().any(|l| l == name) {
        assert!(start.elapsed().as_secs() < 5, "{name} is still there");
        std::thread::yield_now();
    }
}

/// Once the containers have died, nothing of ours is left on the host.
fn nothing_left(network: &Network, containers: Vec<Attachment>, services: Vec<Service>) {
    drop(services);
    let pairs: Vec<_> = containers.into_iter().map(|c| c.endpoint.host_interface).collect();
    pairs.iter().for_each(|name| gone(name));
    network.teardown().expect("teardown");
    let left: Vec<_> =
        links().into_iter().filter(|l| l.starts_with("berth") || l.starts_with("veth")).collect();
    assert_eq!(left, [""; 0]);
    assert_eq!(network.firewall().published().expect("dump"), []);
}

#[test]
fn two_containers_reach_each_other_and_the_outside() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        assert!(!links().contains(&"berth0".to_owned()), "nothing is made before it is needed");
        let a = network.attach_bridge(&request('a')).expect("a");
        let b = network.attach_bridge(&request('b')).expect("b");
        assert_eq!(a.endpoint.v4(), Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(b.endpoint.v4(), Ipv4Addr::new(172, 17, 0, 3));
        let services = vec![serve(&b.netns, 80), serve_udp(&b.netns, 53), serve(&lab.outside.fd, 80)];
        let here = Some(a.endpoint.v4().to_string());
        assert_eq!(call(&a.netns, b.endpoint.v4(), 80), here, "TCP between containers keeps the address");
        assert_eq!(call_udp(&a.netns, b.endpoint.v4(), 53), here);
        assert_eq!(call(&a.netns, OUTSIDE, 80), Some(lab::HOST.to_string()), "outside sees the host");
        assert_eq!(call_here(b.endpoint.v4(), 80), Some("172.17.0.1".into()), "the host reaches containers");
        let (veth, other) = (a.endpoint.host_interface.clone(), b.endpoint.host_interface.clone());
        network.detach(&"a".repeat(64)).expect("detach");
        network.detach(&"a".repeat(64)).expect("twice");
        drop(a);
        gone(&veth);
        assert!(links().contains(&other));
        let again = network.attach_bridge(&request('c')).expect("c");
        assert_eq!(again.endpoint.v4(), Ipv4Addr::new(172, 17, 0, 2), "the address is free again");
        assert!(!network.teardown_if_unused().expect("asked"));
        nothing_left(&network, vec![b, again], services);
    });
}

#[test]
fn a_container_started_again_is_reached_at_once() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let first = network.attach_bridge(&request('a')).expect("first");
        let service = serve(&first.netns, 80);
        assert!(call_here(first.endpoint.v4(), 80).is_some());
        drop(service);
        network.detach(&"a".repeat(64)).expect("detach");
        // The former namespace is still there, as it is until the kernel has taken it apart.
        let second = network.attach_bridge(&request('a')).expect("second");
        assert_eq!(second.endpoint.v4(), first.endpoint.v4());
        let services = vec![serve(&second.netns, 80)];
        assert!(call_here(second.endpoint.v4(), 80).is_some());
        nothing_left(&network, vec![first, second], services);
    });
}

#[test]
fn many_containers_at_once_all_get_an_address() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let attach = |n: usize| {
            let request = EndpointRequest { container_id: format!("{n:064x}"), ..EndpointRequest::default() };
            network.attach_bridge(&request).expect("attached")
        };
        let attached: Vec<_> = std::thread::scope(|scope| {
            let attach = &attach;
            let starts: Vec<_> = (0..50).map(|n| scope.spawn(move || attach(n))).collect();
            starts.into_iter().map(|s| s.join().expect("no panic")).collect()
        });
        let addresses: HashSet<_> = attached.iter().map(|a| a.endpoint.v4()).collect();
        assert_eq!(addresses.len(), 50);
        for n in 0..50 {
            network.detach(&format!("{n:064x}")).expect("detached");
        }
        assert!(network.state().endpoints.is_empty());
        nothing_left(&network, attached, vec![]);
    });
}

#[test]
fn the_administrators_choices_are_respected() {
    on_host(|lab: &Lab| {
        let mut config = lab.config();
        config.bridge.bip = Some("10.9.0.1/16".parse().expect("net"));
        config.bridge.fixed_cidr = Some("10.9.7.0/24".parse().expect("net"));
        config.bridge.default_gateway = Some(Ipv4Addr::new(10, 9, 0, 254));
        config.bridge.mtu = Some(1300);
        config.bridge.ip_masq = false;
        let network = Network::open(config.clone()).expect("network");
        let a = network.attach_bridge(&request('a')).expect("a");
        assert_eq!(a.endpoint.v4(), Ipv4Addr::new(10, 9, 7, 0));
        assert_eq!(a.endpoint.gateway, Some(Ipv4Addr::new(10, 9, 0, 254)));
        let mtu = lab::within(&a.netns, || {
            let mut socket = Socket::open(Protocol::Route).expect("socket");
            route::by_name(&mut socket, "eth0").expect("asked").expect("eth0").mtu
        });
        assert_eq!(mtu, 1300);
        nothing_left(&network, vec![a], vec![]);
        // Another address for a bridge that is in nobody's way is simply taken.
        config.bridge.bip = Some("10.8.0.1/16".parse().expect("net"));
        config.bridge.fixed_cidr = None;
        config.bridge.default_gateway = None;
        let network = Network::open(config.clone()).expect("network");
        assert_eq!(network.host_gateway().expect("up"), IpAddr::from(Ipv4Addr::new(10, 8, 0, 1)));
        drop(network);
        config.bridge.bip = Some("10.7.0.1/16".parse().expect("net"));
        let network = Network::open(config).expect("network");
        assert_eq!(network.host_gateway().expect("up"), IpAddr::from(Ipv4Addr::new(10, 7, 0, 1)));
        nothing_left(&network, vec![], vec![]);
    });
}

#[test]
fn a_bridge_of_the_administrators_is_used_and_kept() {
    on_host(|lab: &Lab| {
        let mut config = lab.config();
        config.bridge.name = "theirs".into();
        config.bridge.external = true;
        let network = Network::open(config.clone()).expect("network");
        let error = network.attach_bridge(&request('a')).expect_err("there is none").to_string();
        assert_eq!(error, "bridge theirs does not exist");
        let mut theirs = config.bridge.clone();
        theirs.external = false;
        theirs.bip = Some("10.6.0.1/24".parse().expect("net"));
        let mut socket = Socket::open(Protocol::Route).expect("socket");
        bridge::ensure(&mut socket, &theirs, &setting("them")).expect("made by hand");
        let a = network.attach_bridge(&request('a')).expect("a");
        assert_eq!(a.endpoint.v4(), Ipv4Addr::new(10, 6, 0, 2));
        network.teardown().expect("teardown");
        assert!(links().contains(&"theirs".to_owned()));
    });
}

#[test]
fn other_tables_that_drop_forwarded_packets_are_reported() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        network.host_gateway().expect("up");
        assert_eq!(network.warnings(), [""; 0]);
        let nft = std::process::Command::new("/usr/sbin/nft")
            .arg("add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }")
            .status();
        // The only foreign table at hand is one that another program makes.
        if nft.is_ok_and(|status| status.success()) {
            let warnings = network.warnings();
            assert!(warnings[0].contains("chain FORWARD of nftables table ip filter"), "{warnings:?}");
        }
        nothing_left(&network, vec![], vec![]);
    });
}

#[test]
fn neighbours_reach_published_ports_and_nothing_else() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let a = network.attach_bridge(&publish('a', None, 8080)).expect("a");
        let b = network.attach_bridge(&request('b')).expect("b");
        let services = vec![serve(&a.netns, 80), serve(&a.netns, 81)];
        lab.outside_routes_through_host();
        assert_eq!(call(&lab.outside.fd, lab::HOST, 8080), Some(OUTSIDE.to_string()), "the address is kept");
        assert_eq!(call(&lab.outside.fd, a.endpoint.v4(), 81), None, "not published");
        assert_eq!(call(&lab.outside.fd, a.endpoint.v4(), 80), None, "not by the container's own address");
        assert_eq!(call_here(lab::HOST, 8080), Some(lab::HOST.to_string()), "the host itself");
        assert_eq!(call_here(Ipv4Addr::LOCALHOST, 8080), Some("172.17.0.1".into()), "by loopback");
        assert_eq!(call(&b.netns, lab::HOST, 8080), Some("172.17.0.1".into()), "from a neighbour container");
        assert_eq!(call(&a.netns, lab::HOST, 8080), Some("172.17.0.1".into()), "from itself");
        network.detach(&"a".repeat(64)).expect("detach");
        assert_eq!(call(&lab.outside.fd, lab::HOST, 8080), None);
        nothing_left(&network, vec![a, b], services);
    });
}

#[test]
fn the_machine_does_not_become_a_router_for_its_neighbours() {
    let (host_ip, ip) = (Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(203, 0, 113, 2));
    let forwards = |before: &str| {
        let mut seen = None;
        on_host(|lab: &Lab| {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", before).expect("written");
            let mut host = Socket::open(Protocol::Route).expect("socket");
            let other = lab::neighbour(&mut host, "up1", host_ip, ip);
            lab::routes_through(&other.fd, host_ip);
            lab.outside_routes_through_host();
            // A second daemon's start finds forwarding on, and knows that it was off.
            lab.network().host_gateway().expect("up");
            let network = lab.network();
            let a = network.attach_bridge(&request('a')).expect("a");
            let services = vec![serve(&other.fd, 80)];
            assert!(call(&a.netns, ip, 80).is_some(), "containers reach every neighbour");
            seen = call(&lab.outside.fd, ip, 80);
            nothing_left(&network, vec![a], services);
            assert_eq!(crate::sysctl::forwarding(Family::V4), before == "1", "as it was");
        });
        seen
    };
    assert_eq!(forwards("0"), None);
    assert_eq!(forwards("1"), Some(OUTSIDE.to_string()), "a router stays one");
}

#[test]
fn a_udp_client_that_was_too_early_is_heard_once_the_port_is_published() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        network.host_gateway().expect("up");
        let client = lab::within(&lab.outside.fd, || UdpSocket::bind((OUTSIDE, 5000)).expect("bound"));
        // An answer may take long on a busy machine: the kernel repeats a lost question for an address after a second.
        let ask = |patience: u64| {
            client.set_read_timeout(Some(Duration::from_secs(patience))).expect("time-out");
            client.send_to(b"?", (lab::HOST, 5353)).expect("sent");
            client.recv_from(&mut [0; 64]).is_ok()
        };
        assert!(!ask(1), "nobody there yet");
        let port = PortRequest {
            protocol: Transport::Udp,
            container_port: 53,
            host_ip: None,
            host_port: Some(5353),
            host_port_end: None,
            more: 0,
        };
        let wanted = EndpointRequest { ports: vec![port], ..request('a') };
        let a = network.attach_bridge(&wanted).expect("a");
        let mut services = vec![serve_udp(&a.netns, 53)];
        assert!(ask(10), "published");
        // Another container takes the port over, with another address.
        let b = network.attach_bridge(&request('b')).expect("b");
        network.detach(&"a".repeat(64)).expect("detached");
        network.detach(&"b".repeat(64)).expect("detached");
        let c = network.attach_bridge(&request('c')).expect("c takes a's address");
        let d =
            network.attach_bridge(&EndpointRequest { container_id: "d".repeat(64), ..wanted }).expect("d");
        assert_ne!(d.endpoint.v4(), a.endpoint.v4());
        services.push(serve_udp(&d.netns, 53));
        assert!(ask(10), "published anew");
        nothing_left(&network, vec![a, b, c, d], services);
    });
}

#[test]
fn ports_published_on_loopback_stay_on_the_host() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let a = network.attach_bridge(&publish('a', Some(Ipv4Addr::LOCALHOST), 8080)).expect("a");
        let b = network.attach_bridge(&request('b')).expect("b");
        let services = vec![serve(&a.netns, 80)];
        assert_eq!(call_here(Ipv4Addr::LOCALHOST, 8080), Some("172.17.0.1".into()));
        assert_eq!(call_here(lab::HOST, 8080), None);
        assert_eq!(call(&lab.outside.fd, lab::HOST, 8080), None);
        assert_eq!(call(&b.netns, lab::HOST, 8080), None);
        nothing_left(&network, vec![a, b], services);
    });
}

#[test]
fn a_port_is_published_once() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let a = network.attach_bridge(&publish('a', None, 8080)).expect("a");
        let error = network.attach_bridge(&publish('b', None, 8080)).expect_err("taken").to_string();
        assert_eq!(error, "Bind for 0.0.0.0:8080 failed: port is already allocated");
        let b = network.attach_bridge(&publish('b', None, 8081)).expect("b has nothing from before");
        assert_eq!(b.endpoint.v4(), Ipv4Addr::new(172, 17, 0, 3));
        nothing_left(&network, vec![a, b], vec![]);
    });
}

#[test]
fn without_icc_containers_reach_the_outside_only() {
    on_host(|lab: &Lab| {
        let mut config = lab.config();
        config.bridge.icc = false;
        let network = Network::open(config).expect("network");
        let a = network.attach_bridge(&request('a')).expect("a");
        let b = network.attach_bridge(&request('b')).expect("b");
        let services = vec![serve(&b.netns, 80), serve(&lab.outside.fd, 80)];
        assert_eq!(call(&a.netns, b.endpoint.v4(), 80), None);
        assert!(call(&a.netns, OUTSIDE, 80).is_some());
        nothing_left(&network, vec![a, b], services);
    });
}

#[test]
fn a_new_daemon_takes_over_what_lives_and_sweeps_the_rest() {
    on_host(|lab: &Lab| {
        let first = lab.network();
        let a = first.attach_bridge(&publish('a', None, 8080)).expect("a");
        let b = first.attach_bridge(&publish('b', None, 8081)).expect("b");
        let services = vec![serve(&a.netns, 80)];
        drop(first);
        let second = lab.network();
        second.adopt(&"a".repeat(64), std::slice::from_ref(&a.endpoint)).expect("adopted");
        let report = second.sweep(&HashSet::from(["a".repeat(64)])).expect("sweep");
        assert_eq!(report.interfaces, std::slice::from_ref(&b.endpoint.host_interface));
        assert_eq!(report.published, ["b".repeat(64)]);
        assert_eq!(call(&lab.outside.fd, lab::HOST, 8080), Some(OUTSIDE.to_string()));
        let again = second.sweep(&HashSet::from(["a".repeat(64)])).expect("with nothing to do");
        assert_eq!(again, SweepReport::default());
        let c = second.attach_bridge(&request('c')).expect("c");
        assert_eq!(c.endpoint.v4(), Ipv4Addr::new(172, 17, 0, 3));
        nothing_left(&second, vec![a, b, c], services);
    });
}

#[test]
fn what_was_flushed_behind_our_back_comes_back() {
    on_host(|lab: &Lab| {
        let first = lab.network();
        let a = first.attach_bridge(&publish('a', None, 8080)).expect("a");
        let services = vec![serve(&a.netns, 80)];
        first.firewall().remove().expect("flushed");
        let mut socket = Socket::open(Protocol::Route).expect("socket");
        delete(&mut socket, &lab.config().bridge.name);
        drop(first);
        let second = lab.network();
        second.adopt(&"a".repeat(64), std::slice::from_ref(&a.endpoint)).expect("adopted");
        assert_eq!(call(&lab.outside.fd, lab::HOST, 8080), Some(OUTSIDE.to_string()));
        delete(&mut socket, &lab.config().bridge.name);
        let b = second.attach_bridge(&request('b')).expect("the bridge is made again");
        second.firewall().remove().expect("flushed");
        let c = second.attach_bridge(&request('c')).expect("c");
        assert_eq!(call(&lab.outside.fd, lab::HOST, 8080), Some(OUTSIDE.to_string()), "the rules too");
        nothing_left(&second, vec![a, b, c], services);
    });
}

/// Removes an interface and nothing with it, as an administrator may.
fn delete(socket: &mut Socket, name: &str) {
    let link = route::by_name(socket, name).expect("asked").expect("there");
    let mut batch = Batch::default();
    route::push_delete(&mut batch, link.index, name);
    socket.request(&mut batch).expect("deleted");
}

/// Waits for a change of the machine's rules.
fn told(watch: &crate::Watch) {
    let mut fds = [rustix::event::PollFd::new(watch, rustix::event::PollFlags::IN)];
    let patience = rustix::event::Timespec { tv_sec: 5, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut fds, Some(&patience)), Ok(1));
}

#[test]
fn a_flush_of_all_rules_is_noticed_and_repaired_and_only_that() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let mut watch = network.watch().expect("watched");
        let a = network.attach_bridge(&publish('a', None, 8080)).expect("a");
        let b = network.attach_bridge(&publish('b', Some(Ipv4Addr::LOCALHOST), 8081)).expect("b");
        told(&watch);
        assert!(!watch.disturbed().expect("read"), "our own changes");
        let services = vec![serve(&a.netns, 80), serve(&b.netns, 80)];
        let nft = |command: &str| {
            let done = std::process::Command::new("/usr/sbin/nft").arg(command).status();
            assert!(done.expect("these tests need nft").success(), "{command}");
        };
        nft("add table inet theirs; add chain inet theirs c; add rule inet theirs c accept");
        told(&watch);
        assert!(!watch.disturbed().expect("read"), "somebody's own table");
        for damage in [
            "flush ruleset",
            "delete table inet berth",
            "flush chain inet berth prerouting",
            "flush map inet berth published_everywhere",
            "insert rule inet berth forward drop",
        ] {
            nft(damage);
            told(&watch);
            assert!(watch.disturbed().expect("read"), "{damage}");
            assert!(network.repair().expect("repaired"));
            assert_eq!(call(&lab.outside.fd, lab::HOST, 8080), Some(OUTSIDE.to_string()), "{damage}");
            assert_eq!(call_here(Ipv4Addr::LOCALHOST, 8081), Some("172.17.0.1".into()));
            assert_eq!(call(&lab.outside.fd, lab::HOST, 8081), None, "{damage}");
            told(&watch);
            assert!(!watch.disturbed().expect("read"), "the repair itself");
        }
        // An element in the way, which leads to somebody else.
        nft("delete element inet berth published_everywhere { tcp . 8080 }; \
             add element inet berth published_everywhere { tcp . 8080 : 192.0.2.1 . 80 }");
        assert!(watch.disturbed().expect("read") && network.repair().expect("repaired"));
        assert_eq!(call(&lab.outside.fd, lab::HOST, 8080), Some(OUTSIDE.to_string()));
        nothing_left(&network, vec![a, b], services);
        assert!(!network.repair().expect("nothing to keep"));
    });
}

#[test]
fn daemons_on_one_machine_take_different_subnets() {
    on_host(|lab: &Lab| {
        let networks: Vec<_> = ["11111111", "22222222", "33333333"]
            .map(|tag| {
                Network::open(Config::new(Some(tag.into()), lab.dir.path().join(tag))).expect("network")
            })
            .into();
        let mut subnets: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = networks
                .iter()
                .map(|n| scope.spawn(|| n.attach_bridge(&request('a')).expect("a").endpoint))
                .collect();
            starts.into_iter().map(|s| s.join().expect("no panic").v4().octets()[1]).collect()
        });
        subnets.sort_unstable();
        assert_eq!(subnets, [17, 18, 19]);
        assert!(links().contains(&"b-22222222".to_owned()));
        for network in &networks {
            network.teardown().expect("teardown");
        }
        assert!(!links().iter().any(|l| l.starts_with("b-")));
    });
}

#[test]
fn bad_requests_say_why_and_leave_nothing() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let wanted = EndpointRequest { ip: Some([172, 17, 5, 5].into()), ..request('a') };
        let a = network.attach_bridge(&wanted).expect("free");
        assert_eq!(a.endpoint.v4(), Ipv4Addr::new(172, 17, 5, 5));
        let same = EndpointRequest { ip: Some([172, 17, 5, 5].into()), ..request('b') };
        assert!(matches!(network.attach_bridge(&same), Err(Error::AddressInUse(_))));
        let elsewhere = EndpointRequest { ip: Some([10, 0, 0, 5].into()), ..request('b') };
        assert!(matches!(network.attach_bridge(&elsewhere), Err(Error::AddressOutside { .. })));
        assert!(matches!(network.attach_bridge(&request('a')), Err(Error::AlreadyAttached { .. })));
        assert_eq!(network.state().endpoints.len(), 1);
        nothing_left(&network, vec![a], vec![]);
    });
}

#[test]
fn a_namespace_of_its_own_has_loopback_and_nothing_else() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        let netns = network.isolated(None).expect("isolated");
        let inside = lab::within(&netns, links);
        assert!(inside.contains(&"lo".to_owned()) && !inside.iter().any(|l| l == "eth0"));
        let _service = serve(&netns, 80);
        assert_eq!(call(&netns, Ipv4Addr::LOCALHOST, 80), Some("127.0.0.1".into()));
        assert!(!links().contains(&"berth0".to_owned()));
    });
}

#[test]
fn the_read_model_shows_the_three_networks() {
    on_host(|lab: &Lab| {
        let network = lab.network();
        network.host_gateway().expect("gateway");
        let all = network.networks();
        let names: Vec<_> = all.iter().map(|n| (n.name.as_str(), n.driver.as_str())).collect();
        assert_eq!(names, [("bridge", "bridge"), ("host", "host"), ("none", "null")]);
        assert_eq!(all[0].pools[0].subnet, "172.17.0.0/16".parse().expect("net"));
        assert_eq!(all[0].options["com.docker.network.driver.mtu"], "1400", "that of the way out");
        let again = lab.network();
        again.host_gateway().expect("gateway");
        assert_eq!(again.networks(), all, "the same after a restart");
        // Nor does the bridge become Ethernet's again when its last container leaves.
        let a = network.attach_bridge(&request('a')).expect("a");
        let pair = a.endpoint.host_interface.clone();
        network.detach(&"a".repeat(64)).expect("detached");
        drop(a);
        gone(&pair);
        let mut socket = Socket::open(Protocol::Route).expect("socket");
        assert_eq!(route::by_name(&mut socket, "berth0").expect("asked").expect("berth0").mtu, 1400);
        nothing_left(&network, vec![], vec![]);
    });
}
