//! Links: bridges, veth pairs, and what the machine has.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::kind::{DELLINK, GETLINK, NEWLINK, NEWLINKPROP, SETLINK};
use crate::endpoint::MacAddr;
use crate::error::{Error, Result};
use crate::netlink::{Batch, Message, Reply, Socket, attr, flag};

/// Length of `struct ifinfomsg`.
pub(super) const IFINFOMSG_LEN: usize = 16;
/// `IFF_UP`.
const UP: u32 = 1;

/// `RTEXT_FILTER_SKIP_STATS`.
const SKIP_STATS: u32 = 1 << 3;

/// `IFLA_*`.
pub(super) mod attribute {
    pub(in crate::route) const ADDRESS: u16 = 1;
    pub(in crate::route) const IFNAME: u16 = 3;
    pub(in crate::route) const MTU: u16 = 4;
    pub(in crate::route) const LINK: u16 = 5;
    pub(in crate::route) const MASTER: u16 = 10;
    pub(in crate::route) const LINKINFO: u16 = 18;
    pub(in crate::route) const IFALIAS: u16 = 20;
    pub(in crate::route) const NET_NS_FD: u16 = 28;
    pub(in crate::route) const EXT_MASK: u16 = 29;
    pub(in crate::route) const NUM_TX_QUEUES: u16 = 31;
    pub(in crate::route) const NUM_RX_QUEUES: u16 = 32;
    pub(in crate::route) const PROP_LIST: u16 = 52;
    pub(in crate::route) const ALT_IFNAME: u16 = 53;
}
/// `IFLA_INFO_KIND`, in `IFLA_LINKINFO`.
pub(super) const INFO_KIND: u16 = 1;
/// `IFLA_INFO_DATA`.
pub(super) const INFO_DATA: u16 = 2;
/// `IFLA_INFO_SLAVE_KIND`.
pub(super) const INFO_SLAVE_KIND: u16 = 4;
/// `IFLA_INFO_SLAVE_DATA`.
pub(super) const INFO_SLAVE_DATA: u16 = 5;
/// `VETH_INFO_PEER`: `struct ifinfomsg` and attributes of the other end.
const VETH_INFO_PEER: u16 = 1;
/// `IFLA_BRPORT_MODE`: hairpin.
const BRPORT_MODE: u16 = 4;
/// `IFLA_BRPORT_ISOLATED`.
const BRPORT_ISOLATED: u16 = 33;

/// A network interface of the namespace that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its number.
    pub(crate) index: u32,
    /// Its name.
    pub(crate) name: String,
    /// Whether it is administratively up.
    pub(crate) up: bool,
    /// Its kind (`bridge`, `veth`, …); `None` for hardware.
    pub(crate) kind: Option<String>,
    /// The bridge it is a port of.
    pub(crate) master: Option<u32>,
    /// Its hardware address, if it has an Ethernet one.
    pub(crate) mac: Option<MacAddr>,
    /// Largest packet.
    pub(crate) mtu: u32,
    /// What somebody has written on it.
    pub(crate) alias: Option<String>,
}

impl Link {
    pub(super) fn parse(reply: &Reply) -> Option<Self> {
        if reply.kind != NEWLINK {
            return None;
        }
        let (index, flags) = (attr::u32_at(&reply.payload, 4)?, attr::u32_at(&reply.payload, 8)?);
        let attributes = reply.payload.get(IFINFOMSG_LEN..)?;
        let info = attr::find(attributes, attribute::LINKINFO).unwrap_or_default();
        let number = |kind| attr::find(attributes, kind).and_then(|value| attr::u32_at(value, 0));
        Some(Self {
            index,
            name: attr::text(attr::find(attributes, attribute::IFNAME)?),
            up: flags & UP != 0,
            kind: attr::find(info, INFO_KIND).map(attr::text),
            master: number(attribute::MASTER),
            mac: attr::find(attributes, attribute::ADDRESS).and_then(|mac| mac.try_into().ok()).map(MacAddr),
            mtu: number(attribute::MTU).unwrap_or(0),
            alias: attr::find(attributes, attribute::IFALIAS).map(attr::text),
        })
    }
}

