//! Making the bridge, or finding it as an earlier daemon left it.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use rustix::io::Errno;

use super::six;
use crate::config::{BridgeConfig, MIN_MTU6, Presence};
use crate::driver::{Segment, Setting};
use crate::endpoint::MacAddr;
use crate::error::{Error, Result};
use crate::ipam::{self, Family, Side};
use crate::netlink::{Batch, Socket};
use crate::route::{self, Link};
use crate::sysctl;

/// MTU when nothing speaks for another: Ethernet's.
const DEFAULT_MTU: u32 = 1500;

/// The bridge that `config` describes, up and with its address, which is `recorded` unless
/// something else has taken that in the meantime. A new one bears `owner`, by which it is swept.
pub(crate) fn ensure(socket: &mut Socket, config: &BridgeConfig, setting: &Setting<'_>) -> Result<Segment> {
    let found = route::by_name(socket, &config.name)?;
    let adopted = found.is_some();
    let (link, address) = match found {
        Some(link) => adopt(socket, config, setting, link)?,
        None if config.external => {
            return Err(Error::Config(format!("bridge {} does not exist", config.name)));
        }
        None => create(socket, config, setting)?,
    };
    let six = six::ensure(socket, config, setting, &link);
    if six.is_err() && !adopted {
        // The first error is the one to report.
        let _ = delete(socket, &link);
    }
    let four = address.map(|address| four(config, address));
    let sides = four.into_iter().chain(six?).collect();
    Ok(Segment { index: link.index, sides, mtu: config.mtu.unwrap_or(link.mtu), mac: None })
}

/// What a bridge has in IPv4.
fn four(config: &BridgeConfig, address: Ipv4Net) -> Side {
    let presence = config.presence(Family::V4);
    Side {
        subnet: address.trunc().into(),
        range: config.fixed_cidr.map(IpNet::V4),
        host: (presence == Presence::Gateway).then(|| address.addr().into()),
        gateway: (presence != Presence::Isolated)
            .then(|| config.default_gateway.unwrap_or(address.addr()).into()),
    }
}

/// Removes the bridges that bear `owner`, except those called as in `keep`; the names of those removed.
pub(crate) fn sweep(socket: &mut Socket, owner: &str, keep: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for link in route::dump(socket)? {
        let ours = link.kind.as_deref() == Some("bridge") && link.alias.as_deref() == Some(owner);
        if ours && !keep(&link.name) {
            delete(socket, &link)?;
            removed.push(link.name);
        }
    }
    Ok(removed)
}

/// Removes the bridge, unless it is the administrator's, and the pairs of containers that have ended: the kernel frees
/// their namespaces in its own time, and without the bridge nobody would know any more whose they are. That there is
/// none is no error.
pub(crate) fn remove(socket: &mut Socket, config: &BridgeConfig) -> Result<()> {
    if config.external {
        return Ok(());
    }
    let Some(bridge) = route::by_name(socket, &config.name)? else { return Ok(()) };
    for link in route::dump(socket)? {
        if link.master == Some(bridge.index) && is_pair(&link) {
            delete(socket, &link)?;
        }
    }
    delete(socket, &bridge)
}

/// Whether this is the host's end of a container's pair, by the name that we give: an administrator may have put other
/// pairs on the bridge.
pub(crate) fn is_pair(link: &Link) -> bool {
    let digits = link.name.strip_prefix("veth").unwrap_or_default();
    let named = digits.len() == 11 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    named && link.kind.as_deref() == Some("veth")
}

/// Uses an interface that is there: an earlier daemon's, or the administrator's.
fn adopt(
    socket: &mut Socket,
    config: &BridgeConfig,
    setting: &Setting<'_>,
    link: Link,
) -> Result<(Link, Option<Ipv4Net>)> {
    if link.kind.as_deref() != Some("bridge") {
        return Err(Error::Config(format!("interface {} exists and is no bridge", config.name)));
    }
    if !config.ipv4 {
        up(socket, &link)?;
        return Ok((link, None));
    }
    let recorded = setting.recorded;
    let present: Vec<_> = route::addresses(socket)?
        .into_iter()
        .filter(|a| a.index == link.index)
        .filter_map(|a| match a.net {
            IpNet::V4(net) => Some(net),
            IpNet::V6(_) => None,
        })
        .collect();
    let wanted = config.bip.or_else(|| recorded.filter(|r| present.is_empty() || present.contains(r)));
    if let Some(other) = present.first().filter(|_| wanted.is_some_and(|w| !present.contains(&w))) {
        if config.external || route::dump(socket)?.iter().any(|l| l.master == Some(link.index)) {
            return Err(Error::Config(format!(
                "bridge {} has the address {other} instead of {} and is in use",
                config.name,
                wanted.unwrap_or(*other)
            )));
        }
        delete(socket, &link)?;
        return create(socket, config, setting);
    }
    let address = match wanted.or_else(|| present.first().copied()) {
        Some(address) => {
            claim(socket, config, link.index, address.into())?;
            address
        }
        None => choose(socket, config, setting, link.index)?,
    };
    up(socket, &link)?;
    Ok((link, Some(address)))
}

