//! Three machines, each with a [`Network`] of its own, that share one network, with packets.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;

use super::super::*;
use crate::dns::Verdict;
use crate::endpoint::{Attachment, Endpoint, EndpointRequest, MacAddr};
use crate::lab::{cable, call, serve, switch, within};
use crate::netns::Namespace;
use crate::overlay::{Host, Hosts, OverlayNetwork, OverlaySubnet, Peer, PeerChange};
use crate::route;

/// A machine on the switch.
pub(super) struct Machine {
    pub(super) host: Namespace,
    pub(super) network: Network,
    pub(super) dir: tempfile::TempDir,
    pub(super) number: u8,
}

/// A container on one of them.
pub(super) struct Container {
    pub(super) netns: OwnedFd,
    pub(super) endpoint: Endpoint,
}

pub(super) fn shared() -> OverlayNetwork {
    OverlayNetwork {
        id: "5a".repeat(32),
        name: "wide".to_owned(),
        created_ms: 7,
        vni: 4097,
        mtu: None,
        encrypted: false,
        subnets: vec![OverlaySubnet {
            subnet: "10.88.0.0/24".parse().expect("net"),
            ip_range: None,
            gateway: Ipv4Addr::new(10, 88, 0, 1).into(),
            aux: BTreeMap::new(),
        }],
        internal: false,
        attachable: true,
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
        subnet_chosen: false,
    }
}

pub(super) fn vtep(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

pub(super) fn host(number: u8) -> Host {
    Host { id: format!("host{number}"), vtep: vtep(number), wg_key: None }
}

pub(super) fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 88, 0, last)
}

pub(super) fn peer(number: u8, endpoint: &Endpoint) -> Peer {
    Peer {
        endpoint_id: endpoint.id.clone(),
        host_id: format!("host{number}"),
        ip: endpoint.ip,
        ip6: None,
        mac: endpoint.mac,
        names: endpoint.names.clone(),
    }
}

impl Machine {
    pub(super) fn new(fabric: &mut Namespace, number: u8) -> Self {
        let mut host = Namespace::new().expect("these tests need root");
        let name = format!("port{number}");
        let on = fabric.route.index_of("br0").expect("switch");
        cable(&mut fabric.route, &name, on, &mut host, Ipv4Addr::new(192, 0, 2, number));
        let dir = tempfile::tempdir().expect("tempdir");
        let config = Config::new(Some("0abcdef0".to_owned()), dir.path().join("network"));
        let network = within(&host.fd, || Network::open(config).expect("network"));
        Self { host, network, dir, number }
    }

    pub(super) fn within<T: Send>(&self, work: impl FnOnce(&Network) -> T + Send) -> T {
        within(&self.host.fd, || work(&self.network))
    }

    pub(super) fn told(&self, machines: &[u8]) {
        let others = machines.iter().filter(|number| **number != self.number).map(|number| host(*number));
        let hosts = Hosts { own: Some(host(self.number)), others: others.collect() };
        self.within(|network| network.set_hosts(&hosts).expect("hosts"));
    }

    pub(super) fn container(&self, last: u8, names: &[&str]) -> Container {
        let request = EndpointRequest {
            container_id: format!("{last:02x}").repeat(32),
            network_id: shared().id,
            ip: Some(ip(last)),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..EndpointRequest::default()
        };
        let Attachment { netns, endpoints, .. } =
            self.within(|network| network.attach(&[request]).expect("attached"));
        Container { netns, endpoint: endpoints.into_iter().next().expect("one") }
    }

    pub(super) fn links(&self) -> Vec<String> {
        let mut links = self.within(|_| {
            let mut socket = Socket::open(Protocol::Route).expect("socket");
            route::dump(&mut socket).expect("links")
        });
        links.retain(|link| link.name != "lo" && link.name != "eth0");
        links.into_iter().map(|link| link.name).collect()
    }

    /// What a container here is told of a name: the addresses of an answer, sorted.
    fn addresses(&self, of: u8, name: &str) -> Vec<Ipv4Addr> {
        let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(u8::try_from(label.len()).expect("short"));
            query.extend_from_slice(label.as_bytes());
        }
        query.extend_from_slice(&[0, 0, 1, 0, 1]);
        let asked = self.network.answer(&format!("{of:02x}").repeat(32), &query, 0, false);
        let Verdict::Answer(answer) = asked else { return Vec::new() };
        let count = usize::from(answer[7]);
        let tail = &answer[answer.len() - 16 * count..];
        let mut found: Vec<_> = tail.chunks(16).map(|a| Ipv4Addr::new(a[12], a[13], a[14], a[15])).collect();
        found.sort();
        found
    }

    pub(super) fn restarted(self) -> Self {
        let config = Config::new(Some("0abcdef0".to_owned()), self.dir.path().join("network"));
        drop(self.network);
        let network = within(&self.host.fd, || Network::open(config).expect("network"));
        Self { network, ..self }
    }
}

