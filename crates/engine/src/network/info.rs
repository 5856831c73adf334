//! What list and inspect show of networks.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// A network, as list and inspect show it.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkInfo {
    /// Name.
    pub name: String,
    /// 64 hex digits.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// `bridge`, `host`, `null`, `macvlan`, ….
    pub driver: String,
    /// `local`, or `global` when other hosts share it.
    pub scope: String,
    /// A person made it.
    pub user_defined: bool,
    /// IPv4 is on.
    pub ipv4: bool,
    /// IPv6 is on.
    pub ipv6: bool,
    /// Options of who gives addresses.
    pub ipam_options: BTreeMap<String, String>,
    /// Swarm's routing mesh.
    pub ingress: bool,
    /// A configuration for others, no network.
    pub config_only: bool,
    /// Name of the network whose configuration it has, or empty.
    pub config_from: String,
    /// No way out.
    pub internal: bool,
    /// As asked.
    pub attachable: bool,
    /// Subnets.
    pub subnets: Vec<Subnet>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Running containers on it, by id.
    pub containers: BTreeMap<String, NetworkContainer>,
}

/// A subnet of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subnet {
    /// `address/prefix`.
    pub subnet: String,
    /// Part of it for automatic addresses, or empty.
    pub ip_range: String,
    /// The bridge's address, or empty.
    pub gateway: String,
    /// Name → an address that is not given out.
    pub aux: BTreeMap<String, String>,
}

/// A container on a network.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkContainer {
    /// Container's name.
    pub name: String,
    /// Endpoint's id.
    pub endpoint_id: String,
    /// MAC address.
    pub mac: String,
    /// `address/prefix`.
    pub ipv4: String,
    /// `address/prefix`, or empty.
    pub ipv6: String,
}
