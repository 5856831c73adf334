//! Networks that are encrypted between machines. Those tests that need WireGuard say so where the kernel
//! has none, and what a kernel without it refuses is tested there.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use ipnet::IpNet;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

use super::super::*;
use super::tests::{Container, Machine, host, machines, peer, reaches, shared};
use crate::endpoint::EndpointRequest;
use crate::lab::{call, call_udp, not_run, serve, serve_udp, within};
use crate::netlink::Batch;
use crate::netns::Namespace;
use crate::overlay::{Host, Hosts, OverlayNetwork};
use crate::{route, wireguard};

/// What no packet on the wire may contain: the first container's address, which the other one answers with.
const MARKER: &str = "10.89.0.11";
/// The first machine's device.
const DEVICE: &str = "wg-0abcdef0";
/// The hardware address of the switch between the machines.
const SWITCH: [u8; 6] = [0x0e, 0, 0, 0, 0, 9];
/// The first machine's address in IPv6, where it has one, and somebody's on the wire.
const HERE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const OUTSIDE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);
const WIREGUARD: [u8; 2] = 51820u16.to_be_bytes();
/// The number of this network in a VXLAN header.
const VNI: u32 = 77;

fn secret() -> OverlayNetwork {
    let mut network = OverlayNetwork { id: "6b".repeat(32), name: "secret".into(), vni: VNI, ..shared() };
    network.subnets[0].subnet = "10.89.0.0/24".parse().expect("net");
    network.subnets[0].gateway = Ipv4Addr::new(10, 89, 0, 1).into();
    network.encrypted = true;
    network
}

fn request(last: u8) -> EndpointRequest {
    EndpointRequest {
        container_id: format!("{last:02x}").repeat(32),
        network_id: secret().id,
        ip: Some(Ipv4Addr::new(10, 89, 0, last)),
        ..EndpointRequest::default()
    }
}

fn container(machine: &Machine, last: u8) -> Container {
    let attachment = machine.within(|network| network.attach(&[request(last)]).expect("attached"));
    let endpoint = attachment.endpoints.into_iter().next().expect("one");
    Container { netns: attachment.netns, endpoint }
}

fn kernel_has_it() -> bool {
    Keys::open(tempfile::tempdir().expect("tempdir").path()).expect("asked").is_some()
}

/// Whether the kernel has WireGuard; says so if not, as then `test` tests nothing.
fn has_wireguard(test: &str) -> bool {
    let has = kernel_has_it();
    if !has {
        not_run(test, "this kernel has no WireGuard");
    }
    has
}

fn keyed(machine: &Machine) -> Host {
    Host { wg_key: machine.within(|network| network.wireguard_key().expect("key")), ..host(machine.number) }
}

/// Tells all of them of each other.
fn acquaint(all: &[&Machine], entries: &[Host]) {
    for machine in all {
        let own = format!("host{}", machine.number);
        let (own, others) = entries.iter().cloned().partition::<Vec<_>, _>(|host| host.id == own);
        let hosts = Hosts { own: own.into_iter().next(), others };
        machine.within(|network| network.set_hosts(&hosts).expect("hosts"));
    }
}

/// Everything that passes the interfaces of a namespace.
struct Tap(OwnedFd);

impl Tap {
    fn on(netns: &impl AsFd) -> Self {
        let every = std::num::NonZeroU32::new(u32::from(0x0003_u16.to_be())).expect("ETH_P_ALL");
        let every = rustix::net::Protocol::from_raw(every);
        let open = || {
            rustix::net::socket_with(
                AddressFamily::PACKET,
                SocketType::RAW,
                SocketFlags::CLOEXEC,
                Some(every),
            )
            .expect("packet socket")
        };
        Self(within(netns, open))
    }

