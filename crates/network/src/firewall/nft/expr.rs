//! Rules as the kernel's expressions: small instructions over registers.

use std::net::Ipv4Addr;

use ipnet::IpNet;

use super::{DATA_VALUE, LIST_ELEM, data};
use crate::endpoint::Protocol;
use crate::firewall::plan::{Action, Family, Map, Match, Rule, UPLINKS, Way};
use crate::netlink::Message;
use crate::route::CLIENTS_MARK;

/// `NFTA_RULE_TABLE`.
pub(super) const RULE_TABLE: u16 = 1;
/// `NFTA_RULE_CHAIN`.
pub(super) const RULE_CHAIN: u16 = 2;
/// `NFTA_RULE_EXPRESSIONS`.
const RULE_EXPRESSIONS: u16 = 4;

/// `NFT_REG_VERDICT`.
const VERDICT: u32 = 0;
/// `NFT_REG_1`: sixteen bytes, of which `NFT_REG32_00` is the first four.
const REG: u32 = 1;
/// `NFT_REG32_00`: the first four bytes of `REG`; the next ones have the next numbers.
const REG32: u32 = 8;

/// `NFT_META_*`.
mod meta {
    pub(super) const MARK: u32 = 3;
    pub(super) const IIFNAME: u32 = 6;
    pub(super) const OIFNAME: u32 = 7;
    pub(super) const NFPROTO: u32 = 15;
    pub(super) const L4PROTO: u32 = 16;
}
/// `NFPROTO_IPV4`.
const IPV4: u8 = 2;
/// `NFPROTO_IPV6`.
const IPV6: u8 = 10;
/// Length of an interface name in a register (`IFNAMSIZ`).
const NAME_LEN: usize = 16;
/// `NFT_PAYLOAD_NETWORK_HEADER`.
const NETWORK_HEADER: u32 = 1;
/// `NFT_PAYLOAD_TRANSPORT_HEADER`.
const TRANSPORT_HEADER: u32 = 2;
/// Offset of the source address in an IPv4 header (RFC 791).
const SOURCE: u32 = 12;
/// Offset of the destination address in an IPv4 header.
const DESTINATION: u32 = 16;
/// Offset of the source address in an IPv6 header (RFC 8200).
const SOURCE6: u32 = 8;
/// Offset of the destination address in an IPv6 header.
const DESTINATION6: u32 = 24;
/// Number of ICMP in an IPv4 header.
const ICMP: u8 = 1;
/// Number of ICMPv6 in an IPv6 header.
const ICMP6: u8 = 58;
/// Offset of the destination port in TCP, UDP and SCTP headers.
const DESTINATION_PORT: u32 = 2;
/// Offset of the source port in TCP, UDP and SCTP headers.
const SOURCE_PORT: u32 = 0;
/// Offset of the checksum in a TCP header.
const TCP_CHECKSUM: u32 = 16;
/// Offset of the checksum in a UDP header.
const UDP_CHECKSUM: u32 = 6;
/// `NFT_PAYLOAD_CSUM_INET`.
const CHECKSUM_INET: u32 = 1;
/// `NFT_CT_STATE`.
const CT_STATE: u32 = 0;
/// `NFT_CT_STATUS`.
const CT_STATUS: u32 = 2;
/// `NFT_CT_MARK`.
const CT_MARK: u32 = 3;
/// `NF_CT_STATE_BIT` of established and related.
const ESTABLISHED_RELATED: u32 = 2 | 4;
/// `IPS_DST_NAT`.
const STATUS_DNAT: u32 = 1 << 5;
/// `NFT_FIB_RESULT_ADDRTYPE`.
const FIB_ADDRTYPE: u32 = 3;
/// `NFTA_FIB_F_DADDR`.
const FIB_DADDR: u32 = 2;
/// `NFTA_FIB_F_SADDR`.
const FIB_SADDR: u32 = 1;
/// `RTN_LOCAL`.
const TYPE_LOCAL: u32 = 2;
/// `NFT_NAT_DNAT`.
const NAT_DNAT: u32 = 1;

/// Comparison of a register (`NFT_CMP_*`).
#[derive(Clone, Copy)]
enum Compare {
    Equal = 0,
    NotEqual = 1,
}

/// Writes the rule's expressions.
pub(super) fn write(m: &mut Message<'_>, rule: &Rule) {
    m.nested(RULE_EXPRESSIONS, |m| {
        if let Some(family) = family(rule) {
            load_meta(m, meta::NFPROTO, REG);
            compare(m, Compare::Equal, &[protocol_family(family)]);
        }
        for each in &rule.matches {
            matching(m, each);
        }
        action(m, rule.action);
    });
}

/// Which end of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    Source,
    Destination,
}

