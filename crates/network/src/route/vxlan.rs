//! VXLAN devices (RFC 7348) as ports of a bridge.

use std::net::{IpAddr, Ipv4Addr};

use super::address::address;
use super::kind::{NEWLINK, SETLINK};
use super::link::{self, INFO_DATA, INFO_KIND, INFO_SLAVE_DATA, INFO_SLAVE_KIND, Link, attribute, header};
use crate::endpoint::MacAddr;
use crate::error::Result;
use crate::netlink::{Batch, Reply, Socket, attr, flag};

/// `IFLA_VXLAN_*`.
mod setting {
    pub(super) const ID: u16 = 1;
    pub(super) const LINK: u16 = 3;
    pub(super) const LOCAL: u16 = 4;
    pub(super) const LEARNING: u16 = 7;
    pub(super) const PORT: u16 = 15;
    pub(super) const LOCAL6: u16 = 17;
}
/// `IFLA_BRPORT_*`.
mod port {
    pub(super) const LEARNING: u16 = 8;
    pub(super) const UNICAST_FLOOD: u16 = 9;
    pub(super) const MULTICAST_FLOOD: u16 = 27;
    pub(super) const BROADCAST_FLOOD: u16 = 30;
    pub(super) const NEIGHBOUR_SUPPRESS: u16 = 32;
}

/// A VXLAN device: what cannot be changed once it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vxlan {
    /// The network's number on the wire.
    pub(crate) vni: u32,
    /// The address that it sends from.
    pub(crate) local: IpAddr,
    /// The UDP port, here and there.
    pub(crate) port: u16,
    /// The interface that it sends and hears through alone, by its index. It dies with that.
    pub(crate) via: Option<u32>,
}

impl Vxlan {
    fn parse(reply: &Reply) -> Option<(Link, Self)> {
        let link = Link::parse(reply)?;
        let info = attr::find(reply.payload.get(link::IFINFOMSG_LEN..)?, attribute::LINKINFO)?;
        if link.kind.as_deref() != Some("vxlan") {
            return None;
        }
        let data = attr::find(info, INFO_DATA)?;
        let number = |kind| attr::find(data, kind).and_then(|value| attr::u32_at(value, 0));
        let local = attr::find(data, setting::LOCAL).or_else(|| attr::find(data, setting::LOCAL6));
        let [high, low] = attr::find(data, setting::PORT)?.try_into().ok()?;
        let device = Self {
            vni: number(setting::ID)?,
            local: local.and_then(address).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            port: u16::from_be_bytes([high, low]),
            via: number(setting::LINK).filter(|via| *via != 0),
        };
        Some((link, device))
    }
}

/// The VXLAN device called `name`, if there is one.
pub(crate) fn vxlan_by_name(socket: &mut Socket, name: &str) -> Result<Option<(Link, Vxlan)>> {
    let replies = link::ask(socket, attribute::IFNAME, name)?;
    Ok(replies.iter().find_map(Vxlan::parse))
}

/// Makes a VXLAN device that is up and a port of `bridge`. It knows no other machine, learns of none
/// from what arrives, and has nowhere to send what is for nobody that it was told of.
pub(crate) fn push_vxlan(batch: &mut Batch, name: &str, bridge: u32, mtu: u32, device: &Vxlan) {
    let action = format!("creating VXLAN device {name} (number {})", device.vni);
    batch.push(action, NEWLINK, flag::ACK | flag::CREATE | flag::EXCL, |m| {
        header(m, 0, true)
            .text(attribute::IFNAME, name)
            .u32(attribute::MASTER, bridge)
            .u32(attribute::MTU, mtu)
            .nested(attribute::LINKINFO, |m| {
                m.text(INFO_KIND, "vxlan").nested(INFO_DATA, |m| {
                    m.u32(setting::ID, device.vni).u8(setting::LEARNING, 0);
                    m.bytes(setting::PORT, &device.port.to_be_bytes());
                    match device.local {
                        IpAddr::V4(ip) => m.bytes(setting::LOCAL, &ip.octets()),
                        IpAddr::V6(ip) => m.bytes(setting::LOCAL6, &ip.octets()),
                    };
                    if let Some(via) = device.via {
                        m.u32(setting::LINK, via);
                    }
                });
            });
    });
}

/// Tells the bridge what it may send through the tunnel `name`: what is for somebody known to be behind
/// it. The bridge itself answers who has which address, and believes no sender's address that comes out.
pub(crate) fn push_tunnel_port(batch: &mut Batch, name: &str) {
    batch.push(format!("setting up bridge port {name}"), NEWLINK, flag::ACK, |m| {
        header(m, 0, false).text(attribute::IFNAME, name).nested(attribute::LINKINFO, |m| {
            m.text(INFO_SLAVE_KIND, "bridge").nested(INFO_SLAVE_DATA, |m| {
                m.u8(port::LEARNING, 0)
                    .u8(port::UNICAST_FLOOD, 0)
                    .u8(port::MULTICAST_FLOOD, 0)
                    .u8(port::BROADCAST_FLOOD, 0)
                    .u8(port::NEIGHBOUR_SUPPRESS, 1);
            });
        });
    });
}

/// Gives an interface a hardware address.
pub(crate) fn push_mac(batch: &mut Batch, name: &str, mac: MacAddr) {
    batch.push(format!("giving {name} the address {mac}"), SETLINK, flag::ACK, |m| {
        header(m, 0, false).text(attribute::IFNAME, name).bytes(attribute::ADDRESS, &mac.0);
    });
}