    fn frames(&self) -> Vec<Vec<u8>> {
        let (mut seen, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        while let Ok((len, _)) = rustix::net::recv(&self.0, buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
            seen.push(buffer[..len].to_vec());
        }
        seen
    }
}

/// Whether a frame is a WireGuard packet over IPv4, from and to its port.
fn is_wireguard(frame: &[u8]) -> bool {
    let udp = frame.len() > 42 && frame[12..14] == [8, 0] && frame[14] == 0x45 && frame[23] == 17;
    udp && frame[34..36] == WIREGUARD && frame[36..38] == WIREGUARD
}

/// Whether it is one of those by which hosts find each other (ARP), tell a switch what they listen to (IGMP, MLD),
/// and look whether an address of theirs is another's (a question from nobody) or there is a router; or the
/// switch's own.
fn is_housekeeping(frame: &[u8]) -> bool {
    let arp = frame[12..14] == [8, 6];
    let igmp = frame[12..14] == [8, 0] && frame[23] == 2;
    let six = frame.len() > 54 && frame[12..14] == [0x86, 0xdd];
    let mld = six && frame[20] == 0;
    let looks = six && frame[20] == 58 && (frame[54] == 133 || frame[54] == 135 && frame[22..38] == [0; 16]);
    arp || igmp || mld || looks || frame[6..12] == SWITCH
}

/// Gives an interface of this thread's namespace an IPv6 address, and perhaps a way to everywhere.
fn six(name: &str, ip: Ipv6Addr, gateway: Option<Ipv6Addr>) {
    std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "0").expect("IPv6");
    let mut socket = Socket::open(Protocol::Route).expect("socket");
    let index = socket.index_of(name).expect("link");
    let mut batch = Batch::default();
    route::push_address(&mut batch, index, IpNet::new(ip.into(), 64).expect("net"));
    if let Some(gateway) = gateway {
        route::default_route(&mut batch, index, gateway.into());
    }
    socket.request(&mut batch).expect("address");
}

fn contains(frame: &[u8], what: &[u8]) -> bool {
    frame.windows(what.len()).any(|window| window == what)
}

fn entries(machine: &Machine) -> Vec<Option<IpAddr>> {
    machine.within(|_| {
        let mut socket = Socket::open(Protocol::Route).expect("socket");
        let tunnel = socket.index_of(&format!("vx-{}", &secret().id[..12])).expect("tunnel");
        route::forwarding(&mut socket, tunnel).expect("read").tunnels.into_iter().map(|(_, to)| to).collect()
    })
}

#[test]
fn a_kernel_without_wireguard_refuses_by_name() {
    if kernel_has_it() {
        not_run("a_kernel_without_wireguard_refuses_by_name", "this kernel has WireGuard");
        return;
    }
    let (_fabric, [a]) = machines();
    a.network.define_overlay(&secret()).expect("another host's");
    assert_eq!(a.within(|network| network.wireguard_key().expect("asked")), None);
    let error = a.within(|network| network.attach(&[request(11)]).expect_err("refused").to_string());
    assert!(error.contains("secret") && error.contains("--opt encrypted"), "{error}");
    assert!(error.contains("WireGuard"), "{error}");
    assert_eq!(a.links(), [""; 0], "nothing was made");
    a.within(|network| network.forget_overlay(&secret().id).expect("forgotten"));
}

/// Two machines with a container each on an encrypted network, and somebody who listens between them.
struct Pair {
    a: Machine,
    b: Machine,
    one: Container,
    two: Container,
    hosts: [Host; 2],
    tap: Tap,
    _fabric: Namespace,
}

impl Pair {
    fn new() -> Self {
        let (fabric, [a, b]) = machines();
        for machine in [&a, &b] {
            machine.network.define_overlay(&secret()).expect("defined");
        }
        let hosts = [keyed(&a), keyed(&b)];
        acquaint(&[&a, &b], &hosts);
        assert!(a.links().is_empty(), "a network that nobody has joined costs no link: {:?}", a.links());
        let tap = Tap::on(&fabric.fd);
        let [one, two] = [container(&a, 11), container(&b, 12)];
        let id = secret().id;
        a.within(|network| network.replace_peers(&id, &[peer(2, &two.endpoint)]).expect("peers"));
        b.within(|network| network.replace_peers(&id, &[peer(1, &one.endpoint)]).expect("peers"));
        let pair = Self { a, b, one, two, hosts, tap, _fabric: fabric };
        assert!(reaches(&pair.one, &pair.two) && reaches(&pair.two, &pair.one));
        pair
    }

