//! Our bytes against an independent reading of the same interface.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourFlags, NeighbourState};
use netlink_packet_route::route::{RouteAddress, RouteAttribute};
use proptest::prelude::*;
use rustix::io::Errno;

use super::reply::{Answer, split};
use super::*;
use crate::endpoint::MacAddr;
use crate::route;

const MAC: MacAddr = MacAddr([2, 0x42, 172, 17, 0, 2]);

/// The messages of a batch as the other library reads them, numbered from 7.
fn read(mut batch: Batch) -> Vec<RouteNetlinkMessage> {
    let count = batch.len();
    let mut bytes = batch.numbered(7);
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes).expect("readable");
        assert_eq!(message.header.sequence_number as usize, 7 + messages.len());
        assert_eq!(message.header.flags & (flag::REQUEST | flag::ACK), flag::REQUEST | flag::ACK);
        bytes = &bytes[align(message.header.length as usize)..];
        let NetlinkPayload::InnerMessage(inner) = message.payload else { panic!("no route message") };
        messages.push(inner);
    }
    assert_eq!(messages.len(), count);
    messages
}

fn link(write: impl FnOnce(&mut Batch)) -> LinkMessage {
    let mut batch = Batch::default();
    write(&mut batch);
    match read(batch).remove(0) {
        RouteNetlinkMessage::NewLink(m)
        | RouteNetlinkMessage::SetLink(m)
        | RouteNetlinkMessage::DelLink(m) => m,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bridge_is_read_as_a_bridge() {
    let message = link(|b| route::push_bridge(b, "berth0", MAC));
    assert_eq!((message.header.flags, message.header.change_mask), (LinkFlags::Up, LinkFlags::Up));
    assert_eq!(
        message.attributes,
        [
            LinkAttribute::IfName("berth0".into()),
            LinkAttribute::Address(MAC.0.to_vec()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
        ]
    );
    let sized = link(|b| route::push_mtu(b, "berth0", 1400));
    assert_eq!(sized.attributes, [LinkAttribute::IfName("berth0".into()), LinkAttribute::Mtu(1400)]);
}

#[test]
fn a_veth_pair_is_read_with_its_peer() {
    let netns = std::fs::File::open("/proc/self/ns/net").expect("netns");
    let pair = route::Veth {
        host_name: "veth0123456789a",
        bridge: 9,
        netns: netns.as_fd(),
        name: "eth0",
        mac: MAC,
        mtu: 1500,
        up: true,
    };
    let message = link(|b| route::push_veth(b, &pair));
    let queues = [LinkAttribute::Mtu(1500), LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];
    let mut peer = LinkMessage::default();
    peer.attributes = vec![
        LinkAttribute::IfName("eth0".into()),
        LinkAttribute::Address(MAC.0.to_vec()),
        LinkAttribute::NetNsFd(netns.as_raw_fd()),
    ];
    peer.attributes.extend(queues.clone());
    let mut expected = vec![LinkAttribute::IfName("veth0123456789a".into()), LinkAttribute::Controller(9)];
    expected.extend(queues);
    expected.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    assert_eq!(message.attributes, expected);
}

#[test]
fn changes_of_links_are_read_as_such() {
    let port = link(|b| route::push_port(b, "v", true, false));
    let settings = vec![InfoBridgePort::HairpinMode(true), InfoBridgePort::Isolated(false)];
    assert_eq!(
        port.attributes[1],
        LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(settings))
        ])
    );
    let up = link(|b| route::push_up(b, 5));
    assert_eq!((up.header.index, up.header.flags, up.header.change_mask), (5, LinkFlags::Up, LinkFlags::Up));
    let plugged = link(|b| route::push_master(b, 5, 9));
    assert_eq!(plugged.attributes, [LinkAttribute::Controller(9)]);
    assert_eq!(link(|b| route::push_delete(b, 5, "v")).header.index, 5);
}

