//! What each mode lets pass and what not, by packets, with a neighbour on the segment.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::Mutex;

use ipnet::Ipv4Net;
use rustix::io::Errno;

use super::*;
use crate::endpoint::MacAddr;
use crate::lab::{self, HOST, Lab, OUTSIDE};
use crate::netlink::{Batch, Protocol, Socket};
use crate::netns::Namespace;
use crate::route::{self, IpvlanFlag, IpvlanMode, MacvlanMode, Manner};

/// The owner's name on what we make.
const OWNER: &str = "berth-test";
const PORT: u16 = 80;

fn ip(last: u8) -> Ipv4Addr {
    let [a, b, c, _] = HOST.octets();
    Ipv4Addr::new(a, b, c, last)
}

/// The id of an endpoint.
fn endpoint(last: u8) -> String {
    format!("{last:02x}").repeat(32)
}

struct Segment {
    host: Mutex<Socket>,
    parent: route::Link,
    lan: Lan,
}

impl Segment {
    fn on(parent: &Parent, mode: MacvlanMode) -> Self {
        let mut host = Socket::open(Protocol::Route).expect("socket");
        let lan = Lan { parent: parent.clone(), manner: Manner::Macvlan(mode), mtu: None, sides: Vec::new() };
        let parent = ensure(&mut host, OWNER, parent).expect("parent");
        Self { host: Mutex::new(host), parent, lan }
    }

    fn uplink(mode: MacvlanMode) -> Self {
        Self::on(&Parent::Named("up0".to_owned()), mode)
    }

    fn join(&self, namespace: &mut Namespace, last: u8) -> crate::error::Result<()> {
        let (index, mtu) = (self.parent.index, self.parent.mtu);
        let segment = crate::driver::Segment { index, mtu, mac: None, sides: Vec::new() };
        let wanted = crate::bridge::Joined {
            endpoint_id: &endpoint(last),
            host_name: "",
            name: "eth0",
            gateways: vec![OUTSIDE.into()],
            addresses: vec![Ipv4Net::new_assert(ip(last), 24).into()],
            further: Vec::new(),
            mac: MacAddr::from_ipv4(ip(last)),
            isolated: false,
            hairpin: false,
        };
        join(&self.host, &self.lan, &segment, namespace, &wanted)
    }

    fn container(&self, last: u8) -> Namespace {
        let mut namespace = Namespace::new().expect("namespace");
        self.join(&mut namespace, last).expect("joined");
        namespace
    }
}

/// Whether a service of the second is reached from the first, under the address it has there.
fn reaches(from: &Namespace, to: &Namespace, ip: Ipv4Addr) -> bool {
    let _service = lab::serve(&to.fd, PORT);
    lab::call(&from.fd, ip, PORT).is_some()
}

#[test]
fn bridge_joins_containers_and_segment_and_not_the_host() {
    lab::on_host(|lab| {
        let segment = Segment::uplink(MacvlanMode::Bridge);
        let (one, two) = (segment.container(10), segment.container(11));
        assert!(reaches(&one, &two, ip(11)), "container to container");
        assert!(reaches(&one, &lab.outside, OUTSIDE), "container to segment");
        assert!(reaches(&lab.outside, &two, ip(11)), "segment to container");
        // So the kernel has it: a parent does not talk to what stands on it.
        let _service = lab::serve(&one.fd, PORT);
        assert_eq!(lab::call_here(ip(10), PORT), None, "host to container");
        // The service saw who called, not a translated address.
        let _other = lab::serve(&lab.outside.fd, 81);
        assert_eq!(lab::call(&one.fd, OUTSIDE, 81), Some(ip(10).to_string()));
    });
}

#[test]
fn private_keeps_containers_apart_even_when_the_switch_sends_frames_back() {
    lab::on_host(|lab| {
        let segment = Segment::uplink(MacvlanMode::Private);
        let (one, two) = (segment.container(10), segment.container(11));
        assert!(reaches(&one, &lab.outside, OUTSIDE), "container to segment");
        assert!(!reaches(&one, &two, ip(11)), "container to container");
        reflecting(lab);
        assert!(!reaches(&one, &two, ip(11)), "container to container by way of the switch");
    });
}

#[test]
fn vepa_leaves_it_to_the_switch() {
    lab::on_host(|lab| {
        let segment = Segment::uplink(MacvlanMode::Vepa);
        let (one, two) = (segment.container(10), segment.container(11));
        assert!(!reaches(&one, &two, ip(11)), "the switch sends nothing back");
        assert!(reaches(&one, &lab.outside, OUTSIDE), "container to segment");
        reflecting(lab);
        assert!(reaches(&one, &two, ip(11)), "the switch sends it back");
    });
}

