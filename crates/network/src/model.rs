//! What `network ls` and `network inspect` read.

use std::collections::BTreeMap;

use crate::ipam::{Family, Pool};

/// One network, as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInfo {
    /// 64 hex digits, the same after a restart.
    pub id: String,
    /// `bridge`, `host`, `none`, or the name a person gave.
    pub name: String,
    /// When it was made: milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// `bridge`, `host`, `null`, or another driver's name.
    pub driver: String,
    /// `local`, or `global` when other hosts share it.
    pub scope: String,
    /// It gives IPv4 addresses.
    pub enable_ipv4: bool,
    /// It gives IPv6 addresses.
    pub enable_ipv6: bool,
    /// As asked.
    pub ingress: bool,
    /// A configuration for other networks: no container joins it.
    pub config_only: bool,
    /// The network whose configuration it has, or empty.
    pub config_from: String,
    /// Options of who gives addresses, as asked.
    pub ipam_options: BTreeMap<String, String>,
    /// A person made it.
    pub user_defined: bool,
    /// No way out.
    pub internal: bool,
    /// As asked.
    pub attachable: bool,
    /// The driver's options in effect (`com.docker.network.bridge.*`); of a network that a person
    /// made, those that were asked for.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Subnets as they were asked for, or else as they are; empty when the network has none, or has
    /// not been needed yet.
    pub pools: Vec<Pool>,
    /// A person has chosen the subnet.
    pub subnet_chosen: bool,
}

impl NetworkInfo {
    /// What was asked for and has no effect, in a sentence; empty when there is nothing of the kind.
    pub fn without_effect(&self) -> String {
        let unused =
            |pool: &&Pool| !if pool.subnet.addr().is_ipv4() { self.enable_ipv4 } else { self.enable_ipv6 };
        let say = |pool: &Pool| {
            let family = Family::of(&pool.subnet);
            format!("the {family} subnet {} is not used, because Enable{family} is off", pool.subnet)
        };
        // A configuration is for networks that have what it has not.
        let pools = self.pools.iter().filter(|_| !self.config_only);
        pools.filter(unused).map(say).collect::<Vec<_>>().join("; ")
    }
}
