//! Links, addresses and routes: rtnetlink(7) as values.

mod address;
mod clients;
mod far;
mod link;
mod neighbour;
mod sublink;
mod vxlan;

pub(crate) use address::{
    addresses, default_route, push_address, remove_address, remove_default_route, replace_default_route,
    subnets_in_use, uplink_mtu,
};
pub(crate) use clients::{MARK as CLIENTS_MARK, lead_clients_here};
pub(crate) use link::{
    Link, Veth, by_alt_name, by_name, dump, push_alias, push_alt_name, push_bridge, push_delete, push_master,
    push_mtu, push_notice, push_port, push_up, push_veth, push_wireguard,
};

pub(crate) use far::{
    far_neighbours, forwarding, push_far, push_far_neighbour, push_no_far, push_no_far_neighbour,
    push_no_forwarding,
};
#[cfg(test)]
pub(crate) use link::set_down;
pub(crate) use neighbour::{push_forwarding, push_neighbour};
#[cfg(test)]
pub(crate) use sublink::rename;
pub(crate) use sublink::{
    IpvlanFlag, IpvlanMode, MacvlanMode, Manner, Sublink, push_dummy, push_sublink, push_up_by_name,
    push_vlan,
};
pub(crate) use vxlan::{Vxlan, push_mac, push_tunnel_port, push_vxlan, vxlan_by_name};

/// Message types (`RTM_*`).
mod kind {
    pub(super) const NEWLINK: u16 = 16;
    pub(super) const DELLINK: u16 = 17;
    pub(super) const GETLINK: u16 = 18;
    pub(super) const SETLINK: u16 = 19;
    pub(super) const NEWADDR: u16 = 20;
    pub(super) const DELADDR: u16 = 21;
    pub(super) const GETADDR: u16 = 22;
    pub(super) const NEWROUTE: u16 = 24;
    pub(super) const DELROUTE: u16 = 25;
    pub(super) const GETROUTE: u16 = 26;
    pub(super) const NEWNEIGH: u16 = 28;
    pub(super) const DELNEIGH: u16 = 29;
    pub(super) const GETNEIGH: u16 = 30;
    pub(super) const NEWRULE: u16 = 32;
    pub(super) const NEWLINKPROP: u16 = 108;
}

/// `AF_INET`.
const INET: u8 = 2;
/// `AF_INET6`.
const INET6: u8 = 10;
