//! Cost of an attachment beside the bare system calls it cannot do without, in turn in one run; figures by
//! `cargo test -p network --release -- --nocapture --test-threads 1 cost_`.
//!
//! The bare calls are: a namespace whose loopback is up, one message that makes a pair of interfaces, one send
//! that gives the container's end its address and route, one nftables transaction for a port; and the removal of
//! that. They keep no book, tell no bridge who is where, resolve no names, and look after nobody else's changes.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::Network;
use crate::definition::CreateRequest;
use crate::driver::Segment;
use crate::endpoint::{EndpointRequest, MacAddr, PortRequest, Protocol as Transport, PublishedPort};
use crate::firewall::Firewall;
use crate::firewall::plan::{self, Element};
use crate::lab::{Lab, on_host};
use crate::netlink::{Batch, Protocol, Socket};
use crate::netns::Namespace;
use crate::route::{self, Veth};

/// What is allowed. Debugging builds run beside other tests on few processors.
const TIMES: u128 = if cfg!(debug_assertions) { 4 } else { 2 };
const ROUNDS: u32 = 60;
/// Attachments at the same time.
const PARALLEL: u32 = 32;
/// How often that is done.
const WAVES: u32 = 8;
/// First host port of ours, and of the bare calls.
const PORTS: [u16; 2] = [20_000, 30_000];

/// What is attached.
#[derive(Debug, Clone, Copy)]
struct Case {
    networks: usize,
    port: bool,
}

/// Sockets and bridges that are there already, as ours are.
struct Bare {
    host: Socket,
    firewall: Firewall,
    bridges: Vec<Segment>,
}

impl Bare {
    fn of(network: &Network, ids: &[String]) -> Self {
        let mut state = network.state();
        let bridges = ids.iter().map(|id| network.ensure(&mut state, id).expect("up").segment.clone());
        let mut firewall = Firewall::new(network.owner.clone());
        // Opens its socket here and not in a namespace that is made.
        assert!(firewall.exists().expect("asked"));
        Self { bridges: bridges.collect(), host: Socket::open(Protocol::Route).expect("socket"), firewall }
    }

    fn attach(&mut self, number: u32, case: Case) -> Namespace {
        let mut namespace = Namespace::unshare().expect("namespace");
        for (at, bridge) in self.bridges[..case.networks].iter().enumerate() {
            let name = format!("eth{at}");
            let mut batch = Batch::default();
            let pair = Veth {
                host_name: &format!("bare{at}.{number}"),
                bridge: bridge.index,
                netns: namespace.fd.as_fd(),
                name: &name,
                mac: MacAddr([2, 0x42, 1, at as u8, (number >> 8) as u8, number as u8]),
                mtu: bridge.mtu,
                up: true,
            };
            route::push_veth(&mut batch, &pair);
            self.host.request(&mut batch).expect("veth");
            let index = namespace.route.index_of(&name).expect("index");
            let mut batch = Batch::default();
            route::push_up(&mut batch, index);
            route::push_address(&mut batch, index, address(bridge, number));
            if at == 0 {
                route::default_route(&mut batch, index, bridge.sides[0].gateway.expect("gateway"));
            }
            namespace.route.request(&mut batch).expect("address");
        }
        if case.port {
            self.firewall.publish(&self.element(number)).expect("port");
        }
        namespace
    }

    fn detach(&mut self, number: u32, case: Case) {
        if case.port {
            self.firewall.unpublish(&self.element(number)).expect("port");
        }
    }

    fn element(&self, number: u32) -> Vec<Element> {
        let port = PublishedPort {
            protocol: Transport::Tcp,
            container_port: 80,
            host_ip: "127.0.0.1".parse().expect("ip"),
            host_port: PORTS[1] + number as u16,
            more: 0,
        };
        let std::net::IpAddr::V4(ip) = address(&self.bridges[0], number).addr() else { unreachable!() };
        let target = plan::Target { ip: Some(ip), ..plan::Target::default() };
        plan::elements(&[port], &target, &format!("{number:064x}"))
    }
}

/// Of the upper half of the subnet, where ours do not get.
fn address(bridge: &Segment, number: u32) -> IpNet {
    let std::net::IpAddr::V4(first) = bridge.sides[0].subnet.network() else { unreachable!() };
    let ip = std::net::Ipv4Addr::from(u32::from(first) + 0x8000 + number);
    IpNet::new(ip.into(), bridge.sides[0].subnet.prefix_len()).expect("prefix")
}

fn requests(ids: &[String], number: u32, case: Case) -> Vec<EndpointRequest> {
    let port = PortRequest {
        protocol: Transport::Tcp,
        container_port: 80,
        host_ip: Some("127.0.0.1".parse().expect("ip")),
        host_port: Some(PORTS[0] + number as u16),
        host_port_end: None,
        more: 0,
    };
    let one = |id: &String| EndpointRequest {
        container_id: format!("{number:064x}"),
        network_id: id.clone(),
        ports: if case.port { vec![port.clone()] } else { Vec::new() },
        names: vec![format!("c{number}")],
        ..EndpointRequest::default()
    };
    ids[..case.networks].iter().map(one).collect()
}

