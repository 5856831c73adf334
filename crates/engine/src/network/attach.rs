//! A container joins and leaves its network. Everything here blocks.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;

use ::network::{EndpointRequest, MacAddr, PortRequest, Protocol, PublishedPort};

use crate::container::mode::NetworkMode;
use crate::container::{Container, Endpoint, NetworkSettings, PortBinding};
use crate::engine::Inner;
use crate::error::{Error, Kind, Result};

/// A container's network, made.
pub(crate) struct Attached {
    /// `None` = the host's.
    pub(crate) netns: Option<OwnedFd>,
    pub(crate) settings: NetworkSettings,
    pub(crate) addresses: Vec<IpAddr>,
}

/// Makes a container's network.
///
/// # Errors
/// The network's refusal; an unknown network.
pub(crate) fn attach(engine: &Inner, container: &Container, mode: &NetworkMode) -> Result<Attached> {
    match mode {
        NetworkMode::Bridge => bridge(engine, container),
        NetworkMode::None => {
            let netns = engine.network.isolated().map_err(failed)?;
            Ok(Attached {
                netns: Some(netns),
                settings: plain(engine, container, "none"),
                addresses: Vec::new(),
            })
        }
        NetworkMode::Host => {
            Ok(Attached { netns: None, settings: plain(engine, container, "host"), addresses: Vec::new() })
        }
        NetworkMode::Container(name) => {
            Err(Error::system(format!("the network of container {name} is joined, not made")))
        }
        NetworkMode::Custom(name) => Err(Error::not_found(format!("network {name} not found"))),
    }
}

fn failed(error: ::network::Error) -> Error {
    Error::because("failed to set up container networking", error)
}

/// Settings without addresses.
fn plain(engine: &Inner, container: &Container, name: &str) -> NetworkSettings {
    let mut settings = container.network.clone();
    if let Some(endpoint) = settings.networks.get_mut(name) {
        endpoint.network_id = network_id(engine, name);
        endpoint.endpoint_id.clone_from(&container.id);
    }
    settings.sandbox_id.clone_from(&container.id);
    settings
}

fn network_id(engine: &Inner, name: &str) -> String {
    engine
        .network
        .networks()
        .into_iter()
        .find(|network| network.name == name)
        .map(|network| network.id)
        .unwrap_or_default()
}

fn bridge(engine: &Inner, container: &Container) -> Result<Attached> {
    let asked =
        container.network.networks.get("bridge").map(|endpoint| endpoint.config.clone()).unwrap_or_default();
    let mac = [&asked.mac_address, &container.config.mac_address].into_iter().find(|mac| !mac.is_empty());
    let mac = match mac {
        Some(text) => Some(text.parse::<MacAddr>().map_err(|error| {
            Error::because(format!("invalid MAC address: {text}"), error).of_kind(Kind::BadParameter)
        })?),
        None => None,
    };
    let request = EndpointRequest {
        container_id: container.id.clone(),
        ip: address(&asked.ipv4_address)?,
        mac,
        ports: ports(container)?,
    };
    let attachment = engine.network.attach_bridge(&request).map_err(failed)?;
    let made = attachment.endpoint;
    let addresses = vec![IpAddr::V4(made.ip)];
    let endpoint = Endpoint {
        config: asked,
        network_id: made.network_id.clone(),
        endpoint_id: made.id.clone(),
        ip: Some(made.ip.into()),
        prefix: made.prefix_len,
        gateway: Some(made.gateway.into()),
        mac: made.mac.to_string(),
        ..Endpoint::default()
    };
    let mut settings = container.network.clone();
    settings.ports = published(&container.network.ports, &made.ports);
    settings.networks.insert("bridge".to_owned(), endpoint);
    settings.sandbox_id.clone_from(&container.id);
    settings.kernel = serde_json::to_value(&made).ok();
    Ok(Attached { netns: Some(attachment.netns), settings, addresses })
}

fn address(text: &str) -> Result<Option<Ipv4Addr>> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_error| Error::bad_parameter(format!("invalid IPv4 address: {text}"));
    text.parse().map(Some).map_err(wrong)
}

