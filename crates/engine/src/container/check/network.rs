//! Network settings that contradict each other, and those Berth can't do yet.

use crate::container::mode::NetworkMode;
use crate::container::{ContainerConfig, EndpointConfig, HostConfig, NetworkingConfig};
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
    if matches!(mode, NetworkMode::Host | NetworkMode::None) && !config.mac_address.is_empty() {
        return bad("conflicting options: mac-address and the network mode");
    }
    host.extra_hosts.iter().try_for_each(|line| super::super::files::extra_host(line).map(drop))?;
    for port in config.exposed_ports.iter().chain(host.port_bindings.keys()) {
        super::super::ports::parse(port)?;
    }
    for (name, asked) in &networking.endpoints {
        known(name, &mode, &host.network_mode)?;
        let predefined = matches!(name.as_str(), "bridge" | "default" | "host" | "none");
        endpoint(name, asked, !predefined)?;
    }
    Ok(mode)
}

/// What an endpoint can't have: one of a network that no person has made, above all.
///
/// # Errors
/// Docker's sentence about it, or that it is not there yet.
pub(crate) fn endpoint(name: &str, asked: &EndpointConfig, user_defined: bool) -> Result<()> {
    let predefined = !user_defined;
    let bare = predefined && !matches!(name, "bridge" | "default");
    let refused = [
        (
            predefined && !asked.aliases.is_empty(),
            "network-scoped aliases are only supported for user-defined networks",
        ),
        (predefined && !asked.links.is_empty(), "links are only supported for user-defined networks"),
        (asked.link_local_ips.len() > MOST_NAMES, "there are too many link-local addresses"),
        (
            bare && !asked.ipv4_address.is_empty(),
            "an IPv4 address (IPAMConfig.IPv4Address) needs a network of the container's own",
        ),
        (
            bare && !(asked.ipv6_address.is_empty() && asked.link_local_ips.is_empty()),
            "an IPv6 or link-local address (IPAMConfig) needs a network of the container's own",
        ),
        (
            bare && !asked.mac_address.is_empty(),
            "a MAC address (MacAddress) needs a network of the container's own",
        ),
        (asked.aliases.len() > MOST_NAMES || asked.links.len() > MOST_NAMES, "there are too many names"),
    ];
    if let Some((_, why)) = refused.iter().find(|(refused, _)| *refused) {
        return bad(format!("invalid endpoint settings for network {name}: {why}"));
    }
    if let Err(error) = ::network::EndpointOptions::read(&asked.driver_opts) {
        return bad(format!("invalid endpoint settings for network {name}: {error}"));
    }
    if let Some(wrong) = asked.aliases.iter().find(|alias| !is_alias(alias)) {
        return bad(format!("invalid endpoint settings for network {name}: invalid alias {wrong:?}"));
    }
    asked.links.iter().try_for_each(|link| crate::network::endpoint::split_link(link).map(drop))
}

/// Aliases of an endpoint, and its links, at most.
const MOST_NAMES: usize = 256;

/// A name that can be asked for in DNS (RFC 1035).
fn is_alias(alias: &str) -> bool {
    let label =
        |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(|b| b.is_ascii_graphic());
    alias.len() <= 253 && alias.split('.').all(label)
}

/// A container has one network that it does not share, or any number of bridges.
fn known(name: &str, mode: &NetworkMode, mode_name: &str) -> Result<()> {
    let fits = match mode {
        NetworkMode::Bridge | NetworkMode::Custom(_) => !matches!(name, "host" | "none"),
        _ => name == mode_name,
    };
    if fits {
        return Ok(());
    }
    bad(format!("conflicting options: cannot attach both {mode_name} and {name} networks"))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(mode: &str, change: impl FnOnce(&mut EndpointConfig)) -> Option<String> {
        let mut asked = EndpointConfig::default();
        change(&mut asked);
        let host = HostConfig { network_mode: mode.to_owned(), ..HostConfig::default() };
        let networking = NetworkingConfig { endpoints: [(mode.to_owned(), asked)].into() };
        check_network(&ContainerConfig::default(), &host, &networking).err().map(|error| error.to_string())
    }

    #[test]
    fn what_an_endpoint_cannot_have_is_refused_by_name() {
        assert_eq!(refused("bridge", |asked| asked.ipv4_address = "172.17.0.9".into()), None);
        assert!(refused("bridge", |asked| asked.aliases = vec!["a".into()]).unwrap().contains("aliases"));
        assert_eq!(refused("net", |asked| asked.aliases = vec!["a.b-c_d".into()]), None);
        for wrong in ["", "a b", "a..b"] {
            assert!(refused("net", |asked| asked.aliases = vec![wrong.into()]).is_some(), "{wrong}");
        }
        assert!(refused("none", |asked| asked.ipv6_address = "fd00::9".into()).unwrap().contains("IPv6"));
        assert_eq!(refused("bridge", |asked| asked.ipv6_address = "fd00::9".into()), None);
        let options = |asked: &mut EndpointConfig| asked.driver_opts = [("a".into(), "b".into())].into();
        assert!(refused("bridge", options).unwrap().contains("option a=b is not supported"));
        let named = |asked: &mut EndpointConfig| {
            asked.driver_opts = [("com.docker.network.endpoint.ifname".into(), "lan0".into())].into();
        };
        assert_eq!(refused("bridge", named), None);
        assert!(
            refused("none", |asked| asked.mac_address = "02:42:ac:11:00:09".into()).unwrap().contains("MAC")
        );
    }
}
