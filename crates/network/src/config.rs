//! What the daemon's options say about networks.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use ipnet::Ipv4Net;

use crate::error::{Error, Result};

/// Longest name of an interface (`IFNAMSIZ` without the final zero).
pub(crate) const MAX_NAME_LEN: usize = 15;

/// Everything [`crate::Network::open`] needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Tag of this daemon instance (`None` for the standard data root): names the nftables table
    /// `berth` or `berth-<tag>`.
    pub tag: Option<String>,
    /// Directory for this crate's records (`<data>/network`); created 0700 when absent.
    pub data_dir: PathBuf,
    /// The default bridge.
    pub bridge: BridgeConfig,
    /// Pools that automatic subnets come from; empty means Docker's own.
    pub address_pools: Vec<AddressPool>,
    /// Host address on which published ports listen when none is named (`--ip`).
    pub publish_ip: IpAddr,
    /// Whether to switch on IPv4 forwarding when a bridge is made (`--ip-forward`).
    pub ip_forward: bool,
    /// Whether to keep firewall and NAT rules at all (`--iptables`).
    pub firewall: bool,
    /// Defaults for the containers' `/etc/resolv.conf`.
    pub dns: DnsConfig,
    /// UDP port of the tunnels between machines, the same on all of them.
    pub vxlan_port: u16,
}

impl Config {
    /// Docker's defaults for the instance `tag`, with records in `data_dir`.
    pub fn new(tag: Option<String>, data_dir: PathBuf) -> Self {
        let name = tag.as_ref().map_or_else(|| "berth0".to_owned(), |tag| format!("b-{tag}"));
        Self {
            tag,
            data_dir,
            bridge: BridgeConfig { name, ..BridgeConfig::default() },
            address_pools: Vec::new(),
            publish_ip: Ipv4Addr::UNSPECIFIED.into(),
            ip_forward: true,
            firewall: true,
            dns: DnsConfig::default(),
            vxlan_port: VXLAN_PORT,
        }
    }
}

impl Config {
    /// Refuses options that cannot be meant.
    pub(crate) fn check(&self) -> Result<()> {
        let bridge = &self.bridge;
        let name = &bridge.name;
        let bad = name.is_empty() || name.len() > MAX_NAME_LEN || name.starts_with('.');
        if bad
            || name.bytes().any(|b| b == b'/' || b == b':' || b.is_ascii_whitespace() || b.is_ascii_control())
        {
            return Err(Error::Config(format!("invalid bridge name: {name:?}")));
        }
        if let Some(bip) = bridge.bip
            && bip.prefix_len() < 31
            && (bip.addr() == bip.network() || bip.addr() == bip.broadcast())
        {
            return Err(Error::Config(format!(
                "bip {bip} is the subnet's own or broadcast address, not a host's"
            )));
        }
        if let (Some(bip), Some(fixed)) = (bridge.bip, bridge.fixed_cidr)
            && !bip.trunc().contains(&fixed)
        {
            return Err(Error::Config(format!(
                "fixed-cidr {fixed} is not a part of the bridge's subnet {}",
                bip.trunc()
            )));
        }
        if let (Some(bip), Some(gateway)) = (bridge.bip, bridge.default_gateway)
            && !bip.contains(&gateway)
        {
            return Err(Error::Config(format!(
                "default-gateway {gateway} is not in the bridge's subnet {}",
                bip.trunc()
            )));
        }
        for pool in &self.address_pools {
            if pool.size < pool.base.prefix_len() || pool.size > 30 {
                return Err(Error::Config(format!(
                    "default address pool {}: size {} does not fit",
                    pool.base, pool.size
                )));
            }
        }
        Ok(())
    }
}

/// The default bridge's options.
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    /// Interface name, at most 15 bytes. Ours to make and to remove, unless `external`.
    pub name: String,
    /// The bridge was made by the administrator (`--bridge NAME`): it must exist, and stays.
    pub external: bool,
    /// The bridge's own address and subnet (`--bip`).
    pub bip: Option<Ipv4Net>,
    /// Part of the subnet from which containers get addresses (`--fixed-cidr`).
    pub fixed_cidr: Option<Ipv4Net>,
    /// Containers' default route, when it is not the bridge (`--default-gateway`).
    pub default_gateway: Option<Ipv4Addr>,
    /// MTU of the bridge and of the containers' interfaces (`--mtu`); `None` means 1500.
    pub mtu: Option<u32>,
    /// Whether containers on the bridge may talk to each other (`--icc`).
    pub icc: bool,
    /// Whether traffic that leaves the bridge gets the host's address (`--ip-masq`).
    pub ip_masq: bool,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            name: "berth0".to_owned(),
            external: false,
            bip: None,
            fixed_cidr: None,
            default_gateway: None,
            mtu: None,
            icc: true,
            ip_masq: true,
        }
    }
}

/// VXLAN's UDP port (RFC 7348).
const VXLAN_PORT: u16 = 4789;

/// One `--default-address-pool base=CIDR,size=N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressPool {
    /// The whole pool.
    pub base: Ipv4Net,
    /// Prefix length of each network cut out of it.
    pub size: u8,
}

/// Name servers, search domains and options, as `--dns`, `--dns-search` and `--dns-option` give
/// them; an empty list means "not given".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsConfig {
    /// `nameserver` lines.
    pub servers: Vec<IpAddr>,
    /// The `search` line; a single `.` means none at all.
    pub search: Vec<String>,
    /// The `options` line.
    pub options: Vec<String>,
}

impl DnsConfig {
    /// These settings where given, and `defaults` (the daemon's) where not.
    #[must_use]
    pub fn or(mut self, defaults: &Self) -> Self {
        if self.servers.is_empty() {
            self.servers.clone_from(&defaults.servers);
        }
        if self.search.is_empty() {
            self.search.clone_from(&defaults.search);
        }
        if self.options.is_empty() {
            self.options.clone_from(&defaults.options);
        }
        self
    }
}
