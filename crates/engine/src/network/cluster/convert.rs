//! The store's words, the network's and ours.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ::cluster as store;
use ::network::{OverlayNetwork, OverlayOptions, OverlaySubnet, Peer, SubnetRequest};
use ipnet::IpNet;

use crate::error::{Error, Result};
use crate::network::NetworkRequest;

/// A network of the store's, for the kernel.
pub(super) fn overlay(network: &store::Network) -> OverlayNetwork {
    OverlayNetwork {
        id: network.id.clone(),
        name: network.name.clone(),
        created_ms: network.created_ms,
        vni: network.vni,
        mtu: network.mtu,
        encrypted: network.encrypted,
        subnets: network.subnets.iter().map(subnet).collect(),
        internal: network.internal,
        attachable: network.attachable,
        options: network.options.clone(),
        labels: network.labels.clone(),
        subnet_chosen: network.subnet_chosen,
    }
}

fn subnet(one: &store::Subnet) -> OverlaySubnet {
    OverlaySubnet { subnet: one.subnet, ip_range: one.ip_range, gateway: one.gateway, aux: one.aux.clone() }
}

/// A machine of the store's.
pub(super) fn host(host: &store::Host) -> ::network::Host {
    let key = host.wireguard.as_ref().and_then(|key| hex::decode(key).ok());
    let wg_key = key.and_then(|key| <[u8; 32]>::try_from(key).ok());
    ::network::Host { id: host.id.clone(), vtep: host.address, wg_key }
}

/// Another machine's container; `None` if its hardware address is none.
pub(super) fn peer(endpoint: &store::Endpoint) -> Option<Peer> {
    Some(Peer {
        endpoint_id: endpoint.id.clone(),
        host_id: endpoint.host.clone(),
        ip: endpoint.ip,
        ip6: endpoint.ip6,
        mac: endpoint.mac.parse().ok()?,
        names: endpoint.names.clone(),
    })
}

/// What other machines are told of a container here.
pub(super) fn endpoint(host: &str, container: &str, made: &::network::Endpoint) -> store::Endpoint {
    store::Endpoint {
        id: made.id.clone(),
        host: host.to_owned(),
        name: made.names.first().cloned().unwrap_or_else(|| container.chars().take(12).collect()),
        ip: made.ip,
        ip6: made.ip6,
        mac: made.mac.to_string(),
        names: made.names.clone(),
    }
}

/// A network that a person asks for, for the store.
///
/// # Errors
/// An option or an address is wrong.
pub(super) fn wished(request: &NetworkRequest) -> Result<store::Network> {
    let options = OverlayOptions::read(&request.options).map_err(|error| {
        let kind = crate::network::attach::kind(&error);
        Error::system(error.to_string()).of_kind(kind)
    })?;
    let local_only = [
        (request.scope == "local", "the scope local"),
        (request.ingress, "the routing mesh (Ingress)"),
        (!request.config_from.is_empty(), "another network's configuration (ConfigFrom)"),
        (!request.ipam_options.is_empty(), "options of the IPAM driver (IPAM.Options)"),
        (!request.ipv4 && !request.ipv6, "a network without addresses"),
    ];
    if let Some((_, what)) = local_only.iter().find(|(asked, _)| *asked) {
        return Err(bad(&format!("network {}: the driver overlay has not {what}", request.name)));
    }
    let asked = request.subnets.iter().filter(|asked| !asked.subnet.is_empty());
    let subnets = asked.map(read_subnet).collect::<Result<Vec<_>>>()?;
    let orphan = |asked: &&SubnetRequest| {
        asked.subnet.is_empty()
            && !(asked.ip_range.is_empty() && asked.gateway.is_empty() && asked.aux.is_empty())
    };
    if request.subnets.iter().any(|asked| orphan(&asked)) {
        return Err(bad("every ip-range, gateway or aux-address must have a corresponding subnet"));
    }
    let has = |v4: bool| subnets.iter().filter(|one| one.subnet.addr().is_ipv4() == v4).count();
    match (has(true), has(false)) {
        (2.., _) | (_, 2..) => {
            return Err(bad("a network of the driver overlay has one subnet for each address family"));
        }
        (_, 1) if !request.ipv6 => return Err(bad("an IPv6 subnet needs --ipv6")),
        (_, 0) if request.ipv6 => {
            return Err(bad("--ipv6 on a network of the driver overlay needs an IPv6 subnet (--subnet)"));
        }
        (1, _) if !request.ipv4 => return Err(bad("an IPv4 subnet needs EnableIPv4")),
        _ => {}
    }
    let mut subnets = subnets;
    subnets.sort_by_key(|one| one.subnet.addr().is_ipv6());
    Ok(store::Network {
        id: crate::id::random()?,
        name: request.name.clone(),
        created_ms: u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default(),
        vni: options.vnis.first().copied().unwrap_or_default(),
        subnet_chosen: !subnets.is_empty(),
        subnets,
        mtu: options.mtu,
        encrypted: options.encrypted,
        internal: request.internal,
        attachable: request.attachable,
        options: request.options.clone(),
        labels: request.labels.clone(),
    })
}

