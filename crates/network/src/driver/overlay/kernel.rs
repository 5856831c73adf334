//! The tunnel of an overlay network, and its entries, in the kernel.

use rustix::io::Errno;

use super::tables::{Change, Tables};
use crate::error::{Error, Result};
use crate::netlink::{Batch, Socket};
use crate::route::{self, Link, Vxlan};

/// Entries in one send at most.
const ENTRIES_PER_SEND: usize = 256;

/// A tunnel that is a port of its network's bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tunnel {
    /// Its index.
    pub(crate) index: u32,
    /// Its bridge's index.
    pub(crate) bridge: u32,
    /// The interface that it sends through alone, if there is such.
    pub(crate) via: Option<u32>,
}

/// The tunnel called `name` as a port of `bridge`: as an earlier daemon left it, if it is what it is to
/// be, else a new one. It bears `owner`, by which it is swept.
pub(crate) fn ensure(
    socket: &mut Socket,
    owner: &str,
    name: &str,
    bridge: u32,
    mtu: u32,
    device: &Vxlan,
) -> Result<Tunnel> {
    if let Some((link, present)) = route::vxlan_by_name(socket, name)? {
        if present == *device {
            adopt(socket, owner, name, bridge, mtu, &link)?;
            return Ok(Tunnel { index: link.index, bridge, via: device.via });
        }
        remove(socket, name)?;
    }
    if route::by_name(socket, name)?.is_some() {
        return Err(Error::Config(format!("interface {name} exists and is no VXLAN device")));
    }
    let mut batch = Batch::default();
    route::push_vxlan(&mut batch, name, bridge, mtu, device);
    // In the same send: no instruction of ours lies between the link and its mark.
    route::push_alias(&mut batch, name, owner);
    route::push_tunnel_port(&mut batch, name);
    socket.request(&mut batch).map_err(|error| explain(error, device))?;
    Ok(Tunnel { index: socket.index_of(name)?, bridge, via: device.via })
}

fn adopt(socket: &mut Socket, owner: &str, name: &str, bridge: u32, mtu: u32, link: &Link) -> Result<()> {
    let mut batch = Batch::default();
    if link.alias.as_deref() != Some(owner) {
        route::push_alias(&mut batch, name, owner);
    }
    if link.mtu != mtu {
        route::push_mtu(&mut batch, name, mtu);
    }
    if link.master != Some(bridge) {
        route::push_master(&mut batch, link.index, bridge);
    } else if !link.up {
        route::push_up(&mut batch, link.index);
    }
    route::push_tunnel_port(&mut batch, name);
    socket.request(&mut batch).map(drop)
}

/// Removes the tunnel called `name`. That there is none is no error.
pub(crate) fn remove(socket: &mut Socket, name: &str) -> Result<()> {
    let Some((link, _)) = route::vxlan_by_name(socket, name)? else { return Ok(()) };
    let mut batch = Batch::default();
    route::push_delete(&mut batch, link.index, name);
    match socket.request(&mut batch) {
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
        result => result.map(|_| ()),
    }
}

/// Removes the tunnels that bear `owner`, except those called as in `keep`; the names of those removed.
pub(crate) fn sweep(socket: &mut Socket, owner: &str, keep: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for link in route::dump(socket)? {
        let ours = link.kind.as_deref() == Some("vxlan") && link.alias.as_deref() == Some(owner);
        if ours && !keep(&link.name) {
            remove(socket, &link.name)?;
            removed.push(link.name);
        }
    }
    Ok(removed)
}

/// What the kernel knows of other machines' containers.
pub(crate) fn read(socket: &mut Socket, tunnel: Tunnel) -> Result<Tables> {
    let forwarding = route::forwarding(socket, tunnel.index)?;
    Ok(Tables {
        tunnels: forwarding.tunnels.into_iter().collect(),
        behind: forwarding.behind.into_iter().collect(),
        neighbours: route::far_neighbours(socket, tunnel.bridge)?.into_iter().collect(),
    })
}

/// Takes these steps, and notes in `known` those that were taken. Everything is tried.
pub(crate) fn apply(
    socket: &mut Socket,
    tunnel: Tunnel,
    known: &mut Tables,
    changes: &[Change],
) -> Result<()> {
    let mut outcome = Ok(());
    for some in changes.chunks(ENTRIES_PER_SEND) {
        let mut batch = Batch::default();
        some.iter().for_each(|change| push(&mut batch, tunnel, *change));
        if socket.request(&mut batch).is_ok() {
            some.iter().for_each(|change| known.note(*change));
            continue;
        }
        // Each by itself: one that fails must not hide what became of the others.
        for change in some {
            let mut batch = Batch::default();
            push(&mut batch, tunnel, *change);
            match socket.request(&mut batch) {
                Err(error) if !is_gone(*change, &error) => outcome = outcome.and(Err(error)),
                _ => known.note(*change),
            }
        }
    }
    outcome
}

fn push(batch: &mut Batch, tunnel: Tunnel, change: Change) {
    match change {
        Change::Tunnel(mac, vtep) => route::push_far(batch, tunnel.index, mac, vtep, tunnel.via),
        Change::Behind(mac) => route::push_forwarding(batch, tunnel.index, mac),
        Change::Neighbour(ip, mac) => route::push_far_neighbour(batch, tunnel.bridge, ip, mac),
        Change::NoTunnel(mac) => route::push_no_far(batch, tunnel.index, mac),
        Change::NotBehind(mac) => route::push_no_forwarding(batch, tunnel.index, mac),
        Change::NoNeighbour(ip) => route::push_no_far_neighbour(batch, tunnel.bridge, ip),
    }
}

/// What was to go had gone.
fn is_gone(change: Change, error: &Error) -> bool {
    let removal = matches!(change, Change::NoTunnel(_) | Change::NotBehind(_) | Change::NoNeighbour(_));
    removal && error.errno() == Some(Errno::NOENT)
}

fn explain(error: Error, device: &Vxlan) -> Error {
    match error.errno() {
        Some(Errno::EXIST) => Error::Config(format!(
            "VXLAN number {} at UDP port {} belongs to another interface of this machine already ({error})",
            device.vni, device.port
        )),
        Some(Errno::OPNOTSUPP) => Error::Config(format!(
            "this kernel lacks VXLAN ({error}), which networks of the driver overlay need: load the module vxlan"
        )),
        Some(Errno::ADDRINUSE) => Error::Config(format!(
            "UDP port {} is taken, and overlay networks need it ({error})",
            device.port
        )),
        _ => error,
    }
}
