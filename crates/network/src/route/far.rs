//! Who is behind a tunnel: three kinds of entries that the kernel is given and that never age.
//!
//! The bridge knows that a hardware address is behind its tunnel port, the tunnel to which machine
//! that is, and the bridge's neighbour table which address is whose, so that it answers questions
//! for them in their stead.

use std::net::IpAddr;

use super::address::{address, family, octets};
use super::kind::{DELNEIGH, GETNEIGH, NEWNEIGH};
use super::neighbour::{BRIDGE, DESTINATION, LINK_ADDRESS, MASTER, header};
use super::{INET, INET6};
use crate::endpoint::MacAddr;
use crate::error::Result;
use crate::netlink::{Batch, Reply, Socket, attr, flag};

/// `NTF_SELF`: the interface's own table.
const SELF: u8 = 0x02;
/// `NUD_PERMANENT`.
const PERMANENT: u16 = 0x80;
/// `NDA_IFINDEX`.
const IFINDEX: u16 = 8;
/// `NDA_MASTER`.
const NDA_MASTER: u16 = 9;
/// Length of `struct ndmsg`.
const NDMSG_LEN: usize = 12;
/// `AF_BRIDGE`, in `struct ifinfomsg`: a dump of forwarding entries takes that for its header.
const IFINFOMSG_LEN: usize = 16;

/// What a tunnel's and its bridge's forwarding tables say.
#[derive(Debug, Default)]
pub(crate) struct Forwarding {
    /// The tunnel's: hardware address → the machine that it is on. `None`: to more than one.
    pub(crate) tunnels: Vec<(MacAddr, Option<IpAddr>)>,
    /// The bridge's: hardware addresses behind the tunnel.
    pub(crate) behind: Vec<MacAddr>,
}

/// Tells the tunnel on which machine `mac` is, and through which interface alone that is reached, if it matters.
pub(crate) fn push_far(batch: &mut Batch, tunnel: u32, mac: MacAddr, vtep: IpAddr, via: Option<u32>) {
    let action = format!("telling the tunnel that {mac} is on {vtep}");
    batch.push(action, NEWNEIGH, flag::ACK | flag::CREATE | flag::REPLACE, |m| {
        let (bytes, len) = octets(vtep);
        m.raw(&header(BRIDGE, tunnel, PERMANENT, SELF)).bytes(LINK_ADDRESS, &mac.0);
        m.bytes(DESTINATION, &bytes[..len]);
        if let Some(via) = via {
            m.u32(IFINDEX, via);
        }
    });
}

/// Takes `mac` out of the tunnel's table.
pub(crate) fn push_no_far(batch: &mut Batch, tunnel: u32, mac: MacAddr) {
    batch.push(format!("forgetting {mac} in the tunnel"), DELNEIGH, flag::ACK, |m| {
        m.raw(&header(BRIDGE, tunnel, 0, SELF)).bytes(LINK_ADDRESS, &mac.0);
    });
}

/// Takes `mac` out of the bridge's table, if it is behind this port there.
pub(crate) fn push_no_forwarding(batch: &mut Batch, port: u32, mac: MacAddr) {
    batch.push(format!("forgetting {mac} behind its bridge port"), DELNEIGH, flag::ACK, |m| {
        m.raw(&header(BRIDGE, port, 0, MASTER)).bytes(LINK_ADDRESS, &mac.0);
    });
}

/// Tells the bridge for good that `ip` has the hardware address `mac`.
pub(crate) fn push_far_neighbour(batch: &mut Batch, bridge: u32, ip: IpAddr, mac: MacAddr) {
    let action = format!("telling the bridge that {ip} is {mac}");
    batch.push(action, NEWNEIGH, flag::ACK | flag::CREATE | flag::REPLACE, |m| {
        let (bytes, len) = octets(ip);
        m.raw(&header(family(ip), bridge, PERMANENT, 0)).bytes(DESTINATION, &bytes[..len]);
        m.bytes(LINK_ADDRESS, &mac.0);
    });
}

/// Takes `ip` out of the bridge's neighbour table.
pub(crate) fn push_no_far_neighbour(batch: &mut Batch, bridge: u32, ip: IpAddr) {
    batch.push(format!("forgetting whose {ip} is"), DELNEIGH, flag::ACK, |m| {
        let (bytes, len) = octets(ip);
        m.raw(&header(family(ip), bridge, 0, 0)).bytes(DESTINATION, &bytes[..len]);
    });
}

/// The forwarding entries of a tunnel, and its bridge's of what is behind it.
pub(crate) fn forwarding(socket: &mut Socket, tunnel: u32) -> Result<Forwarding> {
    let mut header = [0; IFINFOMSG_LEN];
    header[0] = BRIDGE;
    header[4..8].copy_from_slice(&tunnel.to_ne_bytes());
    let mut found = Forwarding::default();
    for reply in socket.dump("listing forwarding entries", GETNEIGH, &header)? {
        let Some((mac, destination, bridges)) = entry(&reply, tunnel) else { continue };
        if bridges {
            found.behind.push(mac);
        } else if let Some(known) = found.tunnels.iter_mut().find(|(known, _)| *known == mac) {
            known.1 = None;
        } else {
            found.tunnels.push((mac, destination));
        }
    }
    Ok(found)
}

/// The entry of `tunnel` in a reply: whose, on which machine, and whether the bridge says so. The
/// bridge's entry of the tunnel's own address is none.
fn entry(reply: &Reply, tunnel: u32) -> Option<(MacAddr, Option<IpAddr>, bool)> {
    let index = attr::u32_at(&reply.payload, 4)?;
    if reply.kind != NEWNEIGH || index != tunnel {
        return None;
    }
    let state = attr::u16_at(&reply.payload, 8)?;
    let attributes = reply.payload.get(NDMSG_LEN..)?;
    let mac = MacAddr(attr::find(attributes, LINK_ADDRESS)?.try_into().ok()?);
    let bridges = attr::find(attributes, NDA_MASTER).is_some();
    if bridges && state == PERMANENT {
        return None;
    }
    Some((mac, attr::find(attributes, DESTINATION).and_then(address), bridges))
}

/// The lasting neighbours on a bridge, of both families.
pub(crate) fn far_neighbours(socket: &mut Socket, bridge: u32) -> Result<Vec<(IpAddr, MacAddr)>> {
    let mut found = Vec::new();
    for family in [INET, INET6] {
        let mut request = header(family, 0, 0, 0).to_vec();
        request.extend_from_slice(&8u16.to_ne_bytes());
        request.extend_from_slice(&IFINDEX.to_ne_bytes());
        request.extend_from_slice(&bridge.to_ne_bytes());
        let replies = socket.dump("listing neighbours", GETNEIGH, &request)?;
        found.extend(replies.iter().filter_map(|reply| neighbour(reply, bridge)));
    }
    Ok(found)
}

fn neighbour(reply: &Reply, bridge: u32) -> Option<(IpAddr, MacAddr)> {
    let (index, state) = (attr::u32_at(&reply.payload, 4)?, attr::u16_at(&reply.payload, 8)?);
    if reply.kind != NEWNEIGH || index != bridge || state != PERMANENT {
        return None;
    }
    let attributes = reply.payload.get(NDMSG_LEN..)?;
    let mac = MacAddr(attr::find(attributes, LINK_ADDRESS)?.try_into().ok()?);
    Some((address(attr::find(attributes, DESTINATION)?)?, mac))
}
