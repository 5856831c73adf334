//! Networks, addresses, names and ports.

use std::net::IpAddr;

use api::container::{CreateRequest, PortBinding};
use api::network::{EndpointIpamConfig, EndpointSettings};

use super::{ports, refuse};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};
use crate::opts::kv;

pub(crate) const FLAGS: &[Flag] = &[
    Flag::list("add-host", "Add a host name and its address (host:ip)").check(check_host),
    Flag::list("dns", "Set DNS servers").check(check_ip),
    Flag::list("dns-opt", "Set DNS options").hidden(),
    Flag::list("dns-option", "Set DNS options"),
    Flag::list("dns-search", "Set DNS search domains"),
    Flag::list("expose", "Expose a port or a range of ports"),
    Flag::string("ip", "IPv4 address (such as 172.30.100.104)"),
    Flag::string("ip6", "IPv6 address (such as 2001:db8::33)"),
    Flag::list("link", "Link to another container").check(check_link),
    Flag::list("link-local-ip", "Link-local addresses").check(check_ip),
    Flag::string("mac-address", "MAC address (such as 92:d0:c6:0a:29:33)"),
    Flag::list("net", "Connect to a network").ty("network").hidden(),
    Flag::list("net-alias", "Add an alias in the network").hidden(),
    Flag::list("network", "Connect to a network").ty("network"),
    Flag::list("network-alias", "Add an alias in the network"),
    Flag::list("publish", "Publish ports on the host").short('p'),
    Flag::bool("publish-all", "Publish all exposed ports on free ports of the host").short('P'),
];

fn check_host(text: &str) -> Result<(), String> {
    let wrong = || format!("bad format for add-host: \"{text}\"");
    let (name, address) = text.split_once(['=', ':']).ok_or_else(wrong)?;
    if name.is_empty() {
        return Err(wrong());
    }
    let address = address.trim_start_matches('[').trim_end_matches(']');
    if address != "host-gateway" && address.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: \"{address}\""));
    }
    Ok(())
}

fn check_ip(text: &str) -> Result<(), String> {
    text.trim()
        .parse::<IpAddr>()
        .map(drop)
        .map_err(|_error| format!("IP address is not correctly formatted: {text}"))
}

fn check_link(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.split(':').collect();
    if text.is_empty() {
        return Err("empty string specified for links".to_owned());
    }
    if parts.len() > 2 || parts.iter().any(|part| part.is_empty()) {
        return Err(format!("bad format for links: {text}"));
    }
    Ok(())
}

pub(super) fn apply(matches: &Matches, request: &mut CreateRequest) -> Result<()> {
    let both = |one: &str, other: &str| [matches.list(one), matches.list(other)].concat();
    publish(matches, request)?;
    let host = &mut request.host_config;
    host.publish_all_ports = matches.bool("publish-all");
    host.extra_hosts = matches.all("add-host").iter().map(|text| text.replacen('=', ":", 1)).collect();
    host.dns = matches.list("dns");
    host.dns_options = both("dns-option", "dns-opt");
    host.dns_search = matches.list("dns-search");
    let settings = own_settings(matches, both("network-alias", "net-alias"))?;
    let networks = both("network", "net");
    connect(request, &networks, settings)?;
    // Links of the default bridge are the host's; those of a network are the endpoint's.
    if ["", "default", "bridge"].contains(&request.host_config.network_mode.as_str()) {
        request.host_config.links = matches.list("link");
    }
    Ok(())
}

fn publish(matches: &Matches, request: &mut CreateRequest) -> Result<()> {
    for text in matches.all("publish") {
        for published in ports::publish(text).map_err(Error::Said)? {
            request.config.exposed_ports.0.insert(published.port.clone());
            let bindings = request.host_config.port_bindings.0.entry(published.port).or_default();
            bindings
                .get_or_insert_default()
                .push(PortBinding { host_ip: published.ip, host_port: published.host });
        }
    }
    for text in matches.all("expose") {
        for port in ports::expose(text).map_err(Error::Said)? {
            request.config.exposed_ports.0.insert(port);
        }
    }
    Ok(())
}

/// What flags beside `--network` say about the first network.
fn own_settings(matches: &Matches, aliases: Vec<String>) -> Result<EndpointSettings> {
    let mac = matches.get("mac-address");
    if !mac.is_empty() && !is_mac(mac) {
        return refuse(format!("{mac} is not a valid mac address"));
    }
    let mut settings = EndpointSettings {
        aliases,
        links: matches.list("link"),
        mac_address: mac.to_owned(),
        ..Default::default()
    };
    for flag in ["ip", "ip6"] {
        let text = matches.get(flag);
        if !text.is_empty() && text.parse::<IpAddr>().is_err() {
            return refuse(format!(
                "invalid argument \"{text}\" for \"--{flag}\" flag: failed to parse IP: \"{text}\""
            ));
        }
    }
    let addresses = EndpointIpamConfig {
        ipv4_address: matches.get("ip").to_owned(),
        ipv6_address: matches.get("ip6").to_owned(),
        link_local_ips: matches.list("link-local-ip"),
    };
    settings.ipam_config = (addresses != EndpointIpamConfig::default()).then_some(addresses);
    Ok(settings)
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    parts.len() == 6 && parts.iter().all(|part| part.len() == 2 && u8::from_str_radix(part, 16).is_ok())
}

