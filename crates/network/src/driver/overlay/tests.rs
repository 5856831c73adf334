//! Three machines on a switch, each a network namespace with a container in another one. What travels
//! between them is looked at on the switch's side of their cables.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

use super::kernel::{ensure, remove};
use super::{Bounds, Tables, Tunnel, apply, read, sweep};
use crate::endpoint::MacAddr;
use crate::lab::{assign, cable, call, call_udp, serve, switch, within};
use crate::netlink::{Batch, Socket};
use crate::netns::Namespace;
use crate::overlay::Peer;
use crate::route::{self, Vxlan};

const VNI: u32 = 4097;
const PORT: u16 = 4789;
const OWNER: &str = "berth-lab";
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 9, 1);
const GATEWAY_MAC: MacAddr = MacAddr([0x0e, 1, 2, 3, 4, 5]);

/// A machine with one container, on a switch with the others.
struct Machine {
    host: Namespace,
    container: Namespace,
    number: u8,
    vtep: IpAddr,
    tunnel: Tunnel,
    known: Tables,
}

fn bridge(socket: &mut Socket, mac: MacAddr) -> u32 {
    let mut batch = Batch::default();
    route::push_bridge(&mut batch, "br0", mac);
    socket.request(&mut batch).expect("bridge");
    socket.index_of("br0").expect("bridge")
}

fn device(vtep: IpAddr) -> Vxlan {
    Vxlan { vni: VNI, local: vtep, port: PORT, via: None }
}

impl Machine {
    fn new(switch: &mut Namespace, number: u8) -> Self {
        let mut host = Namespace::new().expect("these tests need root");
        let mut container = Namespace::new().expect("namespace");
        let vtep = Ipv4Addr::new(192, 0, 2, number);
        let fabric = switch.route.index_of("br0").expect("switch");
        cable(&mut switch.route, &format!("port{number}"), fabric, &mut host, vtep);
        let br0 = bridge(&mut host.route, GATEWAY_MAC);
        assign(&mut host.route, "br0", GATEWAY);
        cable(&mut host.route, "veth0", br0, &mut container, Ipv4Addr::new(10, 0, 9, 10 + number));
        let tunnel =
            ensure(&mut host.route, OWNER, "vx-lab", br0, 1450, &device(vtep.into())).expect("tunnel");
        Self { host, container, number, vtep: vtep.into(), tunnel, known: Tables::default() }
    }

    fn peer(&self) -> Peer {
        let ip = Ipv4Addr::new(10, 0, 9, 10 + self.number);
        let host_id = self.number.to_string();
        Peer {
            endpoint_id: host_id.clone(),
            host_id,
            ip: Some(ip),
            ip6: None,
            mac: MacAddr::from_ipv4(ip),
            names: Vec::new(),
        }
    }

    fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 9, 10 + self.number)
    }

    fn wanted(others: &[(Peer, IpAddr)]) -> Tables {
        let vteps: HashMap<_, _> = others.iter().map(|(peer, vtep)| (peer.host_id.as_str(), *vtep)).collect();
        let subnets = vec!["10.0.9.0/24".parse().expect("net")];
        let bounds = Bounds { subnets, ips: [GATEWAY.into()].into(), macs: [GATEWAY_MAC].into() };
        Tables::wanted(others.iter().map(|(peer, _)| peer), &vteps, &bounds)
    }

    fn told(&mut self, others: &[(Peer, IpAddr)]) {
        let changes = self.known.changes(&Self::wanted(others), false);
        apply(&mut self.host.route, self.tunnel, &mut self.known, &changes).expect("told");
        assert_eq!(read(&mut self.host.route, self.tunnel).expect("read"), self.known);
    }
}

fn three() -> (Namespace, [Machine; 3]) {
    let mut switch = switch();
    let machines = [1, 2, 3].map(|number| Machine::new(&mut switch, number));
    (switch, machines)
}

fn tell_all(machines: &mut [Machine]) {
    let all: Vec<_> = machines.iter().map(|machine| (machine.number, machine.peer(), machine.vtep)).collect();
    for machine in machines {
        let others = all.iter().filter(|(number, ..)| *number != machine.number);
        machine.told(&others.map(|(_, peer, vtep)| (peer.clone(), *vtep)).collect::<Vec<_>>());
    }
}

/// Everything that passes the interfaces of a namespace.
struct Tap(OwnedFd);

impl Tap {
    fn on(netns: &impl AsFd) -> Self {
        let every = std::num::NonZeroU32::new(u32::from(0x0003_u16.to_be())).expect("ETH_P_ALL");
        Self(within(netns, || {
            let every = rustix::net::Protocol::from_raw(every);
            rustix::net::socket_with(
                AddressFamily::PACKET,
                SocketType::RAW,
                SocketFlags::CLOEXEC,
                Some(every),
            )
            .expect("packet socket")
        }))
    }

