//! Settings: the crate's from ours, and a container's before and after it has a network.

use std::collections::BTreeMap;

use ::network::{AddressPool, BridgeConfig, Config, DnsConfig};

use crate::container::mode::NetworkMode;
use crate::container::{ContainerConfig, Endpoint, NetworkSettings, NetworkingConfig};
use crate::engine::Inner;
use crate::error::{Error, Result};

/// What crate `network` is opened with.
///
/// # Errors
/// An address of the settings is none.
pub(crate) fn open_config(config: &crate::Config, records: std::path::PathBuf) -> Result<Config> {
    let asked = &config.bridge;
    let tag = (!config.tag.is_empty()).then(|| config.tag.clone());
    let mut made = Config::new(tag, records);
    let defaults = made.bridge;
    made.bridge = BridgeConfig {
        external: !asked.name.is_empty() && asked.name != "none",
        name: if asked.name.is_empty() || asked.name == "none" {
            defaults.name.clone()
        } else {
            asked.name.clone()
        },
        bip: optional("bip", &asked.bip)?,
        fixed_cidr: optional("fixed-cidr", &asked.fixed_cidr)?,
        default_gateway: optional("default-gateway", &asked.default_gateway)?,
        ipv6: asked.ipv6,
        bip6: optional("bip6", &asked.bip6)?,
        fixed_cidr6: optional("fixed-cidr-v6", &asked.fixed_cidr6)?,
        default_gateway6: optional("default-gateway-v6", &asked.default_gateway6)?,
        mtu: (asked.mtu != 0).then_some(asked.mtu),
        icc: asked.icc,
        ip_masq: asked.masquerade,
        ..defaults
    };
    made.address_pools = asked
        .address_pools
        .iter()
        .map(|(base, size)| Ok(AddressPool { base: parse("default-address-pool", base)?, size: *size }))
        .collect::<Result<_>>()?;
    if let Some(ip) = optional("ip", &asked.default_host_ip)? {
        made.publish_ip = ip;
    }
    made.ip_forward = asked.ip_forward;
    made.firewall = asked.firewall;
    made.firewall6 = asked.firewall6;
    made.userland_proxy = asked.userland_proxy;
    made.publish_mode = optional("publish-mode", &asked.publish_mode)?.unwrap_or_default();
    made.host_ports.clone_from(&config.host_ports);
    made.dns = DnsConfig {
        servers: config.dns.servers.iter().map(|text| parse("dns", text)).collect::<Result<_>>()?,
        search: config.dns.search.clone(),
        options: config.dns.options.clone(),
    };
    Ok(made)
}

fn parse<T: std::str::FromStr>(name: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_error| Error::bad_parameter(format!("invalid value for {name}: {text}")))
}

fn optional<T: std::str::FromStr>(name: &str, text: &str) -> Result<Option<T>> {
    if text.is_empty() { Ok(None) } else { parse(name, text).map(Some) }
}

/// The network's name under which a container's endpoint is listed.
pub(crate) fn name(mode: &NetworkMode) -> Option<&str> {
    match mode {
        NetworkMode::Bridge => Some("bridge"),
        NetworkMode::None => Some("none"),
        NetworkMode::Host => Some("host"),
        NetworkMode::Container(_) => None,
        NetworkMode::Custom(name) => Some(name),
    }
}

/// Settings of a container that has not been started. The networks are those for which something is
/// asked, or else the one of the mode.
pub(crate) fn initial(
    engine: &Inner,
    mode: &NetworkMode,
    config: &ContainerConfig,
    asked: &NetworkingConfig,
) -> NetworkSettings {
    let mut settings = NetworkSettings::default();
    for port in &config.exposed_ports {
        settings.ports.insert(whole(port), None);
    }
    let Some(own) = name(mode) else { return settings };
    let listed = |called: &str| match called {
        "default" => own.to_owned(),
        called if mode.is_own() => engine.network_name(called),
        called => called.to_owned(),
    };
    for (called, config) in &asked.endpoints {
        let endpoint = Endpoint { config: config.clone(), ..Endpoint::default() };
        settings.networks.insert(listed(called), endpoint);
    }
    if settings.networks.is_empty() {
        settings.networks.insert(listed(own), Endpoint::default());
    }
    settings
}

/// `80` is `80/tcp`.
pub(crate) fn whole(port: &str) -> String {
    if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") }
}

/// Settings of a container that has given its network back.
pub(crate) fn at_rest(settings: &NetworkSettings) -> NetworkSettings {
    let networks: BTreeMap<_, _> = settings
        .networks
        .iter()
        .map(|(name, endpoint)| {
            let rest = Endpoint {
                config: endpoint.config.clone(),
                network_id: endpoint.network_id.clone(),
                ..Endpoint::default()
            };
            (name.clone(), rest)
        })
        .collect();
    NetworkSettings {
        ports: settings.ports.keys().map(|port| (port.clone(), None)).collect(),
        networks,
        ..NetworkSettings::default()
    }
}
