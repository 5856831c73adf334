//! What `network ls`, `network inspect` and `info` read.

use std::collections::BTreeMap;

use super::Network;
use super::state::{Net, State};
use crate::firewall::Foreign;
use crate::ipam::{Family, Pool, SubnetRequest};
use crate::model::NetworkInfo;
use crate::record::Identity;
use crate::sysctl;

impl Network {
    /// The networks: `bridge`, `host`, `none`, and those that persons made.
    pub fn networks(&self) -> Vec<NetworkInfo> {
        let state = self.state();
        let mut networks = vec![
            self.bridge_info(&state),
            fixed(&state.record.host, "host", "host"),
            fixed(&state.record.none, "none", "null"),
        ];
        let made = state.nets.iter().filter(|(_, net)| net.definition.is_some());
        networks.extend(made.map(|(id, net)| net.info(id)));
        networks
    }

    /// What on this machine will get in the way of containers' traffic, in words for the person
    /// who runs it (`docker info`'s warnings). Empty is the normal case.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.foreign_drops();
        if !self.config.ip_forward && !sysctl::forwarding(Family::V4) {
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
        let mut warnings: Vec<_> = chains.iter().map(warning).collect();
        for (family, file) in [("IPv4", "ip_tables_names"), ("IPv6", "ip6_tables_names")] {
            // The namespace of this thread; there is no such file without the old kind of tables.
            let tables = std::fs::read_to_string(format!("/proc/thread-self/net/{file}"));
            warnings.extend(legacy(family, &tables.unwrap_or_default()));
        }
        warnings
    }

    fn bridge_info(&self, state: &State) -> NetworkInfo {
        let config = &self.config.bridge;
        let net = state.nets.get(&state.record.bridge.id);
        let up = net.and_then(|net| net.up.as_ref());
        let address = config.bip.or(state.record.bridge_address);
        let gateway = config.default_gateway;
        let pool = |address: ipnet::Ipv4Net| Pool {
            subnet: address.trunc().into(),
            ip_range: config.fixed_cidr.map(ipnet::IpNet::V4),
            gateway: Some(gateway.unwrap_or(address.addr()).into()),
            aux: BTreeMap::new(),
        };
        let mtu = up.map(|up| up.segment.mtu).or(config.mtu).unwrap_or(1500);
        let option = |key: &str, value: String| (format!("com.docker.network.{key}"), value);
        let options = BTreeMap::from([
            option("bridge.default_bridge", "true".to_owned()),
            option("bridge.enable_icc", config.icc.to_string()),
            option("bridge.enable_ip_masquerade", config.ip_masq.to_string()),
            option("bridge.host_binding_ipv4", self.config.publish_ip.to_string()),
            option("bridge.name", config.name.clone()),
            option("driver.mtu", mtu.to_string()),
        ]);
        let six = config.address6().or(state.record.bridge_address6).filter(|_| config.ipv6);
        let pool6 = |address: ipnet::Ipv6Net| Pool {
            subnet: address.trunc().into(),
            ip_range: config.range6().map(ipnet::IpNet::V6),
            gateway: Some(config.default_gateway6.unwrap_or(address.addr()).into()),
            aux: BTreeMap::new(),
        };
        let pools = address.map(pool).into_iter().chain(six.map(pool6)).collect();
        NetworkInfo {
            options,
            pools,
            enable_ipv6: config.ipv6,
            ..fixed(&state.record.bridge, "bridge", "bridge")
        }
    }
}

fn warning(foreign: &Foreign) -> String {
    let Foreign { family, table, chain } = foreign;
    format!(
        "WARNING: chain {chain} of nftables table {family} {table} drops forwarded packets: containers on our \
         bridges reach nothing that it doesn't accept (is another container engine running?)"
    )
}

/// Rules of the old kind, which nftables does not list: whether they drop anything is not to be seen from here.
fn legacy(family: &str, tables: &str) -> Option<String> {
    tables.lines().any(|table| table == "filter").then(|| {
        format!(
            "WARNING: the {family} table filter of legacy iptables is in use: packets that its FORWARD chain drops \
             reach no container (see iptables-legacy -S FORWARD)"
        )
    })
}

fn fixed(identity: &Identity, name: &str, driver: &str) -> NetworkInfo {
    NetworkInfo {
        id: identity.id.clone(),
        name: name.to_owned(),
        created_ms: identity.created_ms,
        driver: driver.to_owned(),
        scope: "local".to_owned(),
        enable_ipv4: true,
        enable_ipv6: false,
        ingress: false,
        config_only: false,
        config_from: String::new(),
        ipam_options: BTreeMap::new(),
        user_defined: false,
        internal: false,
        attachable: false,
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
        pools: Vec::new(),
        subnet_chosen: false,
    }
}

impl Net {
    /// What is shown of it.
    pub(super) fn info(&self, id: &str) -> NetworkInfo {
        let identity = Identity { id: id.to_owned(), created_ms: 0 };
        let Some(made) = &self.definition else { return fixed(&identity, &self.name, "bridge") };
        NetworkInfo {
            created_ms: made.created_ms,
            scope: made.scope.clone(),
            enable_ipv4: made.enable_ipv4,
            enable_ipv6: made.enable_ipv6,
            ingress: made.ingress,
            config_only: made.config_only,
            config_from: made.config_from.clone(),
            ipam_options: made.ipam_options.clone(),
            user_defined: true,
            internal: made.internal,
            attachable: made.attachable,
            options: made.options.clone(),
            labels: made.labels.clone(),
            pools: if made.config_only {
                made.asked.iter().filter_map(Pool::asked).collect()
            } else {
                let mut pools: Vec<_> = made.pools.iter().map(|pool| shown(pool, &made.asked)).collect();
                pools.extend(made.unused());
                pools.sort_by_key(|pool| Family::of(&pool.subnet));
                pools
            },
            subnet_chosen: !made.asked.is_empty(),
            ..fixed(&identity, &made.name, &made.driver)
        }
    }
}

/// As asked; where nothing was asked, as it is.
fn shown(pool: &Pool, asked: &[SubnetRequest]) -> Pool {
    let asked = asked.iter().find(|asked| asked.subnet == pool.subnet.to_string());
    let gateway = pool.gateway.filter(|_| asked.is_none_or(|asked| !asked.gateway.is_empty()));
    Pool { gateway, ..pool.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_old_kind_are_warned_of() {
        assert_eq!(legacy("IPv4", ""), None);
        assert_eq!(legacy("IPv4", "nat\nraw\n"), None);
        let said = legacy("IPv6", "nat\nfilter\n").expect("warned");
        assert!(said.contains("IPv6") && said.contains("iptables-legacy"), "{said}");
    }
}