    /// Outer destination and inner frame of every VXLAN packet so far.
    fn tunnelled(&self) -> Vec<(Ipv4Addr, Vec<u8>)> {
        let (mut seen, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        while let Ok((len, _)) = rustix::net::recv(&self.0, buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
            let frame = &buffer[..len];
            let udp = len > 50 && frame[12..14] == [8, 0] && frame[23] == 17;
            if udp && frame[36..38] == PORT.to_be_bytes() {
                let to = Ipv4Addr::new(frame[30], frame[31], frame[32], frame[33]);
                seen.push((to, frame[50..].to_vec()));
            }
        }
        seen
    }
}

#[test]
fn containers_of_three_machines_reach_each_other() {
    let (_switch, mut machines) = three();
    tell_all(&mut machines);
    let served: Vec<_> = machines.iter().map(|machine| serve(&machine.container.fd, 80)).collect();
    for from in &machines {
        for to in machines.iter().filter(|to| to.number != from.number) {
            let seen = call(&from.container.fd, to.address(), 80);
            assert_eq!(seen, Some(from.address().to_string()), "{} to {}", from.number, to.number);
        }
    }
    drop(served);
}

#[test]
fn nothing_leaves_that_is_for_nobody_known() {
    let (switch, mut machines) = three();
    tell_all(&mut machines);
    let tap = Tap::on(&switch.fd);
    let [a, b, _] = &machines;
    // Questions for an address that nobody has, for the gateway, broadcasts and multicasts.
    within(&a.container.fd, || {
        let socket = UdpSocket::bind("0.0.0.0:0").expect("socket");
        socket.set_broadcast(true).expect("broadcast");
        for to in ["10.0.9.99:9", "10.0.9.1:9", "10.0.9.255:9", "255.255.255.255:9"] {
            // 255.255.255.255 needs a route, which this container lacks
            let _ = socket.send_to(b"lost", to);
        }
    });
    // When this has come through, so would have what was sent before.
    let served = crate::lab::serve_udp(&b.container.fd, 53);
    assert_eq!(call_udp(&a.container.fd, b.address(), 53), Some(a.address().to_string()));
    drop(served);
    // The container goes on asking whose 10.0.9.99 is for some seconds.
    let deadline = Instant::now() + Duration::from_millis(1500);
    let mut seen = tap.tunnelled();
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        let mut polled = [rustix::event::PollFd::new(&tap.0, rustix::event::PollFlags::IN)];
        let _ = rustix::event::poll(&mut polled, Some(&timeout));
        seen.extend(tap.tunnelled());
    }
    assert!(!seen.is_empty(), "the talk of two containers is seen");
    for (to, inner) in &seen {
        assert!(
            *to == Ipv4Addr::new(192, 0, 2, 1) || *to == Ipv4Addr::new(192, 0, 2, 2),
            "{to}: {inner:02x?}"
        );
        assert_eq!(inner[12..14], [8, 0], "no ARP in the tunnel: {inner:02x?}");
        assert_eq!(inner[0] & 1, 0, "no group in the tunnel: {inner:02x?}");
    }
}

#[test]
fn who_has_gone_is_reached_no_more_and_entries_outlive_who_made_them() {
    let (_switch, mut machines) = three();
    tell_all(&mut machines);
    let [a, b, c] = &mut machines;
    let served = [serve(&b.container.fd, 80), serve(&c.container.fd, 80)];
    a.told(&[(c.peer(), c.vtep)]);
    assert_eq!(call(&a.container.fd, b.address(), 80), None);
    assert!(call(&a.container.fd, c.address(), 80).is_some());
    // Another daemon finds what is there, changes nothing of it, and takes over.
    let mtu = 1450;
    let again = ensure(&mut a.host.route, OWNER, "vx-lab", a.tunnel.bridge, mtu, &device(a.vtep));
    assert_eq!(again.expect("found"), a.tunnel);
    let found = read(&mut a.host.route, a.tunnel).expect("read");
    assert_eq!(found, a.known);
    assert_eq!(found.changes(&Machine::wanted(&[(c.peer(), c.vtep)]), false), []);
    // One whose address has changed is another device.
    let moved = device(Ipv4Addr::new(192, 0, 2, 77).into());
    let other = ensure(&mut a.host.route, OWNER, "vx-lab", a.tunnel.bridge, mtu, &moved).expect("made");
    assert_ne!(other.index, a.tunnel.index);
    assert!(read(&mut a.host.route, other).expect("read").tunnels.is_empty());
    drop(served);
}

#[test]
fn tunnels_are_swept_by_what_is_written_on_them() {
    let (_switch, [mut a, ..]) = three();
    assert_eq!(sweep(&mut a.host.route, OWNER, |name| name == "vx-lab").expect("kept"), [""; 0]);
    assert_eq!(sweep(&mut a.host.route, "somebody", |_| false).expect("not ours"), [""; 0]);
    assert_eq!(sweep(&mut a.host.route, OWNER, |_| false).expect("swept"), ["vx-lab"]);
    remove(&mut a.host.route, "vx-lab").expect("gone already");
    let (bridge, device) = (a.tunnel.bridge, device(a.vtep));
    ensure(&mut a.host.route, OWNER, "vx-1", bridge, 1450, &device).expect("made");
    let error = ensure(&mut a.host.route, OWNER, "vx-2", bridge, 1450, &device).expect_err("the same number");
    assert!(error.to_string().contains("number 4097"), "{error}");
    let error = ensure(&mut a.host.route, OWNER, "veth0", bridge, 1450, &device).expect_err("somebody's");
    assert!(error.to_string().contains("veth0 exists"), "{error}");
}
