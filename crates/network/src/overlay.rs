//! Networks that several machines share: what this machine is told of them.
//!
//! Who the networks, the machines and the containers are is decided elsewhere (in a store that all
//! machines read); this crate keeps no such thing and asks nobody. It is told, and makes the kernel
//! agree:
//!
//! 1. [`Network::define_overlay`] for every shared network, with the number and the subnets that
//!    were settled on for all machines. It costs a record and no link: the bridge and the VXLAN
//!    port come when the first local container joins. From then on it is a network like any other,
//!    joined by [`Network::attach`] with an address that the caller has claimed for all machines.
//! 2. [`Network::set_hosts`] whenever the machines change: where their tunnels end.
//! 3. [`Network::replace_peers`] once, when all of the other machines' containers are known, and
//!    [`Network::set_peers`] whenever they change: forwarding entries, neighbours and names.
//! 4. [`Network::forget_overlay`] when the network is no more.
//!
//! Each of them may be repeated with the same arguments and changes nothing then. What was told
//! outlives the one who told it as long as the daemon runs: when the store is away, everything
//! stays as it was told last.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::Network;
use crate::endpoint::MacAddr;
use crate::error::Result;
use crate::model::NetworkInfo;

/// Largest number of a network: VXLAN has 24 bits (RFC 7348).
pub const MAX_VNI: u32 = (1 << 24) - 1;

/// A network as all machines know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayNetwork {
    /// 64 hex digits, the same on every machine.
    pub id: String,
    /// Its name, unique among the shared networks.
    pub name: String,
    /// Milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// Its number on the wire: 1 to [`MAX_VNI`], no other shared network's.
    pub vni: u32,
    /// Largest packet that containers send; `None` means what the tunnel leaves of the uplink's.
    pub mtu: Option<u32>,
    /// What goes from machine to machine is encrypted (`--opt encrypted`): such a network can be joined
    /// only where the kernel has WireGuard.
    pub encrypted: bool,
    /// One subnet for each address family in use.
    pub subnets: Vec<OverlaySubnet>,
    /// No way out, and none in.
    pub internal: bool,
    /// As asked.
    pub attachable: bool,
    /// Options of the driver, as asked.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// A person has chosen the subnets.
    pub subnet_chosen: bool,
}

/// Addresses of a shared network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlaySubnet {
    /// The subnet.
    pub subnet: IpNet,
    /// Part of it for automatic addresses.
    pub ip_range: Option<IpNet>,
    /// The bridge's address, the same on every machine.
    pub gateway: IpAddr,
    /// Name → an address that is not given out.
    pub aux: BTreeMap<String, IpAddr>,
}

/// A machine that takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its id, the same as in [`Peer::host_id`].
    pub id: String,
    /// Where its tunnel ends.
    pub vtep: IpAddr,
    /// Its WireGuard public key, if it has one.
    pub wg_key: Option<[u8; 32]>,
}

/// Another machine's container on a shared network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Id of its endpoint, 64 hex digits.
    pub endpoint_id: String,
    /// The machine that it runs on.
    pub host_id: String,
    /// Its IPv4 address.
    pub ip: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ip6: Option<Ipv6Addr>,
    /// Its hardware address.
    pub mac: MacAddr,
    /// Names by which it is found; the first one tells its address.
    pub names: Vec<String>,
}

/// The options of a network of the driver overlay, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlayOptions {
    /// The numbers that it may have on the wire; empty means any.
    pub vnis: Vec<u32>,
    /// Largest packet that containers send.
    pub mtu: Option<u32>,
    /// What goes from machine to machine is encrypted.
    pub encrypted: bool,
    /// How interfaces in containers are called, before their number.
    pub interface: String,
}

impl OverlayOptions {
    /// Reads what `network create --opt` gives.
    ///
    /// # Errors
    /// An option is unknown or wrong.
    pub fn read(options: &BTreeMap<String, String>) -> Result<Self> {
        crate::driver::overlay::read_options(options)
    }
}

/// What has become of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerChange {
    /// It is there, and so it is.
    Upsert(Peer),
    /// The one with this endpoint id is gone. That it was never there is no error.
    Remove(String),
}

/// Machines as this one is told of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    /// This machine's own entry: its tunnel's address, and the key that the others are told.
    pub own: Option<Host>,
    /// All others.
    pub others: Vec<Host>,
}

impl Network {
    /// Takes note of a shared network, or of what has changed of it. It is recorded, so that a
    /// daemon that starts while the store is away still knows the networks of its containers.
    ///
    /// # Errors
    /// A network of this machine's own has its name or its addresses, a value is out of bounds, or
    /// the record cannot be written.
    pub fn define_overlay(&self, network: &OverlayNetwork) -> Result<NetworkInfo> {
        self.define_shared(network)
    }

    /// Forgets a shared network: its links, peers, and the record. That it is not known is no error.
    ///
    /// # Errors
    /// Containers of this machine are on it; the kernel refuses.
    pub fn forget_overlay(&self, network_id: &str) -> Result<()> {
        self.forget_shared(network_id)
    }

    /// The shared networks that are known, from the records.
    pub fn overlays(&self) -> Vec<OverlayNetwork> {
        self.shared()
    }

    /// Tells which machines there are: all of them. Tunnels to those that are not among them end.
    ///
    /// # Errors
    /// The kernel refuses; everything has been tried.
    pub fn set_hosts(&self, hosts: &Hosts) -> Result<()> {
        self.told_hosts(hosts)
    }

    /// Tells what has changed of other machines' containers on a shared network. A peer whose
    /// machine is not known yet is kept, and reached as soon as the machine is known.
    ///
    /// # Errors
    /// No such network; the kernel refuses. Everything has been tried.
    pub fn set_peers(&self, network_id: &str, changes: &[PeerChange]) -> Result<()> {
        self.told_peers(network_id, changes)
    }

    /// Tells of all other machines' containers on a shared network: whoever is not among them is
    /// gone, also from the kernel. That is how it begins, and how it goes on when changes may have
    /// been missed. What a former daemon left in the kernel, and is still so, is not touched: traffic
    /// goes on. Until this is called, [`Self::set_peers`] removes nothing that it was not told of.
    ///
    /// # Errors
    /// As for [`Self::set_peers`].
    pub fn replace_peers(&self, network_id: &str, peers: &[Peer]) -> Result<()> {
        self.told_all_peers(network_id, peers)
    }

    /// Refuses to make an encrypted network `name` where the kernel has nothing to encrypt with.
    ///
    /// # Errors
    /// The kernel has no WireGuard; the record of this machine's key cannot be read or written.
    pub fn check_encryption(&self, name: &str) -> Result<()> {
        match self.keys()? {
            Some(_) => Ok(()),
            None => Err(self.no_encryption(name)),
        }
    }

    /// The public half of this machine's WireGuard key, made and recorded at the first call; `None`
    /// where the kernel has no WireGuard, and encrypted networks can be neither made nor joined.
    ///
    /// # Errors
    /// The record cannot be read or written.
    pub fn wireguard_key(&self) -> Result<Option<[u8; 32]>> {
        Ok(self.keys()?.map(|keys| keys.public))
    }
}
