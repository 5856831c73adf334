//! Published ports: what a container asks, and what it got.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ::network::{PortRequest, Protocol, PublishedPort};

use crate::container::{Container, PortBinding};
use crate::error::{Error, Result};

/// Ports that the request publishes.
///
/// # Errors
/// A port or address is none.
pub(crate) fn ports(container: &Container) -> Result<Vec<PortRequest>> {
    let mut wanted = Vec::new();
    for (port, bindings) in &container.host.port_bindings {
        let (low, high, protocol) = crate::container::parse_port(port)?;
        let protocol = protocol_of(protocol);
        for binding in bindings {
            if let Some(first) = oci::ports::first_of_many(binding) {
                let one = PortBinding { host_port: first.to_string(), ..binding.clone() };
                wanted.push(PortRequest { more: high - low, ..one_port(low, protocol, &one)? });
                continue;
            }
            for port in low..=high {
                wanted.push(one_port(port, protocol, binding)?);
            }
        }
    }
    if container.host.publish_all_ports {
        for port in &container.config.exposed_ports {
            let (low, high, protocol) = crate::container::parse_port(port)?;
            let protocol = protocol_of(protocol);
            for port in low..=high {
                let named = wanted.iter().any(|have| {
                    let ports = have.container_port..=have.container_port.saturating_add(have.more);
                    ports.contains(&port) && have.protocol == protocol
                });
                if !named {
                    wanted.push(one_port(port, protocol, &PortBinding::default())?);
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

fn one_port(container_port: u16, protocol: Protocol, binding: &PortBinding) -> Result<PortRequest> {
    let wrong = || Error::bad_parameter(format!("invalid port specification: \"{}\"", binding.host_port));
    let number = |text: &str| text.parse::<u16>().map_err(|_error| wrong());
    let (first, last) = match binding.host_port.split_once('-') {
        None if binding.host_port.is_empty() => (None, None),
        None => (Some(number(&binding.host_port)?).filter(|port| *port != 0), None),
        Some((first, last)) => (Some(number(first)?), Some(number(last)?)),
    };
    let host_ip = match binding.host_ip.as_str() {
        "" => None,
        text => Some(text.parse::<IpAddr>().map(|ip| ip.to_canonical()).map_err(|_error| {
            Error::bad_parameter(format!("invalid host address for a published port: {text}"))
        })?),
    };
    Ok(PortRequest { protocol, container_port, host_ip, host_port: first, host_port_end: last, more: 0 })
}

/// A container's ports once some are published.
pub(super) fn published(
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
        let (binding, name) = if port.more == 0 {
            (binding, format!("{}/{protocol}", port.container_port))
        } else {
            let (low, high) = (port.container_port, port.container_port.saturating_add(port.more));
            (oci::ports::many(&binding), format!("{low}-{high}/{protocol}"))
        };
        ports.entry(name).or_insert_with(|| Some(Vec::new())).get_or_insert_default().push(binding);
    }
    ports
}
