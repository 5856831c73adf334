//! What `network ls`, `network inspect` and `info` read.

use std::collections::BTreeMap;

use super::{Network, State};
use crate::model::{IpamPool, NetworkInfo};
use crate::record::Identity;
use crate::sysctl;

impl Network {
    /// The networks: `bridge`, `host` and `none`.
    pub fn networks(&self) -> Vec<NetworkInfo> {
        let state = self.state();
        vec![
            self.bridge_info(&state),
            fixed(&state.record.host, "host", "host"),
            fixed(&state.record.none, "none", "null"),
        ]
    }

    /// What on this machine will get in the way of containers' traffic, in words for the person
    /// who runs it (`docker info`'s warnings). Empty is the normal case.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.foreign_drops();
        if !self.config.ip_forward && !sysctl::forwarding() {
            warnings.push("WARNING: IPv4 forwarding is disabled".to_owned());
        }
        warnings
    }

    /// Other tables that drop what containers send and get. No rule of ours can overrule them, and
    /// they are not ours to change.
    pub(super) fn foreign_drops(&self) -> Vec<String> {
        if !self.config.firewall {
            return Vec::new();
        }
        // A kernel without nftables says so when the first container needs it.
        let chains = self.firewall().foreign_drops().unwrap_or_default();
        let bridge = &self.config.bridge.name;
        chains.iter().map(|c| warning(&c.table, &c.chain, bridge)).collect()
    }

    fn bridge_info(&self, state: &State) -> NetworkInfo {
        let config = &self.config.bridge;
        let address = state.bridge.as_ref().map(|up| up.bridge.address);
        let address = address.or(config.bip).or(state.record.bridge_address);
        let gateway = config.default_gateway;
        let pool = |address: ipnet::Ipv4Net| IpamPool {
            subnet: address.trunc(),
            ip_range: config.fixed_cidr,
            gateway: Some(gateway.unwrap_or(address.addr())),
        };
        let mtu = state.bridge.as_ref().map(|up| up.bridge.mtu).or(config.mtu).unwrap_or(1500);
        let option = |key: &str, value: String| (format!("com.docker.network.{key}"), value);
        let options = BTreeMap::from([
            option("bridge.default_bridge", "true".to_owned()),
            option("bridge.enable_icc", config.icc.to_string()),
            option("bridge.enable_ip_masquerade", config.ip_masq.to_string()),
            option("bridge.host_binding_ipv4", self.config.publish_ip.to_string()),
            option("bridge.name", config.name.clone()),
            option("driver.mtu", mtu.to_string()),
        ]);
        let pools = address.map(pool).into_iter().collect();
        NetworkInfo { options, pools, ..fixed(&state.record.bridge, "bridge", "bridge") }
    }
}

fn warning(table: &str, chain: &str, bridge: &str) -> String {
    format!(
        "WARNING: chain {chain} of nftables table {table} drops forwarded packets: containers on bridge {bridge} \
         reach nothing that it doesn't accept (is another container engine running?)"
    )
}

fn fixed(identity: &Identity, name: &str, driver: &'static str) -> NetworkInfo {
    NetworkInfo {
        id: identity.id.clone(),
        name: name.to_owned(),
        created_ms: identity.created_ms,
        driver,
        scope: "local",
        options: BTreeMap::new(),
        pools: Vec::new(),
    }
}
