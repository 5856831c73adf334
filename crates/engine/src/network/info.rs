//! What list and inspect show of networks.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::Engine;
use crate::error::{Error, Result};

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

impl Engine {
    /// All networks.
    #[must_use]
    pub fn network_list(&self) -> Vec<NetworkInfo> {
        // --bridge=none
        let off = |network: &::network::NetworkInfo| {
            network.name == "bridge" && self.0.config.bridge.name == "none"
        };
        let networks = self.0.network.networks().into_iter().filter(|network| !off(network));
        networks.map(|network| self.describe(network)).collect()
    }

    /// A network by id, name, or unambiguous beginning of its id.
    ///
    /// # Errors
    /// No such network.
    pub fn network_inspect(&self, name: &str) -> Result<NetworkInfo> {
        let all = self.network_list();
        let exact = all.iter().find(|network| network.id == name || network.name == name);
        let fitting = || {
            let mut fitting = all.iter().filter(|network| !name.is_empty() && network.id.starts_with(name));
            fitting.next().filter(|_| fitting.next().is_none())
        };
        exact.or_else(fitting).cloned().ok_or_else(|| Error::not_found(format!("network {name} not found")))
    }

    fn describe(&self, network: ::network::NetworkInfo) -> NetworkInfo {
        let created = i64::try_from(network.created_ms).unwrap_or_default();
        let subnet = |pool: &::network::IpamPool| {
            (pool.subnet.to_string(), pool.gateway.map(|gateway| gateway.to_string()).unwrap_or_default())
        };
        NetworkInfo {
            containers: self.members(&network.name),
            created: Timestamp::from_millisecond(created).unwrap_or_default(),
            driver: network.driver.to_owned(),
            ipv6: false,
            internal: false,
            subnets: network.pools.iter().map(subnet).collect(),
            options: network.options,
            labels: BTreeMap::new(),
            name: network.name,
            id: network.id,
        }
    }

    fn members(&self, network: &str) -> BTreeMap<String, NetworkContainer> {
        let containers = self.0.containers.all();
        let members = containers.iter().filter_map(|entry| {
            let container = entry.snapshot();
            container.state.running()?;
            let endpoint = container.network.networks.get(network)?;
            let member = NetworkContainer {
                name: container.name.clone(),
                endpoint_id: endpoint.endpoint_id.clone(),
                mac: endpoint.mac.clone(),
                ipv4: endpoint.ip.map(|ip| format!("{ip}/{}", endpoint.prefix)).unwrap_or_default(),
                ipv6: endpoint.ipv6.map(|ip| format!("{ip}/{}", endpoint.ipv6_prefix)).unwrap_or_default(),
            };
            Some((container.id.clone(), member))
        });
        members.collect()
    }
}
