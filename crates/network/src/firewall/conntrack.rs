//! Forgetting flows that were tracked under other rules.
//!
//! Where a UDP flow goes is decided by its first packet. A client that sent to a port before it was
//! published, or while another container had it, would go on reaching nobody for as long as it
//! keeps sending. TCP connections end with their container, and what is remembered of them goes with its
//! address: the kernel would keep it for minutes, for days if their end was not seen.
//!
//! Kernels before 6.8 take a filter for a tuple that lacks something (EINVAL): there, flows are listed and forgotten one
//! by one.

use std::collections::HashSet;
use std::net::IpAddr;

use rustix::io::Errno;

use crate::endpoint::{Protocol, PublishedPort};
use crate::error::Result;
use crate::netlink::{Batch, Message, Socket, attr, flag};

/// `IPCTNL_MSG_CT_GET` of `NFNL_SUBSYS_CTNETLINK`.
const GET: u16 = (1 << 8) | 1;
/// `IPCTNL_MSG_CT_DELETE`.
const DELETE: u16 = (1 << 8) | 2;
/// `AF_INET`.
const IPV4: u8 = 2;
/// `AF_INET6`.
const IPV6: u8 = 10;
/// Length of `struct nfgenmsg`.
const HEADER_LEN: usize = 4;
/// `CTA_TUPLE_ORIG`.
const TUPLE_ORIG: u16 = 1;
/// `CTA_TUPLE_REPLY`.
const TUPLE_REPLY: u16 = 2;
/// `CTA_TUPLE_IP`.
const TUPLE_IP: u16 = 1;
/// `CTA_IP_V4_SRC`.
const IPV4_SOURCE: u16 = 1;
/// `CTA_IP_V6_SRC`.
const IPV6_SOURCE: u16 = 3;
/// `CTA_TUPLE_PROTO`.
const TUPLE_PROTO: u16 = 2;
/// `CTA_PROTO_NUM`.
const PROTO_NUM: u16 = 1;
/// `CTA_PROTO_DST_PORT`.
const PROTO_DST_PORT: u16 = 3;
/// `CTA_ID`.
const ID: u16 = 12;
/// `CTA_FILTER`.
const FILTER: u16 = 25;
/// `CTA_FILTER_ORIG_FLAGS`: which parts of the tuple count.
const FILTER_ORIG_FLAGS: u16 = 1;
/// `CTA_FILTER_REPLY_FLAGS`.
const FILTER_REPLY_FLAGS: u16 = 2;
/// The source address counts.
const BY_SOURCE: u32 = 1;
/// The protocol counts.
const BY_PROTOCOL: u32 = 1 << 3;
/// Protocol and destination port count.
const BY_PORT: u32 = BY_PROTOCOL | (1 << 5);

/// Ports whose flows the kernel is asked to find, each time going through all flows. Beyond it we go through them
/// ourselves, once.
const MAX_PORTS: usize = 16;

/// Forgets the flows to these host ports, as far as they are UDP.
pub(super) fn forget(socket: &mut Socket, ports: &[PublishedPort]) -> Result<()> {
    for family in [IPV4, IPV6] {
        let of_family = |port: &PublishedPort| match port.host_ip {
            IpAddr::V4(_) => family == IPV4,
            IpAddr::V6(_) => family == IPV6,
        };
        let udp = ports.iter().filter(|port| port.protocol == Protocol::Udp && of_family(port));
        let ports: HashSet<u16> = udp.flat_map(|port| port.host_port..=port.last()).collect();
        if ports.len() > MAX_PORTS {
            forget_many(socket, family, &ports)?;
        } else {
            forget_few(socket, family, &ports)?;
        }
    }
    Ok(())
}

