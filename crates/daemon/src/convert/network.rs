//! Networks and ends in them.

use std::net::IpAddr;

use api::Version;
use api::network as wire;
use engine::container as model;
use engine::filters::Filters;
use engine::network::{NetworkInfo, NetworkRequest, SubnetRequest};

use super::{host_config, time};

/// What a client asks of networks. A name without wishes is a network to join.
pub(super) fn from_wire(config: wire::NetworkingConfig) -> model::NetworkingConfig {
    let endpoints = config
        .endpoints_config
        .into_iter()
        .map(|(name, endpoint)| (name, endpoint_from_wire(endpoint.unwrap_or_default())))
        .collect();
    model::NetworkingConfig { endpoints }
}

/// A network that a client wishes for.
///
/// # Errors
/// A driver option that names a family is neither true nor false.
pub(crate) fn network_request(request: wire::CreateRequest) -> engine::error::Result<NetworkRequest> {
    // The request's own word goes before the driver's option, which is older.
    let family = |said: Option<bool>, option: &str, default| match (said, request.options.get(option)) {
        (Some(said), _) => Ok(said),
        (None, None) => Ok(default),
        (None, Some(text)) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(engine::error::Error::bad_parameter(format!(
                "driver-opt \"{option}\" is not a valid bool"
            ))),
        },
    };
    let ipv4 = family(request.enable_ipv4, "com.docker.network.enable_ipv4", true)?;
    let ipv6 = family(request.enable_ipv6, "com.docker.network.enable_ipv6", false)?;
    let ipam = request.ipam.unwrap_or_default();
    let subnet = |config: wire::IpamConfig| SubnetRequest {
        subnet: config.subnet,
        ip_range: config.ip_range,
        gateway: config.gateway,
        aux: config.auxiliary_addresses,
    };
    Ok(NetworkRequest {
        name: request.name,
        driver: request.driver,
        scope: request.scope,
        ipv4,
        ipv6,
        ipam_driver: ipam.driver,
        ipam_options: ipam.options.unwrap_or_default(),
        subnets: ipam.config.into_iter().map(subnet).collect(),
        internal: request.internal,
        attachable: request.attachable,
        ingress: request.ingress,
        config_only: request.config_only,
        config_from: request.config_from.unwrap_or_default().network,
        options: request.options,
        labels: request.labels,
    })
}

/// What a client asks of one network.
pub(crate) fn endpoint_from_wire(endpoint: wire::EndpointSettings) -> model::EndpointConfig {
    let ipam = endpoint.ipam_config.unwrap_or_default();
    model::EndpointConfig {
        ipv4_address: ipam.ipv4_address,
        ipv6_address: ipam.ipv6_address,
        link_local_ips: ipam.link_local_ips,
        links: endpoint.links,
        aliases: endpoint.aliases,
        mac_address: endpoint.mac_address,
        driver_opts: endpoint.driver_opts,
        gw_priority: endpoint.gw_priority,
    }
}

/// A container's networks. Without a process no port is open.
pub(super) fn settings(container: &model::Container) -> api::container::NetworkSettings {
    let network = &container.network;
    let open = container.state.running().is_some();
    api::container::NetworkSettings {
        sandbox_id: network.sandbox_id.clone(),
        sandbox_key: sandbox_key(container),
        ports: if open { host_config::port_map(&network.ports) } else { api::container::PortMap::default() },
        networks: network.networks.iter().map(|(name, end)| (name.clone(), endpoint(end))).collect(),
        ..api::container::NetworkSettings::default()
    }
}

/// A path at which a running container's network namespace can be entered and watched: its first process's. It is held
/// by that process and its shim, and goes with them. No path stands for it after the container's end.
fn sandbox_key(container: &model::Container) -> String {
    let open = container.state.running().filter(|_| !container.network.sandbox_id.is_empty());
    open.map_or_else(String::new, |run| format!("/proc/{}/ns/net", run.pid))
}

