//! A container's networks: asked for and settled.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::host_config::PortBinding;

/// Docker's `NetworkingConfig`: what is asked of each network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkingConfig {
    /// Network name or id → what is asked.
    pub endpoints: BTreeMap<String, EndpointConfig>,
}

/// What is asked of one network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointConfig {
    /// A fixed IPv4 address.
    pub ipv4_address: String,
    /// A fixed IPv6 address.
    pub ipv6_address: String,
    /// Link-local addresses.
    pub link_local_ips: Vec<String>,
    /// Legacy links.
    pub links: Vec<String>,
    /// Names beside the container's own.
    pub aliases: Vec<String>,
    /// MAC address.
    pub mac_address: String,
    /// Driver options.
    pub driver_opts: BTreeMap<String, String>,
    /// Which network gives the default route (highest wins).
    pub gw_priority: i64,
}

/// Docker's `NetworkSettings`: what a container has got.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSettings {
    /// Id of the namespace (here the container's id while it has one).
    pub sandbox_id: String,
    /// `80/tcp` → host addresses; `None` = exposed, not published.
    pub ports: BTreeMap<String, Option<Vec<PortBinding>>>,
    /// Network name → endpoint.
    pub networks: BTreeMap<String, Endpoint>,
    /// What crate `network` needs to take the endpoint over after a restart of the daemon.
    pub(crate) kernel: Option<serde_json::Value>,
}

/// A container's place on one network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// What was asked.
    pub config: EndpointConfig,
    /// Network's id.
    pub network_id: String,
    /// Endpoint's id; empty while stopped.
    pub endpoint_id: String,
    /// IPv4 address.
    pub ip: Option<IpAddr>,
    /// Its prefix length.
    pub prefix: u8,
    /// IPv4 gateway.
    pub gateway: Option<IpAddr>,
    /// IPv6 address.
    pub ipv6: Option<IpAddr>,
    /// Its prefix length.
    pub ipv6_prefix: u8,
    /// IPv6 gateway.
    pub ipv6_gateway: Option<IpAddr>,
    /// MAC address, `02:42:…`.
    pub mac: String,
    /// Names it answers to.
    pub dns_names: Vec<String>,
}
