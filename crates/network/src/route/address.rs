//! Addresses and routes, of both families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::kind::{DELADDR, DELROUTE, GETADDR, GETROUTE, NEWADDR, NEWROUTE};
use super::{INET, INET6};
use crate::error::Result;
use crate::ipam::Family;
use crate::netlink::{Batch, Reply, Socket, attr, flag};

/// Length of `struct ifaddrmsg`.
const IFADDRMSG_LEN: usize = 8;
/// Length of `struct rtmsg`.
const RTMSG_LEN: usize = 12;
/// `RT_TABLE_LOCAL`: routes to the machine itself and to broadcast addresses.
const TABLE_LOCAL: u8 = 255;
/// `RT_TABLE_MAIN`.
const TABLE_MAIN: u8 = 254;
/// `RTPROT_BOOT`: made by an administrator's program.
pub(super) const PROTOCOL_BOOT: u8 = 3;
/// `RT_SCOPE_LINK`: what lies there is a neighbour.
const SCOPE_LINK: u8 = 253;
/// `RTN_UNICAST`.
const TYPE_UNICAST: u8 = 1;

/// `IFA_F_NODAD`: ours alone by construction, and so usable at once.
const NODAD: u8 = 0x02;

/// `IFA_*`.
mod ifa {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const LOCAL: u16 = 2;
    pub(super) const BROADCAST: u16 = 4;
}
/// `RTA_*`.
pub(super) mod rta {
    pub(in super::super) const DST: u16 = 1;
    pub(in super::super) const OIF: u16 = 4;
    pub(in super::super) const GATEWAY: u16 = 5;
}

/// An interface's address with its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// Index of the interface.
    pub(crate) index: u32,
    /// Address and prefix length.
    pub(crate) net: IpNet,
}