/// A veth pair to be made: one end in the host's namespace as a port of a bridge, the other in a
/// container's, which can be set up only once the pair is complete.
#[derive(Debug)]
pub(crate) struct Veth<'a> {
    /// Name of the host's end.
    pub(crate) host_name: &'a str,
    /// Index of the bridge.
    pub(crate) bridge: u32,
    /// The container's namespace.
    pub(crate) netns: BorrowedFd<'a>,
    /// Name in the container.
    pub(crate) name: &'a str,
    /// Hardware address in the container.
    pub(crate) mac: MacAddr,
    /// Largest packet, on both ends.
    pub(crate) mtu: u32,
    /// Whether the host's end is up at once.
    pub(crate) up: bool,
}

/// Every interface.
pub(crate) fn dump(socket: &mut Socket) -> Result<Vec<Link>> {
    let replies = socket.dump("listing network interfaces", GETLINK, &[0; IFINFOMSG_LEN])?;
    Ok(replies.iter().filter_map(Link::parse).collect())
}

/// The interface called `name`, if there is one.
pub(crate) fn by_name(socket: &mut Socket, name: &str) -> Result<Option<Link>> {
    get(socket, attribute::IFNAME, name)
}

/// The interface with this further name, if there is one.
pub(crate) fn by_alt_name(socket: &mut Socket, name: &str) -> Result<Option<Link>> {
    get(socket, attribute::ALT_IFNAME, name)
}

fn get(socket: &mut Socket, by: u16, name: &str) -> Result<Option<Link>> {
    Ok(ask(socket, by, name)?.iter().find_map(Link::parse))
}

/// What the kernel says of one interface; nothing when there is no such.
pub(super) fn ask(socket: &mut Socket, by: u16, name: &str) -> Result<Vec<Reply>> {
    let mut batch = Batch::default();
    batch.push(format!("looking for interface {name}"), GETLINK, flag::ACK, |m| {
        m.raw(&[0; IFINFOMSG_LEN]).text(by, name);
    });
    match socket.request(&mut batch) {
        Err(Error::Kernel { errno: rustix::io::Errno::NODEV, .. }) => Ok(Vec::new()),
        result => result,
    }
}

/// Makes a bridge that is up; fails when the name is taken.
pub(crate) fn push_bridge(batch: &mut Batch, name: &str, mac: MacAddr) {
    let action = format!("creating bridge {name}");
    batch.push(action, NEWLINK, flag::ACK | flag::CREATE | flag::EXCL, |m| {
        header(m, 0, true)
            .text(attribute::IFNAME, name)
            // A bridge with an address of its own keeps it whatever ports come and go.
            .bytes(attribute::ADDRESS, &mac.0)
            .nested(attribute::LINKINFO, |m| {
                m.text(INFO_KIND, "bridge");
            });
    });
}

/// Makes a WireGuard device, which is not up.
pub(crate) fn push_wireguard(batch: &mut Batch, name: &str, mtu: u32) {
    let action = format!("creating WireGuard device {name}");
    batch.push(action, NEWLINK, flag::ACK | flag::CREATE | flag::EXCL, |m| {
        header(m, 0, false).text(attribute::IFNAME, name).u32(attribute::MTU, mtu).nested(
            attribute::LINKINFO,
            |m| {
                m.text(INFO_KIND, "wireguard");
            },
        );
    });
}

/// Sets an interface's MTU. A bridge that is only created with one would follow its ports'.
pub(crate) fn push_mtu(batch: &mut Batch, name: &str, mtu: u32) {
    batch.push(format!("setting the MTU of {name} to {mtu}"), SETLINK, flag::ACK, |m| {
        header(m, 0, false).text(attribute::IFNAME, name).u32(attribute::MTU, mtu);
    });
}

/// Writes on an interface whose it is. The kernel makes nothing of it.
pub(crate) fn push_alias(batch: &mut Batch, name: &str, alias: &str) {
    batch.push(format!("marking {name} as {alias}"), SETLINK, flag::ACK, |m| {
        // Not a string: without a final zero.
        header(m, 0, false).text(attribute::IFNAME, name).bytes(attribute::IFALIAS, alias.as_bytes());
    });
}

/// Gives an interface a further name, which fails when any other interface bears it.
pub(crate) fn push_alt_name(batch: &mut Batch, name: &str, alt_name: &str) {
    let action = format!("naming {name} {alt_name}");
    batch.push(action, NEWLINKPROP, flag::ACK | flag::CREATE | flag::EXCL | flag::APPEND, |m| {
        header(m, 0, false).text(attribute::IFNAME, name).nested(attribute::PROP_LIST, |m| {
            m.text(attribute::ALT_IFNAME, alt_name);
        });
    });
}