/// Writes a rule that changes the port of packets at this end of theirs.
pub(super) fn divert(
    m: &mut Message<'_>,
    end: Header,
    ip: Ipv4Addr,
    protocol: Protocol,
    (from, to): (u16, u16),
) {
    let (address, port) = match end {
        Header::Source => (SOURCE, SOURCE_PORT),
        Header::Destination => (DESTINATION, DESTINATION_PORT),
    };
    m.nested(RULE_EXPRESSIONS, |m| {
        load_meta(m, meta::NFPROTO, REG);
        compare(m, Compare::Equal, &[IPV4]);
        load_payload(m, NETWORK_HEADER, address, 4, REG);
        compare(m, Compare::Equal, &ip.octets());
        load_meta(m, meta::L4PROTO, REG);
        compare(m, Compare::Equal, &[protocol.number()]);
        load_payload(m, TRANSPORT_HEADER, port, 2, REG);
        compare(m, Compare::Equal, &from.to_be_bytes());
        expression(m, "immediate", |m| {
            m.be32(1, REG);
            data(m, 2, &to.to_be_bytes());
        });
        let checksum = if protocol == Protocol::Udp { UDP_CHECKSUM } else { TCP_CHECKSUM };
        expression(m, "payload", |m| {
            // base, offset, length, source register, kind and place of the checksum
            m.be32(2, TRANSPORT_HEADER).be32(3, port).be32(4, 2).be32(5, REG);
            m.be32(6, CHECKSUM_INET).be32(7, checksum);
        });
    });
}

/// The family whose addresses it looks at: a packet of the other one must not come that far.
fn family(rule: &Rule) -> Option<Family> {
    let of_match = |each: &Match| match each {
        Match::Source(net) | Match::Destination(net) => Some(Family::of(net)),
        Match::Is(family) | Match::Icmp(family) | Match::ToHost(family) | Match::Routed(family, _) => {
            Some(*family)
        }
        _ => None,
    };
    let of_action = || match rule.action {
        Action::To(map) => Some(map.family),
        _ => None,
    };
    rule.matches.iter().find_map(of_match).or_else(of_action)
}

fn protocol_family(family: Family) -> u8 {
    match family {
        Family::V4 => IPV4,
        Family::V6 => IPV6,
    }
}

fn matching(m: &mut Message<'_>, each: &Match) {
    match each {
        Match::In(name) => interface(m, meta::IIFNAME, Compare::Equal, name),
        Match::Out(name) => interface(m, meta::OIFNAME, Compare::Equal, name),
        Match::NotOut(name) => interface(m, meta::OIFNAME, Compare::NotEqual, name),
        Match::InUplink(family) => uplink(m, meta::IIFNAME, *family),
        Match::OutUplink(family) => uplink(m, meta::OIFNAME, *family),
        Match::Source(net) => subnet(m, Header::Source, net),
        Match::Destination(net) => subnet(m, Header::Destination, net),
        // Looked at before all else.
        Match::Is(_) => {}
        Match::Icmp(family) => {
            load_meta(m, meta::L4PROTO, REG);
            compare(m, Compare::Equal, &[if *family == Family::V4 { ICMP } else { ICMP6 }]);
        }
        Match::ToHost(_) => {
            address_type(m, FIB_DADDR);
            compare(m, Compare::Equal, &TYPE_LOCAL.to_ne_bytes());
        }
        Match::FromElsewhere => {
            address_type(m, FIB_SADDR);
            compare(m, Compare::NotEqual, &TYPE_LOCAL.to_ne_bytes());
        }
        Match::OfClient => {
            expression(m, "ct", |m| {
                m.be32(1, REG).be32(2, CT_MARK);
            });
            compare(m, Compare::Equal, &CLIENTS_MARK.to_ne_bytes());
        }
        Match::Routed(family, scope) => {
            let set = Map { way: Way::Routed, scope: *scope, family: *family };
            load_key(m, set);
            expression(m, "lookup", |m| {
                m.text(1, &set.name()).be32(2, REG);
            });
        }
        Match::Established => connection(m, CT_STATE, ESTABLISHED_RELATED),
        Match::Published => connection(m, CT_STATUS, STATUS_DNAT),
    }
}

fn action(m: &mut Message<'_>, action: Action) {
    match action {
        Action::Accept => verdict(m, 1),
        Action::Drop => verdict(m, 0),
        Action::Masquerade => expression(m, "masq", |_| {}),
        Action::To(map) => translate(m, map),
        Action::MarkConnection => {
            load_mark(m);
            expression(m, "ct", |m| {
                // key, source register
                m.be32(2, CT_MARK).be32(4, REG);
            });
        }
        Action::Mark => {
            load_mark(m);
            expression(m, "meta", |m| {
                // key, source register
                m.be32(2, meta::MARK).be32(3, REG);
            });
        }
    }
}

/// Loads what kind of address the packet's source or destination is.
fn address_type(m: &mut Message<'_>, which: u32) {
    expression(m, "fib", |m| {
        m.be32(1, REG).be32(2, FIB_ADDRTYPE).be32(3, which);
    });
}

fn load_mark(m: &mut Message<'_>) {
    expression(m, "immediate", |m| {
        m.be32(1, REG);
        data(m, 2, &CLIENTS_MARK.to_ne_bytes());
    });
}