/// A container's end in one network.
pub(super) fn endpoint(end: &model::Endpoint) -> wire::EndpointSettings {
    let config = &end.config;
    let ipam = wire::EndpointIpamConfig {
        ipv4_address: config.ipv4_address.clone(),
        ipv6_address: config.ipv6_address.clone(),
        link_local_ips: config.link_local_ips.clone(),
    };
    wire::EndpointSettings {
        ipam_config: Some(ipam).filter(|ipam| *ipam != wire::EndpointIpamConfig::default()),
        links: config.links.clone(),
        aliases: config.aliases.clone(),
        mac_address: end.mac.clone(),
        driver_opts: config.driver_opts.clone(),
        gw_priority: config.gw_priority,
        network_id: end.network_id.clone(),
        endpoint_id: end.endpoint_id.clone(),
        gateway: address(end.gateway),
        ip_address: address(end.ip),
        ip_prefix_len: i64::from(end.prefix),
        ipv6_gateway: address(end.ipv6_gateway),
        global_ipv6_address: address(end.ipv6),
        global_ipv6_prefix_len: i64::from(end.ipv6_prefix),
        dns_names: end.dns_names.clone(),
    }
}

fn address(address: Option<IpAddr>) -> String {
    address.map(|address| address.to_string()).unwrap_or_default()
}

/// A network; only inspect shows its containers (and the list, to clients before 1.28).
pub(crate) fn network(network: NetworkInfo, inspect: bool, version: Version) -> wire::Network {
    let containers = network.containers.into_iter().map(|(id, end)| {
        let resource = wire::EndpointResource {
            name: end.name,
            endpoint_id: end.endpoint_id,
            mac_address: end.mac,
            ipv4_address: end.ipv4,
            ipv6_address: end.ipv6,
        };
        (id, resource)
    });
    let subnets = network.subnets.into_iter().map(|subnet| wire::IpamConfig {
        subnet: subnet.subnet,
        ip_range: subnet.ip_range,
        gateway: subnet.gateway,
        auxiliary_addresses: subnet.aux,
    });
    wire::Network {
        name: network.name,
        id: network.id,
        created: time::rfc3339(Some(network.created)),
        scope: network.scope,
        enable_ipv4: network.ipv4,
        enable_ipv6: network.ipv6,
        ipam: wire::Ipam {
            driver: "default".to_owned(),
            options: network.user_defined.then_some(network.ipam_options),
            config: subnets.collect(),
        },
        internal: network.internal,
        attachable: network.attachable,
        ingress: network.ingress,
        config_only: network.config_only,
        config_from: wire::ConfigReference { network: network.config_from },
        containers: match (inspect || version < Version::minor(28), version >= Version::minor(52)) {
            (true, _) => Some(containers.collect()),
            (false, false) => Some(Default::default()),
            (false, true) => None,
        },
        options: network.options,
        labels: network.labels,
        driver: network.driver,
    }
}

/// Values of filters that mean nothing.
pub(crate) fn check_network_filters(filters: &Filters) -> engine::error::Result<()> {
    let refused = |why: String| Err(engine::error::Error::bad_parameter(why));
    if let Some(kind) = filters.get("type").find(|kind| !matches!(*kind, "custom" | "builtin")) {
        return refused(format!("invalid filter: 'type'='{kind}'"));
    }
    if filters.get("dangling").any(|value| !matches!(value, "true" | "1" | "false" | "0")) {
        return refused(
            "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")"
                .to_owned(),
        );
    }
    Ok(())
}

/// Whether a network is wanted. One is predefined by its name, or made by a person.
pub(crate) fn network_passes(network: &NetworkInfo, filters: &Filters) -> bool {
    let kind = if network.user_defined { "custom" } else { "builtin" };
    let dangling = network.containers.is_empty() && network.user_defined;
    filters.any("name", |wanted| network.name.contains(wanted))
        && filters.any("id", |wanted| network.id.starts_with(wanted))
        && filters.exact("driver", &network.driver)
        && filters.exact("scope", &network.scope)
        && filters.exact("type", kind)
        && filters.any("dangling", |wanted| matches!(wanted, "1" | "true") == dangling)
        && filters.labels("label", &network.labels)
}
