//! Cost of an attachment beside the bare system calls it cannot do without, interleaved; figures by
//! `cargo test -p network --release -- --nocapture attach_cost`.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::Network;
use crate::bridge;
use crate::driver::Segment;
use crate::endpoint::{EndpointRequest, MacAddr};
use crate::lab::{Lab, on_host};
use crate::netlink::{Batch, Protocol, Socket};
use crate::netns::Namespace;
use crate::route::{self, Veth};

const ROUNDS: u32 = 60;

fn bare(host: &mut Socket, bridge: &Segment, round: u32) -> (Namespace, [Duration; 3]) {
    let start = Instant::now();
    let mut namespace = Namespace::unshare().expect("namespace");
    let made = start.elapsed();
    let mut batch = Batch::default();
    route::push_veth(
        &mut batch,
        &Veth {
            host_name: &format!("vbare{round}"),
            bridge: bridge.index,
            netns: namespace.fd.as_fd(),
            name: "eth0",
            mac: MacAddr([2, 0x42, 172, 17, 0, 9]),
            mtu: bridge.mtu,
        },
    );
    host.request(&mut batch).expect("veth");
    let paired = start.elapsed();
    let index = namespace.route.index_of("eth0").expect("eth0");
    let mut batch = Batch::default();
    route::push_up(&mut batch, index);
    route::push_address(&mut batch, index, "172.17.0.9/16".parse().expect("net"));
    route::default_route(&mut batch, index, bridge.sides[0].gateway.expect("gateway"));
    namespace.route.request(&mut batch).expect("address");
    (namespace, [made, paired - made, start.elapsed() - paired])
}

/// Least and median, in microseconds.
fn least_and_median(mut all: Vec<Duration>) -> [u128; 2] {
    all.sort_unstable();
    [all[0].as_micros(), all[all.len() / 2].as_micros()]
}

#[test]
fn attach_cost_is_within_twice_the_bare_calls() {
    on_host(|lab: &Lab| {
        let network: Network = lab.network();
        network.host_gateway().expect("bridge");
        let mut host = Socket::open(Protocol::Route).expect("socket");
        let bridge = bridge::ensure(&mut host, "berth", &lab.config().bridge, &[], None).expect("bridge");
        let mut parts: [Vec<Duration>; 5] = Default::default();
        for round in 0..ROUNDS {
            let (namespace, cost) =
                std::thread::scope(|s| s.spawn(|| bare(&mut host, &bridge, round)).join().expect("no panic"));
            for (part, cost) in parts.iter_mut().zip(cost) {
                part.push(cost);
            }
            drop(namespace);
            let request =
                EndpointRequest { container_id: format!("{round:064x}"), ..EndpointRequest::default() };
            let start = Instant::now();
            let attachment = network.attach_bridge(&request).expect("attached");
            parts[3].push(start.elapsed());
            let start = Instant::now();
            network.detach(&request.container_id).expect("detached");
            parts[4].push(start.elapsed());
            drop(attachment);
        }
        let [made, paired, addressed, attached, detached] = parts.map(least_and_median);
        let bare = [0, 1].map(|n| made[n] + paired[n] + addressed[n]);
        println!("microseconds, least and median of {ROUNDS}:");
        println!("bare: namespace {made:?} + veth {paired:?} + addresses {addressed:?} = {bare:?}");
        println!("attach_bridge {attached:?}, detach {detached:?}");
        // The least, as everything else on the machine adds to the others.
        assert!(attached[0] <= 2 * bare[0]);
        network.teardown().expect("teardown");
    });
}