#[test]
fn passthru_is_alone_on_its_parent() {
    lab::on_host(|lab| {
        let segment = Segment::uplink(MacvlanMode::Passthru);
        let one = segment.container(10);
        assert!(reaches(&one, &lab.outside, OUTSIDE), "container to segment");
        let mut two = Namespace::new().expect("namespace");
        let error = create_now(&segment, &mut two).expect_err("two on one");
        assert_eq!(error.errno(), Some(Errno::INVAL), "{error}");
        // The former goes with its namespace, some time after it: who comes next waits for that.
        drop(one);
        let next = segment.container(12);
        assert!(reaches(&next, &lab.outside, OUTSIDE), "the next one");
    });
}

/// Without the patience.
fn create_now(segment: &Segment, namespace: &mut Namespace) -> crate::error::Result<()> {
    let mut batch = Batch::default();
    let link = route::Sublink {
        manner: segment.lan.manner,
        parent: segment.parent.index,
        netns: namespace.fd.as_fd(),
        index: 0,
        name: "eth0",
        mac: None,
        mtu: None,
    };
    route::push_sublink(&mut batch, &link);
    segment.host.lock().expect("socket").request(&mut batch).map(drop)
}

#[test]
fn a_container_that_is_started_again_gets_its_address_back() {
    lab::on_host(|lab| {
        let segment = Segment::uplink(MacvlanMode::Bridge);
        for _ in 0..20 {
            let one = segment.container(10);
            assert!(reaches(&lab.outside, &one, ip(10)));
        }
    });
}

#[test]
fn a_vlan_is_made_for_its_first_network_and_parts_its_traffic() {
    lab::on_host(|lab| {
        let mut host = Socket::open(Protocol::Route).expect("socket");
        let parent = Parent::of(Some("up0.50"), "");
        if lacks("VLANs", &parent, "CONFIG_VLAN_8021Q") {
            return;
        }
        let segment = Segment::on(&parent, MacvlanMode::Bridge);
        assert_eq!(segment.parent.kind.as_deref(), Some("vlan"));
        let one = segment.container(10);
        assert!(!reaches(&one, &lab.outside, OUTSIDE), "its frames bear a tag that nobody knows");
        lab::within(&lab.outside.fd, || {
            let mut socket = Socket::open(Protocol::Route).expect("socket");
            let base = route::by_name(&mut socket, "eth0").expect("asked").expect("eth0").index;
            let mut batch = Batch::default();
            route::push_vlan(&mut batch, "eth0.50", base, 50);
            route::push_up_by_name(&mut batch, "eth0.50");
            socket.request(&mut batch).expect("vlan");
            let index = route::by_name(&mut socket, "eth0.50").expect("asked").expect("vlan").index;
            let mut batch = Batch::default();
            // Its answers bear the tag, too: this is the way to the container.
            route::push_address(&mut batch, index, Ipv4Net::new_assert(ip(60), 26).into());
            socket.request(&mut batch).expect("address");
        });
        assert!(reaches(&one, &lab.outside, ip(60)), "with the tag");
        assert!(ensure(&mut host, OWNER, &parent).is_ok(), "it is found again");
        assert_eq!(sweep(&mut host, "somebody", |_| false).expect("swept"), Vec::<String>::new());
        assert_eq!(sweep(&mut host, OWNER, |name| name == "up0.50").expect("swept"), Vec::<String>::new());
        release(&mut host, OWNER, &parent).expect("released");
        release(&mut host, OWNER, &parent).expect("twice");
        assert_eq!(route::by_name(&mut host, "up0.50").expect("asked"), None);
    });
}

#[test]
fn without_a_parent_the_containers_have_each_other_only() {
    lab::on_host(|lab| {
        let mut host = Socket::open(Protocol::Route).expect("socket");
        let parent = Parent::of(None, &"ab".repeat(32));
        if lacks("networks without a parent", &parent, "CONFIG_DUMMY") {
            return;
        }
        let segment = Segment::on(&parent, MacvlanMode::Bridge);
        assert_eq!(segment.parent.name, "dm-abababababab");
        let (one, two) = (segment.container(10), segment.container(11));
        assert!(reaches(&one, &two, ip(11)));
        assert!(!reaches(&one, &lab.outside, OUTSIDE));
        assert_eq!(sweep(&mut host, OWNER, |_| false).expect("swept"), ["dm-abababababab"]);
    });
}

