//! Networks that several machines share: a bridge like any other, with a tunnel as one more port.
//!
//! The bridge has the network's gateway address on every machine, and everywhere the same hardware
//! address, so that a container has its way out next to it wherever it runs. What one container asks
//! of another's address the bridge answers itself; nothing that is for nobody known goes through the
//! tunnel, so broadcasts and multicasts stay on their machine.

mod kernel;
mod options;
mod tables;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Segment, Setting};
use crate::bridge;
use crate::config::{BridgeConfig, MIN_MTU6};
use crate::definition::Definition;
use crate::endpoint::MacAddr;
use crate::error::Result;
use crate::netlink::{Batch, Socket};
use crate::route::{self, Vxlan};
use crate::wireguard;

pub(crate) use kernel::{Tunnel, apply, read, sweep};
pub(crate) use options::read as read_options;
pub(crate) use tables::{Bounds, Change, Tables};

/// Digits of the network's id in the name of its tunnel.
const NAME_DIGITS: usize = 12;
/// Ethernet's largest packet, when nothing speaks for another.
const DEFAULT_MTU: u32 = 1500;
/// What a tunnel adds to a packet over IPv4: Ethernet, IP, UDP, VXLAN.
const OVERHEAD: u32 = 14 + 20 + 8 + 8;
/// And over IPv6.
const OVERHEAD_V6: u32 = OVERHEAD + 20;

/// What makes a network one that several machines share. Recorded with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shared {
    /// Its number on the wire.
    pub(crate) vni: u32,
    /// Largest packet, when one was asked for.
    pub(crate) mtu: Option<u32>,
    /// What goes from machine to machine is encrypted.
    pub(crate) encrypted: bool,
}

/// A network that several machines share, as this one has it.
#[derive(Debug, Clone)]
pub(crate) struct Overlay {
    /// Its bridge.
    pub(crate) bridge: BridgeConfig,
    /// Name of its tunnel.
    pub(crate) tunnel: String,
    /// The bridge's hardware address on every machine.
    pub(crate) gateway_mac: MacAddr,
    /// What all machines know.
    pub(crate) shared: Shared,
}

/// How tunnels leave this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Underlay {
    /// The address that they leave from.
    pub(crate) local: IpAddr,
    /// The UDP port, here and there.
    pub(crate) port: u16,
    /// The interface that they leave by, whatever else there is.
    pub(crate) via: Option<u32>,
}

impl Overlay {
    /// The network that `network` defines and that is `shared`.
    pub(crate) fn of(network: &Definition, shared: &Shared) -> Self {
        Self {
            bridge: network.bridge(),
            tunnel: tunnel_name(&network.id),
            gateway_mac: gateway_mac(&network.id),
            shared: shared.clone(),
        }
    }

    /// Makes the bridge and, when it is known how tunnels leave this machine, the tunnel. While it is
    /// not known, a tunnel that is there stays as it is. Idempotent.
    pub(super) fn bring_up(&self, host: &mut Socket, setting: &Setting<'_>) -> Result<Segment> {
        let underlay = self.underlay(host, setting)?;
        let mut bridge = self.bridge.clone();
        if bridge.mtu.is_none() && (underlay.is_some() || route::by_name(host, &bridge.name)?.is_none()) {
            bridge.mtu = Some(self.mtu(host, underlay.as_ref())?);
        }
        let mut segment = bridge::ensure(host, &bridge, setting)?;
        let mut batch = Batch::default();
        // Not for nothing: the kernel forgets all neighbours of an interface whose address is set.
        if route::by_name(host, &bridge.name)?.is_some_and(|link| link.mac != Some(self.gateway_mac)) {
            route::push_mac(&mut batch, &bridge.name, self.gateway_mac);
        }
        if let Some(mtu) = bridge.mtu {
            route::push_mtu(&mut batch, &bridge.name, mtu);
            segment.mtu = mtu;
        }
        host.request(&mut batch)?;
        if let Some(Underlay { local, port, via }) = underlay {
            let device = Vxlan { vni: self.shared.vni, local, port, via };
            kernel::ensure(host, setting.owner, &self.tunnel, segment.index, segment.mtu, &device)?;
        }
        Ok(segment)
    }

    /// How this network's tunnel leaves this machine. Nothing of one that is to be encrypted ever leaves
    /// as it is: where its way is not known, it has none.
    fn underlay(&self, host: &mut Socket, setting: &Setting<'_>) -> Result<Option<Underlay>> {
        if !self.shared.encrypted {
            return Ok(setting.underlay);
        }
        let (Some(outer), Some(device)) = (setting.underlay, &setting.wireguard) else { return Ok(None) };
        let mtu = below(uplink(host, outer.local)?, wireguard::overhead(outer.local.is_ipv6()));
        let via = device.ensure(host, setting.owner, mtu.max(MIN_MTU6))?;
        Ok(Some(Underlay { local: device.address().into(), port: outer.port, via: Some(via) }))
    }

    /// Largest packet that fits through the tunnel.
    fn mtu(&self, host: &mut Socket, underlay: Option<&Underlay>) -> Result<u32> {
        let Some(underlay) = underlay else {
            let uplink = route::uplink_mtu(host)?.map_or(DEFAULT_MTU, |mtu| mtu.min(DEFAULT_MTU));
            let more =
                if self.shared.encrypted { OVERHEAD_V6 - OVERHEAD + wireguard::overhead(true) } else { 0 };
            return Ok(below(uplink, OVERHEAD + more));
        };
        let overhead = if underlay.local.is_ipv6() { OVERHEAD_V6 } else { OVERHEAD };
        Ok(below(uplink(host, underlay.local)?, overhead))
    }

    /// Takes the tunnel and the bridge away. That they are gone is no error.
    pub(super) fn take_down(&self, host: &mut Socket) -> Result<()> {
        let tunnel = kernel::remove(host, &self.tunnel);
        bridge::remove(host, &self.bridge).and(tunnel)
    }

    /// The tunnel, if it is there; that of an encrypted network only with the device that it goes through.
    pub(crate) fn find(&self, host: &Socket, segment: &Segment, wireguard: &str) -> Option<Tunnel> {
        let index = host.index_of(&self.tunnel).ok()?;
        let via = if self.shared.encrypted { Some(host.index_of(wireguard).ok()?) } else { None };
        Some(Tunnel { index, bridge: segment.index, via })
    }
}

/// Name of the tunnel of the network with this id.
pub(crate) fn tunnel_name(id: &str) -> String {
    format!("vx-{}", id.get(..NAME_DIGITS).unwrap_or(id))
}

/// The hardware address of a network's gateway: locally administered, from the network's id, and not
/// with the prefix of containers' addresses.
fn gateway_mac(id: &str) -> MacAddr {
    let digits = |at: usize| id.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let byte = |at: usize| digits(2 * at).unwrap_or(0);
    MacAddr([0x0e, byte(0), byte(1), byte(2), byte(3), byte(4)])
}

/// Largest packet of the interface that has this address.
fn uplink(host: &mut Socket, local: IpAddr) -> Result<u32> {
    let owner = route::addresses(host)?.into_iter().find(|address| address.net.addr() == local);
    let index = owner.map(|address| address.index);
    let links = route::dump(host)?;
    Ok(links.into_iter().find(|link| Some(link.index) == index).map_or(DEFAULT_MTU, |link| link.mtu))
}

/// What is left of a packet. RFC 791: every network carries 68 bytes; the largest IP packet has 65,535.
fn below(mtu: u32, overhead: u32) -> u32 {
    mtu.min(65_535).saturating_sub(overhead).max(68)
}

#[cfg(test)]
mod tests;