/// Looks a packet up in a map, and sends it where that says.
fn translate(m: &mut Message<'_>, map: Map) {
    load_key(m, map);
    expression(m, "lookup", |m| {
        m.text(1, &map.name()).be32(2, REG).be32(3, REG);
    });
    expression(m, "nat", |m| {
        // type, family, register of the address, register of the port
        m.be32(1, NAT_DNAT).be32(2, u32::from(protocol_family(map.family))).be32(3, REG);
        if !map.scope.ranges() {
            m.be32(5, REG32 + registers(map.family));
        }
    });
}

/// Loads what a map's keys hold: the destination address if it is in them, the protocol, the port.
fn load_key(m: &mut Message<'_>, map: Map) {
    let mut register = REG32;
    if map.scope.here() {
        let (offset, len) = address(map.family, Header::Destination);
        load_payload(m, NETWORK_HEADER, offset, len, REG);
        register += registers(map.family);
    }
    let first = if register == REG32 { REG } else { register };
    load_meta(m, meta::L4PROTO, first);
    load_payload(m, TRANSPORT_HEADER, DESTINATION_PORT, 2, register + 1);
}

/// Four-byte registers that an address fills.
fn registers(family: Family) -> u32 {
    address(family, Header::Source).1 / 4
}

/// Offset and length of an address.
fn address(family: Family, end: Header) -> (u32, u32) {
    match (family, end) {
        (Family::V4, Header::Source) => (SOURCE, 4),
        (Family::V4, Header::Destination) => (DESTINATION, 4),
        (Family::V6, Header::Source) => (SOURCE6, 16),
        (Family::V6, Header::Destination) => (DESTINATION6, 16),
    }
}

fn interface(m: &mut Message<'_>, key: u32, how: Compare, name: &str) {
    load_meta(m, key, REG);
    compare(m, how, &padded(name));
}

/// An interface's name as registers hold it.
pub(super) fn padded(name: &str) -> [u8; NAME_LEN] {
    let mut padded = [0; NAME_LEN];
    let len = name.len().min(NAME_LEN - 1);
    padded[..len].copy_from_slice(&name.as_bytes()[..len]);
    padded
}

fn uplink(m: &mut Message<'_>, key: u32, family: Family) {
    load_meta(m, key, REG);
    expression(m, "lookup", |m| {
        m.text(1, UPLINKS[family.index()]).be32(2, REG);
    });
}

fn subnet(m: &mut Message<'_>, end: Header, net: &IpNet) {
    let (offset, len) = address(Family::of(net), end);
    load_payload(m, NETWORK_HEADER, offset, len, REG);
    match net {
        IpNet::V4(net) => {
            mask(m, &net.netmask().octets());
            compare(m, Compare::Equal, &net.network().octets());
        }
        IpNet::V6(net) => {
            mask(m, &net.netmask().octets());
            compare(m, Compare::Equal, &net.network().octets());
        }
    }
}

/// Whether any of these bits of the connection is set.
fn connection(m: &mut Message<'_>, key: u32, bits: u32) {
    expression(m, "ct", |m| {
        m.be32(1, REG).be32(2, key);
    });
    mask(m, &bits.to_ne_bytes());
    compare(m, Compare::NotEqual, &[0; 4]);
}

fn load_meta(m: &mut Message<'_>, key: u32, register: u32) {
    expression(m, "meta", |m| {
        m.be32(1, register).be32(2, key);
    });
}

fn load_payload(m: &mut Message<'_>, base: u32, offset: u32, len: u32, register: u32) {
    expression(m, "payload", |m| {
        m.be32(1, register).be32(2, base).be32(3, offset).be32(4, len);
    });
}

fn compare(m: &mut Message<'_>, how: Compare, value: &[u8]) {
    expression(m, "cmp", |m| {
        m.be32(1, REG).be32(2, how as u32);
        data(m, 3, value);
    });
}

fn mask<const N: usize>(m: &mut Message<'_>, mask: &[u8; N]) {
    // The length of an address at most.
    const LONGEST: usize = 16;
    let len = N.min(LONGEST);
    expression(m, "bitwise", |m| {
        // source register, destination register, length, mask, xor
        m.be32(1, REG).be32(2, REG).be32(3, u32::try_from(len).unwrap_or(0));
        data(m, 4, &mask[..len]);
        data(m, 5, &[0; LONGEST][..len]);
    });
}

/// `NFTA_IMMEDIATE_DREG`, `NFTA_IMMEDIATE_DATA` with `NFTA_DATA_VERDICT` with `NFTA_VERDICT_CODE`.
fn verdict(m: &mut Message<'_>, code: u32) {
    const DATA_VERDICT: u16 = DATA_VALUE + 1;
    expression(m, "immediate", |m| {
        m.be32(1, VERDICT).nested(2, |m| {
            m.nested(DATA_VERDICT, |m| {
                m.be32(1, code);
            });
        });
    });
}

/// `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`.
fn expression(m: &mut Message<'_>, name: &str, fill: impl FnOnce(&mut Message<'_>)) {
    m.nested(LIST_ELEM, |m| {
        m.text(1, name).nested(2, fill);
    });
}