pub(super) fn machines<const N: usize>() -> (Namespace, [Machine; N]) {
    let mut fabric = switch();
    let mut number = 0;
    let machines = [(); N].map(|()| {
        number += 1;
        Machine::new(&mut fabric, number)
    });
    for machine in &machines {
        machine.network.define_overlay(&shared()).expect("defined");
        machine.told(&(1..=number).collect::<Vec<_>>());
    }
    (fabric, machines)
}

pub(super) fn reaches(from: &Container, to: &Container) -> bool {
    let service = serve(&to.netns, 80);
    let seen = call(&from.netns, to.endpoint.v4(), 80);
    drop(service);
    seen.is_some_and(|seen| seen == from.endpoint.v4().to_string())
}

#[test]
fn containers_of_three_machines_reach_and_name_each_other_until_they_go() {
    let (_fabric, [a, b, c]) = machines();
    assert_eq!(a.links(), [""; 0], "a network that nobody has joined costs no link");
    let [one, two, three] =
        [a.container(11, &["one", "svc"]), b.container(12, &["two", "svc"]), c.container(13, &["three"])];
    let id = shared().id;
    let peers = [peer(1, &one.endpoint), peer(2, &two.endpoint), peer(3, &three.endpoint)];
    for machine in [&a, &b, &c] {
        let others = peers.iter().filter(|peer| peer.host_id != format!("host{}", machine.number));
        let others: Vec<_> = others.cloned().collect();
        machine.within(|network| network.replace_peers(&id, &others).expect("peers"));
    }
    assert!(reaches(&one, &two) && reaches(&two, &three) && reaches(&three, &one));
    assert_eq!(a.addresses(11, "three"), [ip(13)]);
    assert_eq!(a.addresses(11, "three.wide"), [ip(13)]);
    assert_eq!(a.addresses(11, "svc"), [ip(11), ip(12)], "round robin over machines");
    // One goes, one changes its name, one moves.
    let renamed = Peer { names: vec!["drei".to_owned()], ..peers[2].clone() };
    let changes = [PeerChange::Remove(peers[1].endpoint_id.clone()), PeerChange::Upsert(renamed)];
    a.within(|network| network.set_peers(&id, &changes).expect("changed"));
    assert!(!reaches(&one, &two) && reaches(&one, &three));
    assert_eq!((a.addresses(11, "two"), a.addresses(11, "three")), (vec![], vec![]));
    assert_eq!(a.addresses(11, "drei"), [ip(13)]);
    // A machine goes: what is on it is not reached, and comes back with it.
    a.told(&[1, 2]);
    assert!(!reaches(&one, &three));
    a.told(&[1, 2, 3]);
    assert!(reaches(&one, &three));
    for machine in [&a, &b, &c] {
        let error = machine.within(|network| network.forget_overlay(&id)).expect_err("in use").to_string();
        assert!(error.contains("active endpoints"), "{error}");
        let container = format!("{:02x}", 10 + machine.number).repeat(32);
        machine.within(|network| network.detach(&container).expect("detached"));
        machine.within(|network| network.forget_overlay(&id).expect("forgotten"));
        machine.within(|network| network.forget_overlay(&id).expect("twice"));
        assert!(machine.links().iter().all(|link| link.starts_with("veth")), "{:?}", machine.links());
        assert!(machine.network.overlays().is_empty());
    }
}

#[test]
fn a_daemon_that_starts_again_finds_the_kernel_as_it_was_and_mends_what_differs() {
    let (_fabric, [a, b]) = machines();
    let id = shared().id;
    let [one, two] = [a.container(11, &["one"]), b.container(12, &["two"])];
    let gone = Peer { ip: Some(ip(77)), mac: MacAddr::from_ipv4(ip(77)), ..peer(2, &two.endpoint) };
    let gone = Peer { endpoint_id: "9".repeat(64), ..gone };
    let stays = peer(2, &two.endpoint);
    a.within(|network| network.replace_peers(&id, &[stays.clone(), gone.clone()]).expect("peers"));
    b.within(|network| network.replace_peers(&id, &[peer(1, &one.endpoint)]).expect("peers"));
    assert!(reaches(&one, &two));
    let before = a.links();

    let a = a.restarted();
    assert_eq!(a.network.overlays(), [shared()], "from the record");
    let live = HashSet::from(["0b".repeat(32)]);
    a.within(|network| {
        network.adopt(&"0b".repeat(32), std::slice::from_ref(&one.endpoint)).expect("adopted");
        assert_eq!(network.sweep(&live).expect("swept"), SweepReport::default());
    });
    assert_eq!(a.links(), before);
    assert!(reaches(&one, &two), "nobody has been told anything yet");
    // The store is away: what little is known takes nothing from the kernel.
    a.told(&[1, 2]);
    a.within(|network| network.set_peers(&id, &[PeerChange::Upsert(stays.clone())]).expect("peers"));
    assert!(reaches(&one, &two));
    let known = |a: &Machine| {
        a.within(|_| {
            let mut socket = Socket::open(Protocol::Route).expect("socket");
            let tunnel = socket.index_of(&format!("vx-{}", &id[..12])).expect("tunnel");
            let bridge = socket.index_of(&format!("br-{}", &id[..12])).expect("bridge");
            let far = route::forwarding(&mut socket, tunnel).expect("read");
            let near = route::far_neighbours(&mut socket, bridge).expect("read");
            // Where bridges know of VLANs, each stands there for each of them.
            let behind: std::collections::BTreeSet<_> = far.behind.into_iter().collect();
            (far.tunnels.len(), behind.len(), near.len())
        })
    };
    assert_eq!(known(&a), (2, 2, 2));
    // It is back: who is gone goes.
    a.within(|network| network.replace_peers(&id, std::slice::from_ref(&stays)).expect("peers"));
    assert_eq!(known(&a), (1, 1, 1));
    assert!(reaches(&one, &two));

    // A network that is forgotten while the daemon is away is swept with its tunnel.
    a.within(|network| network.detach(&"0b".repeat(32)).expect("detached"));
    std::fs::remove_dir_all(a.dir.path().join("network/user")).expect("records");
    let a = a.restarted();
    let swept = a.within(|network| network.sweep(&HashSet::new()).expect("swept"));
    assert_eq!(swept.bridges.len(), 2, "{swept:?}");
    assert!(a.links().iter().all(|link| link.starts_with("veth")), "{:?}", a.links());
}

