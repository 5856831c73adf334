//! What the daemon's options say about networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::error::{Error, Result};
use crate::ipam::{self, Family};
use crate::ports::HostPorts;

/// Smallest packet that every IPv6 link carries (RFC 8200).
pub(crate) const MIN_MTU6: u32 = 1280;

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
    /// Whether to switch on forwarding, of the families that a network has, when it is made
    /// (`--ip-forward`).
    pub ip_forward: bool,
    /// Whether to keep firewall and NAT rules at all (`--iptables`).
    pub firewall: bool,
    /// Whether to keep rules for IPv6, too (`--ip6tables`).
    pub firewall6: bool,
    /// Whether published ports are served in user space where the kernel can't (`--userland-proxy`).
    pub userland_proxy: bool,
    /// How ports are published on networks that say nothing of it (`--publish-mode`).
    pub publish_mode: PublishMode,
    /// Who opens published ports on the host, where the daemon lives in a network namespace of its own.
    pub host_ports: Option<Arc<HostPorts>>,
    /// Defaults for the containers' `/etc/resolv.conf`.
    pub dns: DnsConfig,
    /// UDP port of the tunnels between machines, the same on all of them.
    pub vxlan_port: u16,
    /// UDP port of those that are encrypted, likewise.
    pub wireguard_port: u16,
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
            firewall6: true,
            userland_proxy: true,
            publish_mode: PublishMode::Forward,
            host_ports: None,
            dns: DnsConfig::default(),
            vxlan_port: VXLAN_PORT,
            wireguard_port: WIREGUARD_PORT,
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
        self.bridge.check6()?;
        if self.publish_mode == PublishMode::Input && !self.userland_proxy {
            let why = "publish-mode \"input\" is a path in user space, which userland-proxy=false turns off";
            return Err(Error::Config(why.to_owned()));
        }
        for pool in &self.address_pools {
            let longest = pool.base.max_prefix_len().saturating_sub(2);
            if pool.size < pool.base.prefix_len() || pool.size > longest {
                return Err(Error::Config(format!(
                    "default address pool {}: size {} does not fit",
                    pool.base, pool.size
                )));
            }
        }
        Ok(())
    }
}

/// How the way to published ports leads through the host's own firewall.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PublishMode {
    /// The kernel translates and forwards: what the host's administrator says of packets that are forwarded counts.
    #[default]
    Forward,
    /// They are sockets of the host: what its administrator says of packets to the host (`INPUT`) counts.
    Input,
}

impl std::str::FromStr for PublishMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "forward" => Ok(Self::Forward),
            "input" => Ok(Self::Input),
            _ => {
                let shown: String = text.chars().take(64).collect();
                Err(Error::Invalid(format!("invalid publish mode: {shown:?} (\"forward\" or \"input\")")))
            }
        }
    }
}

/// A bridge's options: those of the default one, and what others come down to.
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    /// Interface name, at most 15 bytes. Ours to make and to remove, unless `external`.
    pub name: String,
    /// The bridge was made by the administrator (`--bridge NAME`): it must exist, and stays.
    pub external: bool,
    /// It has IPv4 addresses.
    pub ipv4: bool,
    /// The bridge's own address and subnet (`--bip`).
    pub bip: Option<Ipv4Net>,
    /// Part of the subnet from which containers get addresses (`--fixed-cidr`).
    pub fixed_cidr: Option<Ipv4Net>,
    /// Containers' default route, when it is not the bridge (`--default-gateway`).
    pub default_gateway: Option<Ipv4Addr>,
    /// It has IPv6 addresses (`--ipv6`).
    pub ipv6: bool,
    /// The bridge's own IPv6 address and subnet (`--bip6`).
    pub bip6: Option<Ipv6Net>,
    /// Part of the subnet from which containers get IPv6 addresses, or, without `bip6`, the subnet
    /// (`--fixed-cidr-v6`).
    pub fixed_cidr6: Option<Ipv6Net>,
    /// Containers' default IPv6 route, when it is not the bridge (`--default-gateway-v6`).
    pub default_gateway6: Option<Ipv6Addr>,
    /// What the host has of each subnet: IPv4's, IPv6's.
    pub presence: [Presence; 2],
    /// MTU of the bridge and of the containers' interfaces (`--mtu`); `None` means 1500.
    pub mtu: Option<u32>,
    /// Whether containers on the bridge may talk to each other (`--icc`).
    pub icc: bool,
    /// Whether traffic that leaves the bridge gets the host's address (`--ip-masq`).
    pub ip_masq: bool,
}