fn bad(why: &str) -> Error {
    Error::bad_parameter(why)
}

fn read_subnet(asked: &SubnetRequest) -> Result<store::Subnet> {
    let net = |what: &str, text: &str| {
        let read = text.parse::<IpNet>().ok();
        read.ok_or_else(|| bad(&format!("invalid {what} {text}: invalid CIDR block notation")))
    };
    let subnet = net("subnet", &asked.subnet)?;
    if subnet != subnet.trunc() {
        return Err(bad(&format!("invalid subnet {subnet}: it should be {}", subnet.trunc())));
    }
    let inside = |what: &str, text: &str| {
        let ip = text
            .parse::<IpAddr>()
            .map_err(|_not_an_ip| bad(&format!("invalid {what} {text}: invalid address")))?;
        if subnet.contains(&ip) {
            return Ok(ip);
        }
        Err(bad(&format!("invalid {what} {ip}: parent subnet {subnet} doesn't contain it")))
    };
    let ip_range = match asked.ip_range.as_str() {
        "" => None,
        text => Some(net("ip-range", text)?),
    };
    let gateway = match asked.gateway.as_str() {
        "" => first(ip_range.unwrap_or(subnet), subnet),
        text => inside("gateway address", text)?,
    };
    let aux = asked.aux.iter().map(|(name, text)| Ok((name.clone(), inside("auxiliary address", text)?)));
    Ok(store::Subnet { subnet, ip_range, gateway, aux: aux.collect::<Result<BTreeMap<_, _>>>()? })
}

/// The first address that a machine can have.
fn first(range: IpNet, subnet: IpNet) -> IpAddr {
    match range.network() {
        first if first != subnet.network() => first,
        IpAddr::V4(first) => IpAddr::V4(u32::from(first).saturating_add(1).into()),
        IpAddr::V6(first) => IpAddr::V6(u128::from(first).saturating_add(1).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(subnets: &[(&str, &str)]) -> NetworkRequest {
        let subnet = |(subnet, gateway): &(&str, &str)| SubnetRequest {
            subnet: (*subnet).to_owned(),
            gateway: (*gateway).to_owned(),
            ..SubnetRequest::default()
        };
        let subnets: Vec<_> = subnets.iter().map(subnet).collect();
        let ipv6 = subnets.iter().any(|one| one.subnet.contains("::"));
        NetworkRequest { name: "n".into(), ipv4: true, ipv6, subnets, ..NetworkRequest::default() }
    }

    #[test]
    fn gateways_are_the_first_address_unless_said_otherwise() {
        let made = wished(&request(&[("fd00::/64", ""), ("10.1.0.0/16", "")])).unwrap();
        let gateways: Vec<_> = made.subnets.iter().map(|one| one.gateway.to_string()).collect();
        assert_eq!(gateways, ["10.1.0.1", "fd00::1"]);
        assert_eq!(
            wished(&request(&[("10.1.0.0/16", "10.1.9.9")])).unwrap().subnets[0].gateway.to_string(),
            "10.1.9.9"
        );
        assert!(wished(&request(&[])).unwrap().subnets.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (subnets, named) in [
            (&[("10.1.0.0", "")][..], "10.1.0.0"),
            (&[("10.1.0.1/16", "")], "10.1.0.0/16"),
            (&[("10.1.0.0/16", "10.2.0.1")], "10.2.0.1"),
            (&[("10.1.0.0/16", ""), ("10.2.0.0/16", "")], "one subnet"),
            (&[("", "10.1.0.1")], "corresponding subnet"),
        ] {
            let error = wished(&request(subnets)).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        let alone = NetworkRequest { config_from: "x".into(), ..request(&[]) };
        assert!(wished(&alone).unwrap_err().to_string().contains("ConfigFrom"));
        let six = NetworkRequest { ipv6: true, ..request(&[]) };
        assert!(wished(&six).unwrap_err().to_string().contains("IPv6 subnet"));
    }
}
