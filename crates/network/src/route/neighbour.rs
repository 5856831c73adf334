//! Who is behind which hardware address: the bridge's forwarding table, and the host's neighbours of both
//! families.

use std::net::IpAddr;

use super::address::{family, octets};
use super::kind::NEWNEIGH;
use crate::endpoint::MacAddr;
use crate::netlink::{Batch, flag};

/// `AF_BRIDGE`.
pub(super) const BRIDGE: u8 = 7;
/// `NTF_MASTER`: the table of the bridge that the interface is a port of.
pub(super) const MASTER: u8 = 0x04;
/// `NTF_STICKY`: not to be moved to another port by frames that come from there.
const STICKY: u8 = 0x40;
/// `NUD_NOARP`: the entry doesn't age.
const NOARP: u16 = 0x40;
/// `NUD_STALE`: used at once, and checked when used.
const STALE: u16 = 0x04;
/// `NDA_DST`.
pub(super) const DESTINATION: u16 = 1;
/// `NDA_LLADDR`.
pub(super) const LINK_ADDRESS: u16 = 2;

/// Tells the bridge that `mac` is behind this port, and behind no other until told again.
pub(crate) fn push_forwarding(batch: &mut Batch, port: u32, mac: MacAddr) {
    let flags = flag::ACK | flag::CREATE | flag::REPLACE;
    batch.push(format!("placing {mac} behind its bridge port"), NEWNEIGH, flags, |m| {
        m.raw(&header(BRIDGE, port, NOARP, MASTER | STICKY)).bytes(LINK_ADDRESS, &mac.0);
    });
}

/// Tells the host that `ip` on the interface `index` has the hardware address `mac` now.
pub(crate) fn push_neighbour(batch: &mut Batch, index: u32, ip: IpAddr, mac: MacAddr) {
    let flags = flag::ACK | flag::CREATE | flag::REPLACE;
    batch.push(format!("telling the host that {ip} is {mac}"), NEWNEIGH, flags, |m| {
        let (bytes, len) = octets(ip);
        m.raw(&header(family(ip), index, STALE, 0));
        m.bytes(DESTINATION, &bytes[..len]).bytes(LINK_ADDRESS, &mac.0);
    });
}

/// `struct ndmsg`: family, padding, interface, state, flags, type.
pub(super) fn header(family: u8, index: u32, state: u16, flags: u8) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[0] = family;
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..10].copy_from_slice(&state.to_ne_bytes());
    bytes[10] = flags;
    bytes
}