#[test]
fn what_is_the_administrators_stays() {
    lab::on_host(|lab| {
        let mut host = Socket::open(Protocol::Route).expect("socket");
        let mut batch = Batch::default();
        let index = route::by_name(&mut host, "up0").expect("asked").expect("up0").index;
        route::push_sublink(
            &mut batch,
            &route::Sublink {
                manner: Manner::Macvlan(MacvlanMode::Bridge),
                parent: index,
                netns: lab.host.as_fd(),
                index: 0,
                name: "up0.7",
                mac: None,
                mtu: None,
            },
        );
        host.request(&mut batch).expect("an interface of that name");
        let parent = Parent::of(Some("up0.7"), "");
        ensure(&mut host, OWNER, &parent).expect("there");
        release(&mut host, OWNER, &parent).expect("not ours");
        assert_eq!(sweep(&mut host, OWNER, |_| false).expect("swept"), Vec::<String>::new());
        assert!(route::by_name(&mut host, "up0.7").expect("asked").is_some());
        for (missing, why) in
            [("nothing0", "example formatting"), ("nothing0.5", "not found on the host: nothing0")]
        {
            let error =
                ensure(&mut host, OWNER, &Parent::of(Some(missing), "")).expect_err(missing).to_string();
            assert!(error.contains(why), "{error}");
        }
    });
}

#[test]
fn an_interface_leaves_whatever_its_container_calls_it() {
    lab::on_host(|lab| {
        let segment = Segment::uplink(MacvlanMode::Bridge);
        let mut one = Namespace::new().expect("namespace");
        segment.join(&mut one, 10).expect("joined");
        let link = route::by_name(&mut one.route, "eth0").expect("asked").expect("there");
        assert_eq!(link.mac, Some(MacAddr::from_ipv4(ip(10))));
        // Before Linux 6.2 only an interface that is down is renamed.
        route::set_down(&mut one.route, link.index);
        route::rename(&mut one.route, link.index, "hidden0");
        let mut batch = Batch::default();
        route::push_up(&mut batch, link.index);
        one.route.request(&mut batch).expect("up");
        assert!(reaches(&one, &lab.outside, OUTSIDE));
        leave(&mut one, &endpoint(10)).expect("left");
        leave(&mut one, &endpoint(10)).expect("twice");
        assert!(!reaches(&one, &lab.outside, OUTSIDE));
        assert!(route::by_name(&mut one.route, "lo").expect("asked").is_some(), "nothing else went");
    });
}

/// Either the kernel makes them, or it is said what it lacks.
#[test]
fn a_kernel_without_a_kind_of_interface_is_named() {
    let manners = [
        (Manner::Ipvlan(IpvlanMode::L2, IpvlanFlag::Bridge), "CONFIG_IPVLAN"),
        (Manner::Macvlan(MacvlanMode::Bridge), "CONFIG_MACVLAN"),
    ];
    lab::on_host(|_| {
        let mut host = Socket::open(Protocol::Route).expect("socket");
        for (manner, what) in manners {
            let before = route::dump(&mut host).expect("links").len();
            if let Err(error) = probe(&mut host, manner) {
                assert!(error.to_string().contains(what), "{error}");
            }
            assert_eq!(route::dump(&mut host).expect("links").len(), before, "a probe makes nothing");
        }
    });
}

/// Whether the kernel can't make this parent; what it lacks is named then, and nothing left.
fn lacks(test: &str, parent: &Parent, what: &str) -> bool {
    let mut host = Socket::open(Protocol::Route).expect("socket");
    let made = ensure(&mut host, OWNER, parent);
    let Err(error) = made else { return false };
    assert!(error.to_string().contains(what), "{error}");
    assert_eq!(route::by_name(&mut host, parent.name()).expect("asked"), None);
    lab::not_run(test, &format!("this kernel has no {what}"));
    true
}

/// Makes the neighbour a switch that sends frames back where they came from.
fn reflecting(lab: &Lab) {
    lab::within(&lab.outside.fd, || {
        let mut socket = Socket::open(Protocol::Route).expect("socket");
        let port = route::by_name(&mut socket, "eth0").expect("asked").expect("eth0").index;
        let mut batch = Batch::default();
        route::push_bridge(&mut batch, "switch", MacAddr([2, 0, 0, 0, 0, 9]));
        socket.request(&mut batch).expect("bridge");
        let switch = route::by_name(&mut socket, "switch").expect("asked").expect("switch").index;
        let mut batch = Batch::default();
        route::push_address(&mut batch, switch, Ipv4Net::new_assert(OUTSIDE, 24).into());
        route::push_master(&mut batch, port, switch);
        route::push_port(&mut batch, "eth0", true, false);
        socket.request(&mut batch).expect("port");
    });
}