/// Gives an interface an address, which is not searched for on the link first. That it has it
/// already is no error.
pub(crate) fn push_address(batch: &mut Batch, index: u32, net: IpNet) {
    batch.push(format!("adding address {net}"), NEWADDR, flag::ACK | flag::CREATE | flag::REPLACE, |m| {
        let mut header = [family(net.addr()), net.prefix_len(), 0, 0, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        if let IpNet::V6(_) = net {
            header[2] = NODAD;
        }
        let (bytes, len) = octets(net.addr());
        m.raw(&header).bytes(ifa::LOCAL, &bytes[..len]).bytes(ifa::ADDRESS, &bytes[..len]);
        if let IpNet::V4(net) = net {
            m.bytes(ifa::BROADCAST, &net.broadcast().octets());
        }
    });
}

/// Takes an address from an interface. That it is gone is an error (`EADDRNOTAVAIL`).
pub(crate) fn remove_address(batch: &mut Batch, index: u32, net: IpNet) {
    batch.push(format!("removing address {net}"), DELADDR, flag::ACK, |m| {
        let mut header = [family(net.addr()), net.prefix_len(), 0, 0, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        let (bytes, len) = octets(net.addr());
        m.raw(&header).bytes(ifa::LOCAL, &bytes[..len]);
    });
}

/// The route to everywhere else, of the gateway's family.
pub(crate) fn default_route(batch: &mut Batch, index: u32, gateway: IpAddr) {
    push_default(batch, index, gateway, flag::EXCL);
}

/// The route to everywhere else, in place of the one there may be.
pub(crate) fn replace_default_route(batch: &mut Batch, index: u32, gateway: IpAddr) {
    push_default(batch, index, gateway, flag::REPLACE);
}

/// The unspecified address stands for no gateway: everybody answers right behind the interface.
fn push_default(batch: &mut Batch, index: u32, gateway: IpAddr, how: u16) {
    let action = format!("adding default route via {gateway}");
    batch.push(action, NEWROUTE, flag::ACK | flag::CREATE | how, |m| {
        let mut header = everywhere(family(gateway));
        if gateway.is_unspecified() {
            header[6] = SCOPE_LINK;
            m.raw(&header).u32(rta::OIF, index);
            return;
        }
        let (bytes, len) = octets(gateway);
        m.raw(&header).bytes(rta::GATEWAY, &bytes[..len]).u32(rta::OIF, index);
    });
}

/// Takes a family's route to everywhere else away; fails with `ESRCH` when there is none.
pub(crate) fn remove_default_route(batch: &mut Batch, of: Family) {
    batch.push("removing the default route", DELROUTE, flag::ACK, |m| {
        m.raw(&everywhere(number(of)));
    });
}

/// `struct rtmsg` of the route to everywhere else.
fn everywhere(family: u8) -> [u8; RTMSG_LEN] {
    [family, 0, 0, 0, TABLE_MAIN, PROTOCOL_BOOT, 0, TYPE_UNICAST, 0, 0, 0, 0]
}

/// `AF_INET` or `AF_INET6`.
pub(super) const fn family(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => INET,
        IpAddr::V6(_) => INET6,
    }
}

/// The same of a family.
pub(super) const fn number(of: Family) -> u8 {
    match of {
        Family::V4 => INET,
        Family::V6 => INET6,
    }
}

/// An address's bytes, and how many there are.
pub(super) fn octets(ip: IpAddr) -> ([u8; 16], usize) {
    let mut bytes = [0; 16];
    match ip {
        IpAddr::V4(ip) => bytes[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => bytes = ip.octets(),
    }
    (bytes, if ip.is_ipv4() { 4 } else { 16 })
}

/// Every address of every interface.
pub(crate) fn addresses(socket: &mut Socket) -> Result<Vec<Address>> {
    let replies = socket.dump("listing addresses", GETADDR, &[0; IFADDRMSG_LEN])?;
    Ok(replies.iter().filter_map(parse_address).collect())
}

/// Subnets that the machine is part of or has a route to, the default route and what every link
/// has of its own accord (link-local, multicast) aside.
pub(crate) fn subnets_in_use(socket: &mut Socket) -> Result<Vec<IpNet>> {
    let mut subnets: Vec<_> = addresses(socket)?.iter().map(|a| a.net.trunc()).collect();
    let routes = socket.dump("listing routes", GETROUTE, &[0; RTMSG_LEN])?;
    subnets.extend(routes.iter().filter_map(parse_route));
    subnets.retain(|net| match net {
        IpNet::V4(_) => true,
        IpNet::V6(net) => !net.addr().is_unicast_link_local() && !net.addr().is_multicast(),
    });
    Ok(subnets)
}

/// MTU of the interface that the default route leaves through, if there is such a route.
pub(crate) fn uplink_mtu(socket: &mut Socket) -> Result<Option<u32>> {
    let mut header = [0; RTMSG_LEN];
    header[0] = INET;
    let routes = socket.dump("listing routes", GETROUTE, &header)?;
    let Some(index) = routes.iter().find_map(default_interface) else { return Ok(None) };
    Ok(super::dump(socket)?.into_iter().find(|link| link.index == index).map(|link| link.mtu))
}

fn default_interface(reply: &Reply) -> Option<u32> {
    let (prefix_len, table) = (*reply.payload.get(1)?, *reply.payload.get(4)?);
    let main = reply.kind == NEWROUTE && prefix_len == 0 && table == TABLE_MAIN;
    let oif = main.then(|| attr::find(reply.payload.get(RTMSG_LEN..)?, rta::OIF)).flatten()?;
    attr::u32_at(oif, 0)
}

fn parse_address(reply: &Reply) -> Option<Address> {
    if reply.kind != NEWADDR {
        return None;
    }
    let (prefix_len, index) = (*reply.payload.get(1)?, attr::u32_at(&reply.payload, 4)?);
    let attributes = reply.payload.get(IFADDRMSG_LEN..)?;
    // On a point-to-point link ADDRESS is the other side's.
    let local = attr::find(attributes, ifa::LOCAL).or_else(|| attr::find(attributes, ifa::ADDRESS))?;
    Some(Address { index, net: IpNet::new(address(local)?, prefix_len).ok()? })
}

fn parse_route(reply: &Reply) -> Option<IpNet> {
    let (prefix_len, table) = (*reply.payload.get(1)?, *reply.payload.get(4)?);
    let unicast = matches!(*reply.payload.first()?, INET | INET6);
    if reply.kind != NEWROUTE || !unicast || prefix_len == 0 || table == TABLE_LOCAL {
        return None;
    }
    let destination = attr::find(reply.payload.get(RTMSG_LEN..)?, rta::DST)?;
    IpNet::new(address(destination)?, prefix_len).ok()
}

pub(super) fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => <[u8; 4]>::try_from(value).ok().map(|bytes| Ipv4Addr::from(bytes).into()),
        16 => <[u8; 16]>::try_from(value).ok().map(|bytes| Ipv6Addr::from(bytes).into()),
        _ => None,
    }
}