/// Forgets the flows that came from these addresses, and those that were answered from them.
pub(super) fn forget_addresses(socket: &mut Socket, addresses: &[IpAddr]) -> Result<()> {
    let mut batch = Batch::default();
    for ip in addresses {
        for (tuple, flags) in [(TUPLE_ORIG, FILTER_ORIG_FLAGS), (TUPLE_REPLY, FILTER_REPLY_FLAGS)] {
            batch.push(format!("forgetting flows of {ip}"), DELETE, flag::ACK, |m| {
                m.raw(&header(if ip.is_ipv4() { IPV4 } else { IPV6 }));
                m.nested(tuple, |m| {
                    m.nested(TUPLE_IP, |m| {
                        match ip {
                            IpAddr::V4(ip) => m.bytes(IPV4_SOURCE, &ip.octets()),
                            IpAddr::V6(ip) => m.bytes(IPV6_SOURCE, &ip.octets()),
                        };
                    });
                });
                m.nested(FILTER, |m| {
                    m.u32(flags, BY_SOURCE);
                });
            });
        }
    }
    match socket.request(&mut batch) {
        Err(error) if error.errno() == Some(Errno::INVAL) => {}
        result => return result.map(|_| ()),
    }
    for family in [IPV4, IPV6] {
        let of_family = |ip: &&IpAddr| ip.is_ipv4() == (family == IPV4);
        let sources: Vec<Vec<u8>> = addresses.iter().filter(of_family).map(octets).collect();
        if !sources.is_empty() {
            forget_listed(socket, family, |_| (), |attributes| has_source(attributes, &sources))?;
        }
    }
    Ok(())
}

