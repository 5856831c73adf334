//! Forgetting flows that were tracked under other rules.
//!
//! Where a UDP flow goes is decided by its first packet. A client that sent to a port before it was
//! published, or while another container had it, would go on reaching nobody for as long as it
//! keeps sending. TCP needs no such help: its connections end with their container.

use crate::endpoint::{Protocol, PublishedPort};
use crate::error::Result;
use crate::netlink::{Batch, Socket, flag};

/// `IPCTNL_MSG_CT_DELETE` of `NFNL_SUBSYS_CTNETLINK`.
const DELETE: u16 = (1 << 8) | 2;
/// `AF_INET`, version, resource.
const HEADER: [u8; 4] = [2, 0, 0, 0];
/// `CTA_TUPLE_ORIG`.
const TUPLE_ORIG: u16 = 1;
/// `CTA_TUPLE_PROTO`.
const TUPLE_PROTO: u16 = 2;
/// `CTA_PROTO_NUM`.
const PROTO_NUM: u16 = 1;
/// `CTA_PROTO_DST_PORT`.
const PROTO_DST_PORT: u16 = 3;
/// `CTA_FILTER`.
const FILTER: u16 = 25;
/// `CTA_FILTER_ORIG_FLAGS`: which parts of the tuple count.
const FILTER_ORIG_FLAGS: u16 = 1;
/// Protocol and destination port count.
const BY_PORT: u32 = (1 << 3) | (1 << 5);

/// Ports whose flows are forgotten at most; each makes the kernel go through all flows.
const MAX_PORTS: usize = 64;

/// Forgets the flows to these host ports, as far as they are UDP.
pub(super) fn forget(socket: &mut Socket, ports: &[PublishedPort]) -> Result<()> {
    let mut batch = Batch::default();
    for port in ports.iter().filter(|p| p.protocol == Protocol::Udp).take(MAX_PORTS) {
        let action = format!("forgetting flows to port {}/{}", port.host_port, port.protocol);
        batch.push(action, DELETE, flag::ACK, |m| {
            m.raw(&HEADER).nested(TUPLE_ORIG, |m| {
                m.nested(TUPLE_PROTO, |m| {
                    m.u8(PROTO_NUM, port.protocol.number());
                    m.bytes(PROTO_DST_PORT, &port.host_port.to_be_bytes());
                });
            });
            m.nested(FILTER, |m| {
                m.u32(FILTER_ORIG_FLAGS, BY_PORT);
            });
        });
    }
    socket.request(&mut batch).map(|_| ())
}
