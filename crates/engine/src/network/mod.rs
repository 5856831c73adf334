//! Networks as Docker sees them, over crate `network`.

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
    /// `bridge`, `host`, `null`.
    pub driver: String,
    /// IPv6 is on.
    pub ipv6: bool,
    /// No way out.
    pub internal: bool,
    /// Subnet and gateway pairs.
    pub subnets: Vec<(String, String)>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Running containers on it, by id.
    pub containers: BTreeMap<String, NetworkContainer>,
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

impl crate::Engine {
    /// All networks.
    #[must_use]
    pub fn network_list(&self) -> Vec<NetworkInfo> {
        Vec::new()
    }

    /// A network by name, id or id prefix.
    ///
    /// # Errors
    /// No such network.
    pub fn network_inspect(&self, name: &str) -> crate::Result<NetworkInfo> {
        Err(crate::Error::not_found(format!("network {name} not found")))
    }
}