#[test]
fn addresses_routes_and_neighbours_are_read_as_such() {
    let (ip, gateway) = (Ipv4Addr::new(172, 17, 0, 2), Ipv4Addr::new(172, 17, 0, 1));
    let mut batch = Batch::default();
    route::push_address(&mut batch, 2, "172.17.0.2/16".parse().expect("net"));
    route::default_route(&mut batch, 2, gateway.into());
    route::push_forwarding(&mut batch, 8, MAC);
    route::push_neighbour(&mut batch, 3, ip.into(), MAC);
    let mut messages = read(batch).into_iter();
    let Some(RouteNetlinkMessage::NewAddress(address)) = messages.next() else { panic!("no address") };
    assert_eq!((address.header.index, address.header.prefix_len), (2, 16));
    let broadcast = AddressAttribute::Broadcast(Ipv4Addr::new(172, 17, 255, 255));
    let local = [AddressAttribute::Local(ip.into()), AddressAttribute::Address(ip.into()), broadcast];
    assert_eq!(address.attributes, local);
    let Some(RouteNetlinkMessage::NewRoute(default)) = messages.next() else { panic!("no route") };
    let way = [RouteAttribute::Gateway(RouteAddress::Inet(gateway)), RouteAttribute::Oif(2)];
    assert_eq!(
        (default.header.destination_prefix_length, default.attributes.as_slice()),
        (0, way.as_slice())
    );
    let Some(RouteNetlinkMessage::NewNeighbour(entry)) = messages.next() else { panic!("no entry") };
    assert_eq!((entry.header.ifindex, entry.header.state), (8, NeighbourState::Noarp));
    assert_eq!(entry.header.flags, NeighbourFlags::Controller | NeighbourFlags::Sticky);
    assert_eq!(entry.attributes, [NeighbourAttribute::LinkLocalAddress(MAC.0.to_vec())]);
    let Some(RouteNetlinkMessage::NewNeighbour(entry)) = messages.next() else { panic!("no entry") };
    assert_eq!((entry.header.ifindex, entry.header.state), (3, NeighbourState::Stale));
}

#[test]
fn a_refusal_carries_the_kernels_own_words() {
    let mut socket = Socket::open(Protocol::Route).expect("socket");
    let mut batch = Batch::default();
    route::push_bridge(&mut batch, "a name that is too long", MAC);
    let error = socket.request(&mut batch).expect_err("no such name").to_string();
    assert!(error.starts_with("creating bridge a name that is too long: "), "{error}");
    assert!(error.ends_with(" (Attribute failed policy validation)"), "{error}");
}

#[test]
fn explanations_are_found_behind_whole_and_capped_requests() {
    let explained = |flags: u16, echoed: usize| {
        let mut batch = Batch::default();
        batch.push("", MSG_ERROR, 0, |m| {
            m.raw(&(-22i32).to_ne_bytes()).raw(&u32::try_from(16 + echoed).expect("small").to_ne_bytes());
            m.raw(&[0; 12]);
            if flags & flag::CAPPED == 0 {
                m.raw(&vec![0; echoed]);
            }
            m.text(1, "because");
        });
        let mut bytes = batch.numbered(1).to_vec();
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        let (sequence, answer) = split(&bytes).next().expect("one");
        assert_eq!(sequence, 1);
        answer
    };
    let because = Answer::Failed(Errno::INVAL, Some("because".into()));
    assert_eq!(explained(flag::ACK_TLVS, 24), because);
    assert_eq!(explained(flag::ACK_TLVS | flag::CAPPED, 24), because);
    assert_eq!(explained(flag::CAPPED, 24), Answer::Failed(Errno::INVAL, None));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_stumble(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(split(&bytes).count() <= bytes.len() / 16);
        prop_assert!(listener::notices(&bytes).count() <= bytes.len() / 16);
        prop_assert!(attr::iter(&bytes).count() <= bytes.len() / 4 + 1);
    }
}