#[test]
fn what_the_store_says_is_checked() {
    let (_fabric, [a]) = machines();
    let refused = |change: fn(&mut OverlayNetwork)| {
        let mut network = OverlayNetwork { id: "77".repeat(32), name: "other".into(), vni: 9, ..shared() };
        network.subnets[0].subnet = "10.89.0.0/24".parse().expect("net");
        network.subnets[0].gateway = Ipv4Addr::new(10, 89, 0, 1).into();
        change(&mut network);
        a.network.define_overlay(&network).map(|info| info.name).map_err(|error| error.to_string())
    };
    assert_eq!(refused(|_| {}), Ok("other".to_owned()));
    for (what, change) in [
        ("its id", (|n| n.id = "../../etc".to_owned()) as fn(&mut OverlayNetwork)),
        ("its id", |n| n.id = "AB".repeat(32)),
        ("its number", |n| n.vni = 0),
        ("its number", |n| n.vni = 1 << 24),
        ("invalid MTU", |n| n.mtu = Some(1)),
        ("one subnet", |n| n.subnets.clear()),
        ("one subnet", |n| n.subnets.extend(n.subnets.clone())),
        ("its subnet", |n| n.subnets[0].gateway = Ipv4Addr::new(10, 1, 2, 3).into()),
        ("its subnet", |n| n.subnets[0].gateway = Ipv4Addr::new(10, 89, 0, 255).into()),
        ("predefined", |n| (n.id, n.name) = ("78".repeat(32), "bridge".to_owned())),
        ("already exists", |n| (n.id, n.name) = ("78".repeat(32), "wide".to_owned())),
        ("overlaps", |n| (n.id, n.name) = ("78".repeat(32), "third".to_owned())),
        ("same bridge name", |n| {
            (n.id, n.name) = (format!("{}{}", "77".repeat(6), "1".repeat(52)), "third".into())
        }),
        ("colour", |n| drop(n.options.insert("colour".into(), "red".into()))),
    ] {
        let error = refused(change).expect_err(what);
        assert!(error.contains(what), "{what}: {error}");
    }
    let error = a.network.set_peers(&"99".repeat(32), &[]).expect_err("unknown").to_string();
    assert!(error.contains("not found"), "{error}");
    // A peer that claims to be the gateway, a container here, or somebody outside, is nobody.
    let one = a.container(11, &["one"]);
    let claim = |last: u8, mac: MacAddr| {
        let names = vec!["thief".to_owned(), "x".repeat(300)];
        let endpoint_id = format!("{last:02x}").repeat(32);
        Peer { endpoint_id, host_id: "host2".into(), ip: Some(ip(last)), ip6: None, mac, names }
    };
    a.told(&[1, 2]);
    let peers = [claim(1, MacAddr([2, 0, 0, 0, 0, 1])), claim(11, one.endpoint.mac)];
    a.within(|network| network.replace_peers(&shared().id, &peers).expect("told"));
    assert_eq!(a.addresses(11, "thief"), [Ipv4Addr::UNSPECIFIED; 0]);
    assert_eq!(a.addresses(11, "one"), [ip(11)]);
    a.within(|network| {
        let mut socket = Socket::open(Protocol::Route).expect("socket");
        let tunnel = socket.index_of(&format!("vx-{}", &shared().id[..12])).expect("tunnel");
        assert!(route::forwarding(&mut socket, tunnel).expect("read").tunnels.is_empty());
        network.detach(&"0b".repeat(32)).expect("detached");
        network.teardown().expect("torn down");
    });
    assert!(a.links().iter().all(|link| link.starts_with("veth")), "{:?}", a.links());
}