fn up(socket: &mut Socket, link: &Link) -> Result<()> {
    let mut batch = Batch::default();
    route::push_up(&mut batch, link.index);
    socket.request(&mut batch).map(|_| ())
}

fn create(
    socket: &mut Socket,
    config: &BridgeConfig,
    setting: &Setting<'_>,
) -> Result<(Link, Option<Ipv4Net>)> {
    let least = if config.ipv6 { MIN_MTU6 } else { 0 };
    let mtu = match config.mtu {
        Some(mtu) => mtu,
        None => route::uplink_mtu(socket)?.map_or(DEFAULT_MTU, |mtu| mtu.min(DEFAULT_MTU)).max(least),
    };
    let mut batch = Batch::default();
    route::push_bridge(&mut batch, &config.name, random_mac()?);
    // In the same send: no instruction of ours lies between the link and its mark.
    route::push_alias(&mut batch, &config.name, setting.owner);
    socket.request(&mut batch)?;
    let link = route::by_name(socket, &config.name)?
        .ok_or_else(|| Error::Config(format!("bridge {} vanished while being made", config.name)))?;
    let mut batch = Batch::default();
    route::push_mtu(&mut batch, &config.name, mtu);
    let addressed = sysctl::disable_ipv6(&config.name)
        .and_then(|()| socket.request(&mut batch))
        .and_then(|_| config.ipv4.then(|| assign(socket, config, setting, link.index)).transpose());
    match addressed {
        Ok(address) => Ok((Link { mtu, ..link }, address)),
        Err(error) => {
            // The first error is the one to report.
            let _ = delete(socket, &link);
            Err(error)
        }
    }
}

/// The address of a new bridge: the option's, or the recorded one if nobody has it, or a new one.
fn assign(socket: &mut Socket, config: &BridgeConfig, setting: &Setting<'_>, index: u32) -> Result<Ipv4Net> {
    if let Some(address) = config.bip {
        claim(socket, config, index, address.into())?;
        return Ok(address);
    }
    if let Some(address) = setting.recorded {
        let used = route::subnets_in_use(socket)?;
        let free = !used.iter().any(|used| ipam::overlap(*used, address.trunc().into()));
        if free && claim(socket, config, index, address.into()).is_ok() {
            return Ok(address);
        }
    }
    choose(socket, config, setting, index)
}

/// Takes the first free subnet. Two daemons that choose at the same time see the same subnet
/// free: the claim decides.
fn choose(socket: &mut Socket, config: &BridgeConfig, setting: &Setting<'_>, index: u32) -> Result<Ipv4Net> {
    let used = route::subnets_in_use(socket)?;
    for subnet in ipam::candidates(setting.pools, Family::V4, None, &used) {
        let IpAddr::V4(first) = ipam::first(subnet, None) else { continue };
        let address = Ipv4Net::new_assert(first, subnet.prefix_len());
        match claim(socket, config, index, address.into()) {
            Err(error) if error.errno() == Some(Errno::EXIST) => {}
            result => return result.map(|()| address),
        }
    }
    Err(Error::NoFreeSubnet { family: Family::V4.to_string() })
}

/// Gives the bridge its address, where the host is to have one, having first given it the subnet as a further name: the kernel
/// lets only one interface bear a name, and forgets it with the interface.
pub(super) fn claim(socket: &mut Socket, config: &BridgeConfig, index: u32, address: IpNet) -> Result<()> {
    if !config.external {
        let alt_name = match address {
            IpNet::V4(_) => format!("berth-{}-{}", address.network(), address.prefix_len()),
            // A name may have no colon.
            IpNet::V6(net) => format!("berth-{:032x}-{}", u128::from(net.network()), net.prefix_len()),
        };
        let mut batch = Batch::default();
        route::push_alt_name(&mut batch, &config.name, &alt_name);
        match socket.request(&mut batch) {
            Err(error) if error.errno() == Some(Errno::EXIST) => {
                let owner = route::by_alt_name(socket, &alt_name)?;
                if owner.is_some_and(|link| link.index != index) {
                    return Err(error);
                }
            }
            // Kernels before 5.5 have no further names; there the look at the addresses must do.
            Err(error) if matches!(error.errno(), Some(Errno::OPNOTSUPP | Errno::INVAL)) => {}
            result => {
                result?;
            }
        }
    }
    if config.presence(Family::of(&address)) != Presence::Gateway {
        return Ok(());
    }
    let mut batch = Batch::default();
    route::push_address(&mut batch, index, address);
    socket.request(&mut batch).map(|_| ())
}

fn delete(socket: &mut Socket, link: &Link) -> Result<()> {
    let mut batch = Batch::default();
    route::push_delete(&mut batch, link.index, &link.name);
    match socket.request(&mut batch) {
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
        result => result.map(|_| ()),
    }
}

/// A locally administered address with Docker's prefix.
fn random_mac() -> Result<MacAddr> {
    let mut bytes = [0x02, 0x42, 0, 0, 0, 0];
    getrandom::fill(&mut bytes[2..]).map_err(|e| Error::Config(format!("no random numbers: {e}")))?;
    Ok(MacAddr(bytes))
}