/// Ports that the request publishes.
///
/// # Errors
/// A port or address is none.
pub(crate) fn ports(container: &Container) -> Result<Vec<PortRequest>> {
    let mut wanted = Vec::new();
    for (port, bindings) in &container.host.port_bindings {
        let (low, high, protocol) = crate::container::parse_port(port)?;
        for port in low..=high {
            for binding in bindings {
                wanted.push(one(port, protocol_of(protocol), binding)?);
            }
        }
    }
    if container.host.publish_all_ports {
        for port in &container.config.exposed_ports {
            let (low, high, protocol) = crate::container::parse_port(port)?;
            let protocol = protocol_of(protocol);
            for port in low..=high {
                let named =
                    wanted.iter().any(|have| have.container_port == port && have.protocol == protocol);
                if !named {
                    wanted.push(one(port, protocol, &PortBinding::default())?);
                }
            }
        }
    }
    Ok(wanted)
}

fn protocol_of(text: &str) -> Protocol {
    match text {
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}

fn one(container_port: u16, protocol: Protocol, binding: &PortBinding) -> Result<PortRequest> {
    let wrong = || Error::bad_parameter(format!("invalid port specification: \"{}\"", binding.host_port));
    let number = |text: &str| text.parse::<u16>().map_err(|_error| wrong());
    let (first, last) = match binding.host_port.split_once('-') {
        None if binding.host_port.is_empty() => (None, None),
        None => (Some(number(&binding.host_port)?).filter(|port| *port != 0), None),
        Some((first, last)) => (Some(number(first)?), Some(number(last)?)),
    };
    let host_ip = match binding.host_ip.as_str() {
        "" => None,
        // published on all addresses; IPv6 has none to publish on
        "::" => None,
        text => Some(text.parse::<Ipv4Addr>().map_err(|_error| {
            Error::bad_parameter(format!(
                "invalid host address for a published port: {text} (only IPv4 is supported)"
            ))
        })?),
    };
    Ok(PortRequest { protocol, container_port, host_ip, host_port: first, host_port_end: last })
}

fn published(
    before: &BTreeMap<String, Option<Vec<PortBinding>>>,
    made: &[PublishedPort],
) -> BTreeMap<String, Option<Vec<PortBinding>>> {
    let mut ports: BTreeMap<_, _> = before.keys().map(|port| (port.clone(), None)).collect();
    for port in made {
        let protocol = match port.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        };
        let binding =
            PortBinding { host_ip: port.host_ip.to_string(), host_port: port.host_port.to_string() };
        let name = format!("{}/{protocol}", port.container_port);
        ports.entry(name).or_insert_with(|| Some(Vec::new())).get_or_insert_default().push(binding);
    }
    ports
}

/// Gives a container's addresses and ports back, and its shared memory. One without any is fine.
///
/// # Errors
/// The kernel refuses.
pub(crate) fn detach(engine: &Inner, id: &str) -> Result<()> {
    crate::container::start::forget_shm(engine, id);
    engine.network.detach(id).map_err(|error| Error::because("give the network back", error))
}

/// Takes a running container's addresses over after a restart of the daemon.
///
/// # Errors
/// Another container has its address.
pub(crate) fn adopt(engine: &Inner, container: &Container) -> Result<()> {
    let Some(kernel) = &container.network.kernel else { return Ok(()) };
    let endpoint =
        serde_json::from_value(kernel.clone()).map_err(|error| Error::because("read endpoint", error))?;
    engine
        .network
        .adopt(&container.id, &endpoint)
        .map_err(|error| Error::because("take the network over", error))
}

/// What `host-gateway` means, if this container's `--add-host` says it.
///
/// # Errors
/// The bridge can't be made.
pub(crate) fn host_gateway(engine: &Inner, container: &Container) -> Result<Option<IpAddr>> {
    if !container.host.extra_hosts.iter().any(|line| line.ends_with("host-gateway")) {
        return Ok(None);
    }
    let configured = &engine.config.dns.host_gateway_ip;
    if !configured.is_empty() {
        let wrong = |_error| Error::bad_parameter(format!("invalid host-gateway-ip: {configured}"));
        return configured.parse().map(Some).map_err(wrong);
    }
    engine.network.host_gateway().map(|ip| Some(ip.into())).map_err(failed)
}
