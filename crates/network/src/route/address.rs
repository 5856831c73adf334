//! Addresses and routes (IPv4).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::INET;
use super::kind::{DELROUTE, GETADDR, GETROUTE, NEWADDR, NEWROUTE};
use crate::error::Result;
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
const PROTOCOL_BOOT: u8 = 3;
/// `RTN_UNICAST`.
const TYPE_UNICAST: u8 = 1;

/// `struct rtmsg` of the route to everywhere else.
const DEFAULT_ROUTE: [u8; RTMSG_LEN] =
    [INET, 0, 0, 0, TABLE_MAIN, PROTOCOL_BOOT, 0, TYPE_UNICAST, 0, 0, 0, 0];

/// `IFA_*`.
mod ifa {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const LOCAL: u16 = 2;
    pub(super) const BROADCAST: u16 = 4;
}
/// `RTA_*`.
mod rta {
    pub(super) const DST: u16 = 1;
    pub(super) const OIF: u16 = 4;
    pub(super) const GATEWAY: u16 = 5;
}

/// An interface's address with its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    /// Index of the interface.
    pub(crate) index: u32,
    /// Address and prefix length.
    pub(crate) net: Ipv4Net,
}

/// Gives an interface an address. That it has it already is no error.
pub(crate) fn push_address(batch: &mut Batch, index: u32, net: Ipv4Net) {
    batch.push(format!("adding address {net}"), NEWADDR, flag::ACK | flag::CREATE | flag::REPLACE, |m| {
        let mut header = [INET, net.prefix_len(), 0, 0, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        m.raw(&header)
            .bytes(ifa::LOCAL, &net.addr().octets())
            .bytes(ifa::ADDRESS, &net.addr().octets())
            .bytes(ifa::BROADCAST, &net.broadcast().octets());
    });
}

/// The route to everywhere else.
pub(crate) fn default_route(batch: &mut Batch, index: u32, gateway: Ipv4Addr) {
    push_default(batch, index, gateway, flag::EXCL);
}

/// The route to everywhere else, in place of the one there may be.
pub(crate) fn replace_default_route(batch: &mut Batch, index: u32, gateway: Ipv4Addr) {
    push_default(batch, index, gateway, flag::REPLACE);
}

fn push_default(batch: &mut Batch, index: u32, gateway: Ipv4Addr, how: u16) {
    let action = format!("adding default route via {gateway}");
    batch.push(action, NEWROUTE, flag::ACK | flag::CREATE | how, |m| {
        m.raw(&DEFAULT_ROUTE).bytes(rta::GATEWAY, &gateway.octets()).u32(rta::OIF, index);
    });
}

/// Takes the route to everywhere else away; fails with `ESRCH` when there is none.
pub(crate) fn remove_default_route(batch: &mut Batch) {
    batch.push("removing the default route", DELROUTE, flag::ACK, |m| {
        m.raw(&DEFAULT_ROUTE);
    });
}

/// Every address of every interface.
pub(crate) fn addresses(socket: &mut Socket) -> Result<Vec<Address>> {
    let mut header = [0; IFADDRMSG_LEN];
    header[0] = INET;
    Ok(socket.dump("listing addresses", GETADDR, &header)?.iter().filter_map(parse_address).collect())
}

/// Subnets that the machine is part of or has a route to, the default route aside.
pub(crate) fn subnets_in_use(socket: &mut Socket) -> Result<Vec<Ipv4Net>> {
    let mut subnets: Vec<_> = addresses(socket)?.iter().map(|a| a.net.trunc()).collect();
    let mut header = [0; RTMSG_LEN];
    header[0] = INET;
    let routes = socket.dump("listing routes", GETROUTE, &header)?;
    subnets.extend(routes.iter().filter_map(parse_route));
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
    Some(Address { index, net: Ipv4Net::new(ipv4(local)?, prefix_len).ok()? })
}

fn parse_route(reply: &Reply) -> Option<Ipv4Net> {
    let (prefix_len, table) = (*reply.payload.get(1)?, *reply.payload.get(4)?);
    if reply.kind != NEWROUTE || prefix_len == 0 || table == TABLE_LOCAL {
        return None;
    }
    let destination = attr::find(reply.payload.get(RTMSG_LEN..)?, rta::DST)?;
    Ipv4Net::new(ipv4(destination)?, prefix_len).ok()
}

fn ipv4(value: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from)
}