    /// The first machine's daemon dies, and the next one finds its container.
    fn restarted(self) -> Self {
        let Self { a, one, .. } = self;
        let a = a.restarted();
        a.within(|network| {
            network.adopt(&"0b".repeat(32), std::slice::from_ref(&one.endpoint)).expect("adopted");
            let live = HashSet::from(["0b".repeat(32)]);
            assert_eq!(network.sweep(&live).expect("swept"), SweepReport::default());
        });
        Self { a, one, ..self }
    }

    fn told_all(&self) {
        acquaint(&[&self.a], &self.hosts);
        let peers = [peer(2, &self.two.endpoint)];
        self.a.within(|network| network.replace_peers(&secret().id, &peers).expect("peers"));
    }

    /// Nothing was on the wire since the last time but WireGuard, of which there were so many packets.
    fn only_wireguard(&self) -> usize {
        let (passed, other): (Vec<_>, Vec<_>) =
            self.tap.frames().into_iter().partition(|frame| is_wireguard(frame));
        other.iter().for_each(|frame| assert!(is_housekeeping(frame), "{frame:02x?}"));
        let plain = passed.iter().any(|frame| contains(frame, MARKER.as_bytes()));
        assert!(!plain, "in the clear");
        passed.len()
    }

    fn end(&self) {
        for (machine, container) in [(&self.a, "0b"), (&self.b, "0c")] {
            machine.within(|network| network.detach(&container.repeat(32)).expect("detached"));
            machine.within(|network| network.forget_overlay(&secret().id).expect("forgotten"));
            assert!(machine.links().iter().all(|link| link.starts_with("veth")), "{:?}", machine.links());
        }
    }
}

#[test]
fn what_passes_between_machines_is_encrypted_and_nothing_else_passes() {
    if !has_wireguard("what_passes_between_machines_is_encrypted_and_nothing_else_passes") {
        return;
    }
    let pair = Pair::new();
    assert!(pair.hosts[0].wg_key.is_some() && pair.hosts[0].wg_key != pair.hosts[1].wg_key);
    // Each connection, and this answer, carries the marker.
    let served = serve_udp(&pair.two.netns, 53);
    assert_eq!(call_udp(&pair.one.netns, pair.two.endpoint.v4(), 53).as_deref(), Some(MARKER));
    drop(served);
    assert!(pair.only_wireguard() > 10);
    // The largest packet goes through without being taken apart.
    pair.a.within(|_| {
        let mut socket = Socket::open(Protocol::Route).expect("socket");
        let links = route::dump(&mut socket).expect("links");
        let mtu = |name: &str| links.iter().find(|link| link.name == name).expect("link").mtu;
        assert_eq!((mtu(DEVICE), mtu(&format!("br-{}", &secret().id[..12]))), (1440, 1370));
    });
    pair.end();
}

#[test]
fn another_daemon_takes_over_what_is_encrypted_and_interrupts_nothing() {
    if !has_wireguard("another_daemon_takes_over_what_is_encrypted_and_interrupts_nothing") {
        return;
    }
    let pair = Pair::new();
    let before = pair.a.links();
    let pair = pair.restarted();
    assert_eq!(pair.a.links(), before);
    assert!(reaches(&pair.one, &pair.two), "nobody has been told anything yet");
    assert_eq!(keyed(&pair.a), pair.hosts[0], "the same key");
    pair.told_all();
    assert!(reaches(&pair.one, &pair.two));
    assert!(pair.only_wireguard() > 10);
    pair.end();
}