fn octets(ip: &IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn forget_few(socket: &mut Socket, family: u8, ports: &HashSet<u16>) -> Result<()> {
    let mut batch = Batch::default();
    for port in ports {
        batch.push(format!("forgetting flows to port {port}/udp"), DELETE, flag::ACK, |m| {
            m.raw(&header(family));
            filter(m, Some(*port));
        });
    }
    match socket.request(&mut batch) {
        Err(error) if error.errno() == Some(Errno::INVAL) => forget_many(socket, family, ports),
        result => result.map(|_| ()),
    }
}

fn forget_many(socket: &mut Socket, family: u8, ports: &HashSet<u16>) -> Result<()> {
    if ports.is_empty() {
        return Ok(());
    }
    forget_listed(socket, family, |m| filter(m, None), |attributes| is_to_port(attributes, ports))
}

/// Goes through the flows of a family, those that `narrow` lets the kernel pick, and forgets those that are `wanted` by
/// their attributes.
fn forget_listed(
    socket: &mut Socket,
    family: u8,
    narrow: impl FnOnce(&mut Message<'_>),
    wanted: impl Fn(&[u8]) -> bool,
) -> Result<()> {
    let mut batch = Batch::default();
    batch.push("listing flows", GET, flag::DUMP, |m| {
        m.raw(&header(family));
        narrow(m);
    });
    let flows = socket.request(&mut batch)?;
    let mut batch = Batch::default();
    let attributes = flows.iter().filter_map(|flow| flow.payload.get(HEADER_LEN..));
    for flow in attributes.filter(|attributes| wanted(attributes)) {
        let (Some(tuple), Some(id)) = (attr::find(flow, TUPLE_ORIG), attr::find(flow, ID)) else { continue };
        batch.push("forgetting a flow", DELETE, flag::ACK, |m| {
            m.raw(&header(family)).nested(TUPLE_ORIG, |m| {
                m.raw(tuple);
            });
            m.bytes(ID, id);
        });
    }
    match socket.request(&mut batch) {
        // It has ended in the meantime.
        Err(error) if error.errno() == Some(Errno::NOENT) => Ok(()),
        result => result.map(|_| ()),
    }
}

/// Whether a flow is of UDP, and its first packet went to one of these ports.
fn is_to_port(attributes: &[u8], ports: &HashSet<u16>) -> bool {
    let protocol = attr::find(attributes, TUPLE_ORIG).and_then(|tuple| attr::find(tuple, TUPLE_PROTO));
    let port = protocol.and_then(|protocol| attr::find(protocol, PROTO_DST_PORT)?.first_chunk::<2>());
    let number = protocol.and_then(|protocol| attr::find(protocol, PROTO_NUM)?.first());
    number == Some(&Protocol::Udp.number())
        && port.is_some_and(|port| ports.contains(&u16::from_be_bytes(*port)))
}

/// Whether a flow, or what answers it, comes from one of these addresses.
fn has_source(attributes: &[u8], sources: &[Vec<u8>]) -> bool {
    [TUPLE_ORIG, TUPLE_REPLY].into_iter().any(|tuple| {
        let ip = attr::find(attributes, tuple).and_then(|tuple| attr::find(tuple, TUPLE_IP));
        let source = ip.and_then(|ip| attr::find(ip, IPV4_SOURCE).or_else(|| attr::find(ip, IPV6_SOURCE)));
        source.is_some_and(|source| sources.iter().any(|wanted| wanted == source))
    })
}

fn filter(m: &mut Message<'_>, port: Option<u16>) {
    m.nested(TUPLE_ORIG, |m| {
        m.nested(TUPLE_PROTO, |m| {
            m.u8(PROTO_NUM, Protocol::Udp.number());
            if let Some(port) = port {
                m.bytes(PROTO_DST_PORT, &port.to_be_bytes());
            }
        });
    });
    m.nested(FILTER, |m| {
        m.u32(FILTER_ORIG_FLAGS, if port.is_some() { BY_PORT } else { BY_PROTOCOL });
    });
}

/// `struct nfgenmsg`: family, version, resource.
fn header(family: u8) -> [u8; HEADER_LEN] {
    [family, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::lab::{HOST, OUTSIDE, call_udp, on_host, serve_udp};
    use crate::netlink::Protocol as Netlink;

    /// Addresses and ports of the UDP flows that the host tracks.
    fn tracked() -> Vec<String> {
        let text = std::fs::read_to_string("/proc/thread-self/net/nf_conntrack").expect("flows");
        text.lines().filter(|line| line.contains(" udp ")).map(str::to_owned).collect()
    }

    /// As it is done where the kernel cannot pick them.
    #[test]
    fn listed_flows_are_forgotten_one_by_one_and_others_stay() {
        on_host(|lab| {
            let rules = "add table inet t; add chain inet t c { type filter hook output priority 0; }; \
                         add rule inet t c ct state new accept";
            let made = Command::new("/usr/sbin/nft").arg(rules).status().expect("these tests need nft");
            assert!(made.success());
            let servers = [serve_udp(&lab.outside.fd, 5301), serve_udp(&lab.outside.fd, 5302)];
            for port in [5301, 5302] {
                assert!(call_udp(&lab.host, OUTSIDE, port).is_some());
            }
            assert_eq!(tracked().len(), 2, "{:?}", tracked());
            let mut socket = Socket::open(Netlink::Netfilter).expect("socket");
            forget_many(&mut socket, IPV4, &HashSet::from([5301])).expect("forgotten");
            assert!(tracked().len() == 1 && tracked()[0].contains("dport=5302"), "{:?}", tracked());
            let forget = |socket: &mut Socket, ip: IpAddr| {
                forget_listed(socket, IPV4, |_| (), |flow| has_source(flow, &[octets(&ip)]))
                    .expect("forgotten");
            };
            forget(&mut socket, "192.0.2.1".parse().expect("an address"));
            assert_eq!(tracked().len(), 1, "{:?}", tracked());
            // what answered it
            forget(&mut socket, OUTSIDE.into());
            assert!(tracked().is_empty(), "{:?}", tracked());
            assert!(call_udp(&lab.host, OUTSIDE, 5302).is_some());
            forget(&mut socket, HOST.into());
            assert!(tracked().is_empty(), "{:?}", tracked());
            drop(servers);
        });
    }
}
