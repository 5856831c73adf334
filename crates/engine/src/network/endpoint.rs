//! One container on one network: what it asks, in the network's words, and what it got, in ours.

use std::net::IpAddr;
use std::str::FromStr;

use ::network::{EndpointRequest, MacAddr, NetworkInfo};

use crate::container::mode::NetworkMode;
use crate::container::{Container, Endpoint, EndpointConfig, NetworkSettings};
use crate::engine::Inner;
use crate::error::{Error, Kind, Result};

/// What a container asks of a network.
///
/// # Errors
/// An address or a port is none; the network gives no chosen addresses.
pub(super) fn request(
    container: &Container,
    network: &NetworkInfo,
    asked: &EndpointConfig,
) -> Result<EndpointRequest> {
    let own_mac = Some(&container.config.mac_address).filter(|_| is_mode(container, network));
    let mac = [Some(&asked.mac_address), own_mac].into_iter().flatten().find(|mac| !mac.is_empty());
    let ip = address(&asked.ipv4_address, "IPv4")?;
    let ip6 = address(&asked.ipv6_address, "IPv6")?;
    if (ip.is_some() || ip6.is_some()) && network.user_defined && !network.subnet_chosen {
        return Err(Error::bad_parameter(
            "user specified IP address is supported only when connecting to networks with user configured subnets",
        ));
    }
    Ok(EndpointRequest {
        container_id: container.id.clone(),
        network_id: network.id.clone(),
        ip,
        ip6,
        link_local: asked.link_local_ips.iter().map(|text| link_local(text)).collect::<Result<_>>()?,
        mac: mac.map(|text| hardware_address(text)).transpose()?,
        ports: super::ports(container)?,
        names: if network.user_defined { names(container, asked) } else { Vec::new() },
        links: asked.links.iter().map(|link| split_link(link)).collect::<Result<_>>()?,
        priority: asked.gw_priority,
        options: ::network::EndpointOptions::read(&asked.driver_opts)
            .map_err(|error| Error::because("read driver options", error).of_kind(Kind::BadParameter))?,
    })
}

/// A container's addresses on a network, IPv4 first.
pub(super) fn addresses(endpoint: &::network::Endpoint) -> impl Iterator<Item = IpAddr> {
    endpoint.addresses().map(|address| address.addr())
}

/// Whether a container's network mode means this network.
pub(super) fn is_mode(container: &Container, network: &NetworkInfo) -> bool {
    match NetworkMode::parse(&container.host.network_mode) {
        Ok(NetworkMode::Bridge) => network.name == "bridge",
        Ok(NetworkMode::Custom(called)) => network.name == called || network.id.starts_with(&called),
        _ => false,
    }
}

