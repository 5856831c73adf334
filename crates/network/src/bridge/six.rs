//! The IPv6 half of a bridge: its switches, and its address.

use ipnet::{IpNet, Ipv6Net};
use rustix::io::Errno;

use super::ensure::claim;
use crate::config::{BridgeConfig, Presence};
use crate::driver::Setting;
use crate::error::{Error, Result};
use crate::ipam::{self, Family, Side};
use crate::netlink::{Batch, Socket};
use crate::route::{self, Link};
use crate::sysctl;

/// Gives the bridge IPv6, if it is to have that, and says what it has.
pub(super) fn ensure(
    socket: &mut Socket,
    config: &BridgeConfig,
    setting: &Setting<'_>,
    link: &Link,
) -> Result<Option<Side>> {
    if !config.ipv6 {
        return Ok(None);
    }
    // Not even the address that every link has.
    let isolated = config.presence(Family::V6) == Presence::Isolated;
    if !config.external && !isolated {
        sysctl::host_ipv6(&config.name)?;
    }
    let present: Vec<_> = route::addresses(socket)?
        .into_iter()
        .filter(|address| address.index == link.index)
        .filter_map(|address| global(address.net))
        .collect();
    let address = match config.address6() {
        Some(wanted) => {
            replace(socket, config, link, &present, wanted)?;
            wanted
        }
        None if config.external => *present.first().ok_or_else(|| {
            Error::Config(format!("bridge {} has no IPv6 address: give fixed-cidr-v6", config.name))
        })?,
        None => match setting.recorded6.or_else(|| present.first().copied()) {
            Some(known) if usable(socket, link, &present, known)? => {
                replace(socket, config, link, &present, known)?;
                known
            }
            _ => choose(socket, config, setting, link)?,
        },
    };
    Ok(Some(Side {
        subnet: address.trunc().into(),
        range: config.range6().map(|range| range.trunc().into()),
        host: (!isolated).then(|| address.addr().into()),
        gateway: (!isolated).then(|| config.default_gateway6.unwrap_or(address.addr()).into()),
    }))
}

/// The address, unless it is one that every link has.
fn global(net: IpNet) -> Option<Ipv6Net> {
    match net {
        IpNet::V6(net) => Some(net).filter(|net| !net.addr().is_unicast_link_local()),
        IpNet::V4(_) => None,
    }
}

/// Whether nobody else has this subnet.
fn usable(socket: &mut Socket, link: &Link, present: &[Ipv6Net], known: Ipv6Net) -> Result<bool> {
    if present.contains(&known) {
        return Ok(true);
    }
    let used = route::addresses(socket)?.into_iter().filter(|address| address.index != link.index);
    let used: Vec<_> = used.map(|address| address.net.trunc()).collect();
    Ok(!used.iter().any(|used| ipam::overlap(*used, known.trunc().into())))
}

/// Gives the bridge this address in place of those that it has, which nobody may be using.
fn replace(
    socket: &mut Socket,
    config: &BridgeConfig,
    link: &Link,
    present: &[Ipv6Net],
    address: Ipv6Net,
) -> Result<()> {
    if let Some(other) = present.iter().find(|other| **other != address).filter(|_| !config.external) {
        if route::dump(socket)?.iter().any(|l| l.master == Some(link.index)) {
            return Err(Error::Config(format!(
                "bridge {} has the address {other} instead of {address} and is in use",
                config.name
            )));
        }
        let mut batch = Batch::default();
        for other in present.iter().filter(|other| **other != address) {
            route::remove_address(&mut batch, link.index, (*other).into());
        }
        socket.request(&mut batch)?;
    }
    claim(socket, config, link.index, address.into())
}

/// Takes the first free subnet; two daemons that choose at the same time are told apart by the claim.
fn choose(socket: &mut Socket, config: &BridgeConfig, setting: &Setting<'_>, link: &Link) -> Result<Ipv6Net> {
    let used = route::subnets_in_use(socket)?;
    for subnet in ipam::candidates(setting.pools, Family::V6, setting.private, &used) {
        let IpNet::V6(address) = IpNet::new(ipam::first(subnet, None), subnet.prefix_len())
            .map_err(|_unfit| Error::Malformed("a prefix longer than an address"))?
        else {
            continue;
        };
        match claim(socket, config, link.index, address.into()) {
            Err(error) if error.errno() == Some(Errno::EXIST) => {}
            result => return result.map(|()| address),
        }
    }
    Err(Error::NoFreeSubnet { family: Family::V6.to_string() })
}
