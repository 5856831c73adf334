//! Network settings that contradict each other, and those Berth can't do yet.

use crate::container::mode::NetworkMode;
use crate::container::{ContainerConfig, HostConfig, NetworkingConfig};
use crate::error::{Error, Result};

fn bad<T>(sentence: impl Into<String>) -> Result<T> {
    Err(Error::bad_parameter(sentence))
}

/// Checks the network half of a description.
///
/// # Errors
/// Docker's sentence about the first contradiction.
pub(crate) fn check_network(
    config: &ContainerConfig,
    host: &HostConfig,
    networking: &NetworkingConfig,
) -> Result<NetworkMode> {
    let mode = NetworkMode::parse(&host.network_mode)?;
    if let NetworkMode::Container(_) = mode {
        shared(config, host)?;
    }
    if mode == NetworkMode::Host && !host.links.is_empty() {
        return bad(
            "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
        );
    }
    if let Some(link) = host.links.first() {
        return Err(Error::not_implemented(format!(
            "link {link}: legacy links are not supported; use a network"
        )));
    }
    if let Some(wrong) = host.extra_hosts.iter().find(|line| !line.contains([':', '='])) {
        return bad(format!("bad format for add-host: \"{wrong}\""));
    }
    for port in config.exposed_ports.iter().chain(host.port_bindings.keys()) {
        super::super::ports::parse(port)?;
    }
    for name in networking.endpoints.keys() {
        known(name, &mode, &host.network_mode)?;
    }
    Ok(mode)
}

/// Only the network of the mode itself may carry settings: there are no others yet.
fn known(name: &str, mode: &NetworkMode, mode_name: &str) -> Result<()> {
    let own = match mode {
        NetworkMode::Bridge => matches!(name, "bridge" | "default"),
        _ => name == mode_name,
    };
    if own {
        return Ok(());
    }
    match name {
        "bridge" | "default" | "host" | "none" => {
            bad(format!("conflicting options: cannot attach both {mode_name} and {name} networks"))
        }
        _ => Err(Error::not_found(format!("network {name} not found"))),
    }
}

fn shared(config: &ContainerConfig, host: &HostConfig) -> Result<()> {
    let conflicts = [
        (!config.hostname.is_empty(), "hostname and the network mode"),
        (
            !host.links.is_empty(),
            "container type network can't be used with links. This would result in undefined behavior",
        ),
        (!host.dns.is_empty(), "dns and the network mode"),
        (!host.extra_hosts.is_empty(), "custom host-to-IP mapping and the network mode"),
        (!config.mac_address.is_empty(), "mac-address and the network mode"),
        (
            !host.port_bindings.is_empty() || host.publish_all_ports,
            "port publishing and the container type network mode",
        ),
        (!config.exposed_ports.is_empty(), "port exposing and the container type network mode"),
    ];
    match conflicts.iter().find(|(conflict, _)| *conflict) {
        Some((_, what)) => bad(format!("conflicting options: {what}")),
        None => Ok(()),
    }
}
