//! `list` and `inspect`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::Engine;
use crate::error::Result;
use crate::network::{NetworkContainer, NetworkInfo, Subnet};

impl Engine {
    /// All networks.
    #[must_use]
    pub fn network_list(&self) -> Vec<NetworkInfo> {
        let mut networks: Vec<_> =
            self.0.all_networks().into_iter().map(|network| self.describe(network)).collect();
        networks.sort_by_key(|network| std::cmp::Reverse(network.created));
        networks
    }

    /// A network by id, name, or unambiguous beginning of its id.
    ///
    /// # Errors
    /// No such network.
    pub fn network_inspect(&self, name: &str) -> Result<NetworkInfo> {
        Ok(self.describe(self.0.find_network(name)?))
    }

    fn describe(&self, network: ::network::NetworkInfo) -> NetworkInfo {
        let created = i64::try_from(network.created_ms).unwrap_or_default();
        let subnet = |pool: ::network::Pool| Subnet {
            subnet: pool.subnet.to_string(),
            ip_range: pool.ip_range.map(|range| range.to_string()).unwrap_or_default(),
            gateway: pool.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
            aux: pool.aux.into_iter().map(|(name, ip)| (name, ip.to_string())).collect(),
        };
        NetworkInfo {
            containers: self.members(&network),
            created: Timestamp::from_millisecond(created).unwrap_or_default(),
            driver: network.driver,
            user_defined: network.user_defined,
            scope: network.scope,
            ipv4: network.enable_ipv4,
            ipv6: network.enable_ipv6,
            ipam_options: network.ipam_options,
            ingress: network.ingress,
            config_only: network.config_only,
            config_from: network.config_from,
            internal: network.internal,
            attachable: network.attachable,
            subnets: network.pools.into_iter().map(subnet).collect(),
            options: network.options,
            labels: network.labels,
            name: network.name,
            id: network.id,
        }
    }

    /// Containers here, and what is known of those on other machines.
    fn members(&self, network: &::network::NetworkInfo) -> BTreeMap<String, NetworkContainer> {
        let network_id = network.id.as_str();
        let containers = self.0.containers.all();
        let members = containers.iter().filter_map(|entry| {
            let container = entry.snapshot();
            container.state.running()?;
            let ends = &container.network.networks;
            let endpoint = ends.values().find(|endpoint| endpoint.network_id == network_id)?;
            let member = NetworkContainer {
                name: container.name.clone(),
                endpoint_id: endpoint.endpoint_id.clone(),
                mac: endpoint.mac.clone(),
                ipv4: endpoint.ip.map(|ip| format!("{ip}/{}", endpoint.prefix)).unwrap_or_default(),
                ipv6: endpoint.ipv6.map(|ip| format!("{ip}/{}", endpoint.ipv6_prefix)).unwrap_or_default(),
            };
            Some((container.id.clone(), member))
        });
        members.chain(crate::network::cluster::elsewhere(&self.0, network)).collect()
    }
}