/// The default bridge, and one that a person made.
fn networks(network: &Network) -> Vec<String> {
    network.host_gateway().expect("bridge");
    let made = network.create(CreateRequest { name: "one".to_owned(), ..CreateRequest::default() });
    vec![network.state().record.bridge.id.clone(), made.expect("network").id]
}

/// Least and median, in microseconds.
fn least_and_median(mut all: Vec<Duration>) -> [u128; 2] {
    all.sort_unstable();
    [all[0].as_micros(), all[all.len() / 2].as_micros()]
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed())
}

#[test]
fn cost_of_attaching_is_within_twice_the_bare_calls() {
    on_host(|lab: &Lab| {
        let network: Network = lab.network();
        let ids = networks(&network);
        let mut bare = Bare::of(&network, &ids);
        println!(
            "microseconds, least and median of {ROUNDS}: bare attach + detach, ours, ratio of the medians"
        );
        for (networks, port) in [(1, false), (1, true), (2, false), (2, true)] {
            let case = Case { networks, port };
            let mut parts: [Vec<Duration>; 4] = Default::default();
            for round in 0..ROUNDS {
                // On a thread of its own, which the namespace becomes that of; its making is not counted.
                let bare = &mut bare;
                let costs = std::thread::scope(|scope| {
                    let work = move || {
                        let (namespace, attached) = timed(|| bare.attach(round, case));
                        let (_, detached) = timed(|| bare.detach(round, case));
                        drop(namespace);
                        [attached, detached]
                    };
                    scope.spawn(work).join().expect("no panic")
                });
                let requests = requests(&ids, round, case);
                let (attachment, attached) = timed(|| network.attach(&requests).expect("attached"));
                let (_, detached) = timed(|| network.detach(&requests[0].container_id).expect("detached"));
                drop(attachment);
                for (part, cost) in parts.iter_mut().zip(costs.into_iter().chain([attached, detached])) {
                    part.push(cost);
                }
            }
            let [b, bd, a, d] = parts.map(least_and_median);
            let (theirs, ours) = ([b[0] + bd[0], b[1] + bd[1]], [a[0] + d[0], a[1] + d[1]]);
            let ratio = ours[1] as f64 / theirs[1] as f64;
            println!("{case:?}: bare {b:?} + {bd:?}, ours {a:?} + {d:?}: {theirs:?} {ours:?} {ratio:.2}");
            // The least, as everything else on the machine adds to the others.
            assert!(ours[0] <= TIMES * theirs[0], "{case:?}: {ours:?} is more than {TIMES} times {theirs:?}");
        }
        network.teardown().expect("teardown");
    });
}

/// Many at the same time, each on a thread of its own: the kernel does one after another most of what makes an
/// interface, and we must not add to that.
#[test]
fn cost_of_many_at_once_is_within_twice_the_bare_calls() {
    on_host(|lab: &Lab| {
        let network: Network = lab.network();
        let ids = networks(&network);
        let case = Case { networks: 1, port: true };
        let mut parts: [Vec<Duration>; 2] = Default::default();
        for wave in 0..WAVES {
            // Sockets of its own for each, as separate programs would have.
            let mut many: Vec<Bare> = (0..PARALLEL).map(|_| Bare::of(&network, &ids)).collect();
            let (_, theirs) = timed(|| {
                std::thread::scope(|scope| {
                    for (number, bare) in (0..).zip(&mut many) {
                        scope.spawn(move || {
                            let number = wave * PARALLEL + number;
                            let namespace = bare.attach(number, case);
                            bare.detach(number, case);
                            namespace
                        });
                    }
                });
            });
            drop(many);
            let (_, ours) = timed(|| {
                std::thread::scope(|scope| {
                    for number in 0..PARALLEL {
                        let (network, ids) = (&network, &ids);
                        scope.spawn(move || {
                            let requests = requests(ids, wave * PARALLEL + number, case);
                            let attachment = network.attach(&requests).expect("attached");
                            network.detach(&requests[0].container_id).expect("detached");
                            attachment
                        });
                    }
                });
            });
            parts[0].push(theirs);
            parts[1].push(ours);
        }
        let [theirs, ours] = parts.map(least_and_median);
        let ratio = ours[1] as f64 / theirs[1] as f64;
        println!("{PARALLEL} at once: bare {theirs:?}, ours {ours:?}: {ratio:.2}");
        assert!(ours[0] <= TIMES * theirs[0], "{ours:?} is more than {TIMES} times {theirs:?}");
        network.teardown().expect("teardown");
    });
}