#[test]
fn where_there_is_no_encrypted_way_there_is_none() {
    if !has_wireguard("where_there_is_no_encrypted_way_there_is_none") {
        return;
    }
    let pair = Pair::new();
    let [own, other] = pair.hosts.clone();
    // A host that has no key, or another's, is not reached, and neither is one that is gone.
    let others = [Host { wg_key: None, ..other.clone() }, Host { wg_key: own.wg_key, ..other.clone() }];
    for other in others.into_iter().map(Some).chain([None]) {
        let known: Vec<_> = [Some(own.clone()), other].into_iter().flatten().collect();
        acquaint(&[&pair.a], &known);
        assert!(entries(&pair.a).is_empty(), "{known:?}");
        assert!(!reaches(&pair.one, &pair.two));
    }
    acquaint(&[&pair.a], &pair.hosts);
    assert_eq!(entries(&pair.a), [Some(wireguard::address(&other.wg_key.expect("key")).into())]);
    assert!(reaches(&pair.one, &pair.two));
    // The device is down, then gone, and there is a way in the clear to everywhere.
    pair.a.within(|_| six("eth0", HERE, Some(OUTSIDE)));
    pair.a.within(|_| {
        let mut socket = Socket::open(Protocol::Route).expect("socket");
        let index = socket.index_of(DEVICE).expect("device");
        route::set_down(&mut socket, index);
    });
    assert!(!reaches(&pair.one, &pair.two));
    pair.a.within(|_| {
        let mut socket = Socket::open(Protocol::Route).expect("socket");
        assert!(wireguard::remove(&mut socket, "berth-0abcdef0", DEVICE).expect("removed"));
    });
    assert!(!reaches(&pair.one, &pair.two));
    pair.only_wireguard();
    // The next daemon mends it.
    let pair = pair.restarted();
    pair.told_all();
    assert!(reaches(&pair.one, &pair.two));
    pair.only_wireguard();
    pair.end();
}

#[test]
fn packets_in_the_clear_do_not_enter_an_encrypted_network() {
    if !has_wireguard("packets_in_the_clear_do_not_enter_an_encrypted_network") {
        return;
    }
    let (fabric, [a]) = machines();
    // Both kinds of networks go over IPv6, through one socket.
    a.within(|_| six("eth0", HERE, None));
    within(&fabric.fd, || six("br0", OUTSIDE, None));
    let own = Host { vtep: HERE.into(), ..keyed(&a) };
    acquaint(&[&a], &[own]);
    a.network.define_overlay(&secret()).expect("defined");
    let [secret, open] = [container(&a, 11), a.container(12, &[])];
    // Somebody on the wire speaks VXLAN to this host.
    let inside = [&secret, &open].map(|container| Tap::on(&container.netns));
    let send = |vni: u32, to: &Container| {
        let mut packet = vec![8, 0, 0, 0];
        packet.extend_from_slice(&(vni << 8).to_be_bytes());
        packet.extend_from_slice(&to.endpoint.mac.0);
        packet.extend_from_slice(&[0x0e, 9, 9, 9, 9, 9, 0x88, 0xb5]);
        packet.extend_from_slice(b"forged in the clear, long enough for a frame to be whole");
        within(&fabric.fd, || {
            let socket = UdpSocket::bind((OUTSIDE, 0)).expect("bind");
            socket.send_to(&packet, (HERE, 4789)).expect("sent");
        });
    };
    let heard = |tap: &Tap| tap.frames().iter().any(|frame| contains(frame, b"forged"));
    // What was sent before has arrived when an answer comes.
    let served = serve(&a.host.fd, 8080);
    send(VNI, &secret);
    send(shared().vni, &open);
    assert!(call(&fabric.fd, HERE, 8080).is_some());
    drop(served);
    assert_eq!(inside.each_ref().map(heard), [false, true], "the open one shows that it could have");
    a.within(|network| {
        network.detach(&"0b".repeat(32)).expect("detached");
        network.detach(&"0c".repeat(32)).expect("detached");
        network.teardown().expect("torn down");
    });
    assert!(a.links().iter().all(|link| link.starts_with("veth")), "{:?}", a.links());
}