/// What the host has of a network's subnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presence {
    /// The address that is the containers' way out.
    #[default]
    Gateway,
    /// No address; the containers' way out is somebody else.
    Absent,
    /// No address, and containers have no way out.
    Isolated,
}

impl BridgeConfig {
    /// What the host has of a family's subnet.
    pub(crate) fn presence(&self, family: Family) -> Presence {
        self.presence[family.index()]
    }

    /// The bridge's IPv6 address as far as it is asked for: the first of `--fixed-cidr-v6` serves.
    pub(crate) fn address6(&self) -> Option<Ipv6Net> {
        let first = |net: Ipv6Net| match ipam::first(net.trunc().into(), None) {
            IpAddr::V6(ip) => Ipv6Net::new(ip, net.prefix_len()).ok(),
            IpAddr::V4(_) => None,
        };
        self.bip6.or_else(|| self.fixed_cidr6.and_then(first))
    }

    /// The part of the IPv6 subnet that automatic addresses come from, when it is only a part.
    pub(crate) fn range6(&self) -> Option<Ipv6Net> {
        self.fixed_cidr6.filter(|range| self.bip6.is_some_and(|bip| bip.trunc() != range.trunc()))
    }

    fn check6(&self) -> Result<()> {
        let wrong = |text: String| Err(Error::Config(text));
        let address = self.address6();
        if !self.ipv6 {
            return match (address, self.default_gateway6) {
                (None, None) => Ok(()),
                _ => wrong("fixed-cidr-v6, bip6 and default-gateway-v6 need ipv6".to_owned()),
            };
        }
        if let Some(mtu) = self.mtu.filter(|mtu| *mtu < MIN_MTU6) {
            return wrong(format!("mtu {mtu} is too small for ipv6, which needs {MIN_MTU6}"));
        }
        let Some(address) = address else { return Ok(()) };
        let subnet = address.trunc();
        let ip = subnet.addr();
        if ip.is_unicast_link_local() || ip.is_multicast() || ip.is_loopback() || ip.is_unspecified() {
            return wrong(format!("{subnet} is no IPv6 subnet for the bridge network"));
        }
        if subnet.prefix_len() > 126 || address.addr() == subnet.network() {
            return wrong(format!("{address} is not an IPv6 address for a bridge with containers"));
        }
        if let Some(range) = self.fixed_cidr6.filter(|range| !subnet.contains(range)) {
            return wrong(format!("fixed-cidr-v6 {range} is not a part of the bridge's subnet {subnet}"));
        }
        match self.default_gateway6.filter(|gateway| !subnet.contains(gateway)) {
            Some(gateway) => {
                wrong(format!("default-gateway-v6 {gateway} is not in the bridge's subnet {subnet}"))
            }
            None => Ok(()),
        }
    }
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            name: "berth0".to_owned(),
            external: false,
            ipv4: true,
            bip: None,
            fixed_cidr: None,
            default_gateway: None,
            ipv6: false,
            bip6: None,
            fixed_cidr6: None,
            default_gateway6: None,
            presence: [Presence::Gateway; 2],
            mtu: None,
            icc: true,
            ip_masq: true,
        }
    }
}

/// VXLAN's UDP port (RFC 7348).
const VXLAN_PORT: u16 = 4789;
/// WireGuard's customary port.
const WIREGUARD_PORT: u16 = 51820;

/// One `--default-address-pool base=CIDR,size=N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressPool {
    /// The whole pool.
    pub base: IpNet,
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