/// Makes a veth pair.
pub(crate) fn push_veth(batch: &mut Batch, veth: &Veth<'_>) {
    let action = format!("creating veth pair {}", veth.host_name);
    batch.push(action, NEWLINK, flag::ACK | flag::CREATE | flag::EXCL, |m| {
        header(m, 0, veth.up).text(attribute::IFNAME, veth.host_name).u32(attribute::MASTER, veth.bridge);
        common(m, veth.mtu);
        m.nested(attribute::LINKINFO, |m| {
            m.text(INFO_KIND, "veth").nested(INFO_DATA, |m| {
                m.nested(VETH_INFO_PEER, |m| {
                    header(m, 0, false)
                        .text(attribute::IFNAME, veth.name)
                        .bytes(attribute::ADDRESS, &veth.mac.0)
                        .u32(attribute::NET_NS_FD, veth.netns.as_raw_fd().cast_unsigned());
                    common(m, veth.mtu);
                });
            });
        });
    });
}

/// One queue each way: a veth uses no more unless told to, yet would allocate one for every
/// processor that the machine could have.
fn common(m: &mut Message<'_>, mtu: u32) {
    m.u32(attribute::MTU, mtu).u32(attribute::NUM_TX_QUEUES, 1).u32(attribute::NUM_RX_QUEUES, 1);
}

/// Sets how the bridge treats a port: `hairpin` lets frames go back where they came from,
/// `isolated` keeps them from other isolated ports.
pub(crate) fn push_port(batch: &mut Batch, name: &str, hairpin: bool, isolated: bool) {
    batch.push(format!("setting up bridge port {name}"), NEWLINK, flag::ACK, |m| {
        header(m, 0, false).text(attribute::IFNAME, name).nested(attribute::LINKINFO, |m| {
            m.text(INFO_SLAVE_KIND, "bridge").nested(INFO_SLAVE_DATA, |m| {
                m.u8(BRPORT_MODE, hairpin.into()).u8(BRPORT_ISOLATED, isolated.into());
            });
        });
    });
}

/// Makes an interface a port of a bridge.
pub(crate) fn push_master(batch: &mut Batch, index: u32, bridge: u32) {
    batch.push("making an interface a bridge port", SETLINK, flag::ACK, |m| {
        header(m, index, true).u32(attribute::MASTER, bridge);
    });
}

/// Sets an interface up.
pub(crate) fn push_up(batch: &mut Batch, index: u32) {
    batch.push("setting an interface up", SETLINK, flag::ACK, |m| {
        header(m, index, true);
    });
}

/// Sets an interface down, as an administrator may.
#[cfg(test)]
pub(crate) fn set_down(socket: &mut Socket, index: u32) {
    let mut batch = Batch::default();
    batch.push("setting an interface down", SETLINK, flag::ACK, |m| {
        let mut bytes = [0; IFINFOMSG_LEN];
        bytes[4..8].copy_from_slice(&index.to_ne_bytes());
        bytes[12..16].copy_from_slice(&UP.to_ne_bytes());
        m.raw(&bytes);
    });
    socket.request(&mut batch).expect("down");
}

/// Makes the kernel take notice of an interface's carrier now (6.8 and later). It does so by itself within a second, on
/// a quiet machine at once; until then it drops without a word what is sent through the interface.
pub(crate) fn push_notice(batch: &mut Batch, index: u32) {
    batch.push("looking at an interface's carrier", GETLINK, flag::ACK, |m| {
        header(m, index, false).u32(attribute::EXT_MASK, SKIP_STATS);
    });
}

/// Removes an interface, and with a veth its other end.
pub(crate) fn push_delete(batch: &mut Batch, index: u32, name: &str) {
    batch.push(format!("removing interface {name}"), DELLINK, flag::ACK, |m| {
        header(m, index, false);
    });
}

/// `struct ifinfomsg`: family, padding, type, index, flags, mask of flags to change.
pub(super) fn header<'m, 'b>(m: &'m mut Message<'b>, index: u32, up: bool) -> &'m mut Message<'b> {
    let flags = if up { UP } else { 0 };
    let mut bytes = [0; IFINFOMSG_LEN];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&flags.to_ne_bytes());
    m.raw(&bytes)
}