/// Names by which others find it: its own, what was asked for, its short id, its hostname.
pub(crate) fn names(container: &Container, asked: &EndpointConfig) -> Vec<String> {
    let mut names = vec![container.name.clone()];
    let more =
        asked.aliases.iter().map(String::as_str).chain([container.short_id(), &container.config.hostname]);
    for name in more.filter(|name| !name.is_empty()) {
        if !names.iter().any(|have| have == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn address<A: FromStr>(text: &str, family: &str) -> Result<Option<A>> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_error| Error::bad_parameter(format!("invalid {family} address: {text}"));
    text.parse().map(Some).map_err(wrong)
}

/// A further address of the interface. As in Docker it need not be a link's own.
fn link_local(text: &str) -> Result<IpAddr> {
    let wrong = || Error::bad_parameter(format!("invalid link-local IP address: {text}"));
    let ip: IpAddr = text.parse().map_err(|_error| wrong())?;
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() { Err(wrong()) } else { Ok(ip) }
}

fn hardware_address(text: &str) -> Result<MacAddr> {
    text.parse().map_err(|error| {
        Error::because(format!("invalid MAC address: {text}"), error).of_kind(Kind::BadParameter)
    })
}

/// `other:name`: the container's own name for another; without a colon, the other's.
pub(crate) fn split_link(link: &str) -> Result<(String, String)> {
    let (other, name) = link.split_once(':').unwrap_or((link, link));
    let other = other.strip_prefix('/').unwrap_or(other);
    if other.is_empty() || name.is_empty() || name.contains(':') {
        return Err(Error::bad_parameter(format!("bad format for links: {link}")));
    }
    Ok((name.to_owned(), other.to_owned()))
}

/// A container's settings with these endpoints: all that it has.
pub(super) fn settle(engine: &Inner, container: &Container, made: &[::network::Endpoint]) -> NetworkSettings {
    let before = &container.network;
    let networks = engine.network.networks();
    let mut settings = before.clone();
    settings.networks.clear();
    for endpoint in made {
        let Some(network) = networks.iter().find(|network| network.id == endpoint.network_id) else {
            continue;
        };
        let known =
            |(name, end): &(&String, &Endpoint)| **name == network.name || end.network_id == network.id;
        let config = before.networks.iter().find(known).map(|(_, end)| end.config.clone());
        let end = Endpoint {
            config: config.unwrap_or_default(),
            network_id: network.id.clone(),
            endpoint_id: endpoint.id.clone(),
            ip: endpoint.ip.map(IpAddr::V4),
            prefix: endpoint.prefix_len,
            gateway: endpoint.gateway.filter(|_| !network.internal).map(IpAddr::V4),
            ipv6: endpoint.ip6.map(IpAddr::V6),
            ipv6_prefix: endpoint.prefix6_len,
            ipv6_gateway: endpoint.gateway6.filter(|_| !network.internal).map(IpAddr::V6),
            mac: endpoint.mac.to_string(),
            dns_names: endpoint.names.clone(),
        };
        settings.networks.insert(network.name.clone(), end);
    }
    let published: Vec<_> = made.iter().flat_map(|endpoint| endpoint.ports.iter().copied()).collect();
    settings.ports = super::ports::published(&before.ports, &published);
    settings.sandbox_id.clone_from(&container.id);
    settings.kernel = serde_json::to_value(made).ok();
    settings
}

/// The endpoints in a running container's record. The first releases recorded one alone, not a list.
///
/// # Errors
/// They can't be read.
pub(super) fn recorded(container: &Container) -> Result<Vec<::network::Endpoint>> {
    endpoints(container.network.kernel.as_ref())
}

/// Names of the interfaces that a running container was given.
pub(crate) fn interfaces(container: &Container) -> Vec<String> {
    let endpoints = recorded(container).unwrap_or_default();
    endpoints.into_iter().map(|endpoint| endpoint.interface).collect()
}

fn endpoints(recorded: Option<&serde_json::Value>) -> Result<Vec<::network::Endpoint>> {
    let unread = |error| Error::because("read endpoint", error);
    match recorded {
        None => Ok(Vec::new()),
        Some(list @ serde_json::Value::Array(_)) => serde_json::from_value(list.clone()).map_err(unread),
        Some(one) => serde_json::from_value(one.clone()).map(|one| vec![one]).map_err(unread),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the releases wrote it that knew the default bridge only.
    const FIRST: &str = r#"{"id":"ab","network_id":"cd","ip":"172.17.0.2","prefix_len":16,"gateway":"172.17.0.1",
        "mac":"02:42:ac:11:00:02","interface":"eth0","host_interface":"veth0123456789a","ports":[]}"#;

    #[test]
    fn records_of_earlier_releases_are_read() {
        let one: serde_json::Value = serde_json::from_str(FIRST).unwrap();
        let read = endpoints(Some(&one)).unwrap();
        assert_eq!((read.len(), read[0].interface.as_str(), read[0].names.len()), (1, "eth0", 0));
        let list = serde_json::to_value(&read).unwrap();
        assert_eq!(endpoints(Some(&list)).unwrap(), read);
        assert_eq!(endpoints(None).unwrap(), []);
        assert!(endpoints(Some(&serde_json::Value::Bool(true))).is_err());
    }

    #[test]
    fn links_name_another_container() {
        assert_eq!(split_link("/db:database").unwrap(), ("database".to_owned(), "db".to_owned()));
        assert_eq!(split_link("db").unwrap(), ("db".to_owned(), "db".to_owned()));
        for wrong in ["", ":", "a:", ":b", "a:b:c"] {
            assert!(split_link(wrong).is_err(), "{wrong}");
        }
    }
}