/// Sets the network mode, and one endpoint for each network that has something to say.
fn connect(request: &mut CreateRequest, networks: &[String], own: EndpointSettings) -> Result<()> {
    let Some(first) = networks.first() else {
        "default".clone_into(&mut request.host_config.network_mode);
        let plain = EndpointSettings { links: Vec::new(), ..own.clone() } == EndpointSettings::default();
        if !plain {
            request.networking_config.endpoints_config.insert("default".into(), Some(own));
        }
        return Ok(());
    };
    for (index, text) in networks.iter().enumerate() {
        let (name, settings) = endpoint(text)?;
        let special = ["none", "host"].contains(&name.as_str()) || name.starts_with("container:");
        if special && networks.len() > 1 {
            return refuse(format!(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes: {name}"
            ));
        }
        let settings = if index == 0 { merge(settings, &own)? } else { settings };
        if special && !settings.aliases.is_empty() {
            return refuse("network-scoped aliases are only supported for user-defined networks");
        }
        if name.starts_with("container:") && name.len() == "container:".len() {
            return refuse("Error response from daemon: invalid container format container:<name|id>");
        }
        if name.starts_with("container:") {
            continue;
        }
        let endpoints = &mut request.networking_config.endpoints_config;
        if endpoints.insert(name.clone(), Some(settings)).is_some() {
            return refuse(format!("network \"{name}\" is specified multiple times"));
        }
    }
    request.host_config.network_mode = endpoint(first)?.0;
    Ok(())
}

/// `NAME` or `name=NAME,alias=…,ip=…`
fn endpoint(text: &str) -> Result<(String, EndpointSettings)> {
    let mut settings = EndpointSettings::default();
    if !text.contains('=') {
        return Ok((text.to_owned(), settings));
    }
    let mut name = String::new();
    let mut addresses = EndpointIpamConfig::default();
    for field in kv::csv(text).map_err(Error::Said)? {
        let Some((key, value)) = field.split_once('=') else {
            return refuse(format!("invalid field {field}"));
        };
        let value = value.trim().to_owned();
        match key.trim().to_lowercase().as_str() {
            "name" => name = value,
            "alias" => settings.aliases.push(value),
            "ip" => addresses.ipv4_address = value,
            "ip6" => addresses.ipv6_address = value,
            "link-local-ip" => addresses.link_local_ips.push(value),
            "mac-address" => settings.mac_address = value,
            "gw-priority" => match value.parse() {
                Ok(priority) => settings.gw_priority = priority,
                Err(_) => return refuse(format!("invalid gw-priority ({value}): value must be an integer")),
            },
            "driver-opt" => match value.split_once('=') {
                Some((key, value)) => {
                    settings.driver_opts.insert(key.to_lowercase(), value.to_owned());
                }
                None => return refuse("invalid key value pair format in driver options"),
            },
            other => return refuse(format!("invalid field key {other}")),
        }
    }
    if name.is_empty() {
        return refuse("network name is not specified");
    }
    settings.ipam_config = (addresses != EndpointIpamConfig::default()).then_some(addresses);
    Ok((name, settings))
}

/// The first network's own fields, completed by the flags beside it.
fn merge(mut settings: EndpointSettings, own: &EndpointSettings) -> Result<EndpointSettings> {
    if !own.aliases.is_empty() && !settings.aliases.is_empty() {
        return refuse("conflicting options: cannot specify both --network-alias and per-network alias");
    }
    if own.ipam_config.is_some() && settings.ipam_config.is_some() {
        return refuse("conflicting options: cannot specify both --ip and per-network IPv4 address");
    }
    settings.aliases.extend(own.aliases.iter().cloned());
    settings.links.extend(own.links.iter().cloned());
    if settings.ipam_config.is_none() {
        settings.ipam_config.clone_from(&own.ipam_config);
    }
    if settings.mac_address.is_empty() {
        settings.mac_address.clone_from(&own.mac_address);
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::super::testing::plan;

    #[test]
    fn publishing_exposes() {
        let request = plan(&["-p", "8080:80", "--expose", "81"]).unwrap();
        assert_eq!(request.config.exposed_ports.0.iter().collect::<Vec<_>>(), ["80/tcp", "81/tcp"]);
        assert_eq!(request.host_config.port_bindings.0["80/tcp"].as_ref().unwrap()[0].host_port, "8080");
        assert_eq!(plan(&["-p", "99999:1"]).unwrap_err(), "invalid hostPort: 99999");
    }

    #[test]
    fn networks_by_name_and_by_fields() {
        assert_eq!(plan(&[]).unwrap().host_config.network_mode, "default");
        let request = plan(&["--network", "name=a,alias=x,ip=10.0.0.2", "--net", "b"]).unwrap();
        assert_eq!(request.host_config.network_mode, "a");
        let endpoints = request.networking_config.endpoints_config;
        assert_eq!(endpoints["a"].as_ref().unwrap().aliases, ["x"]);
        assert_eq!(endpoints["a"].as_ref().unwrap().ipam_config.as_ref().unwrap().ipv4_address, "10.0.0.2");
        assert!(endpoints.contains_key("b"));
        assert!(plan(&["--network", "none", "--network", "b"]).is_err());
    }

    #[test]
    fn names_and_addresses_are_checked() {
        assert!(plan(&["--add-host", "foo"]).unwrap_err().ends_with("bad format for add-host: \"foo\""));
        assert!(plan(&["--dns", "foo"]).unwrap_err().ends_with("IP address is not correctly formatted: foo"));
        assert_eq!(plan(&["--mac-address", "foo"]).unwrap_err(), "foo is not a valid mac address");
        assert!(plan(&["--link", "::"]).unwrap_err().ends_with("bad format for links: ::"));
        let hosts =
            plan(&["--add-host", "a=::1", "--add-host", "b:host-gateway"]).unwrap().host_config.extra_hosts;
        assert_eq!(hosts, ["a:::1", "b:host-gateway"]);
    }
}
