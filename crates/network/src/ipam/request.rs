//! What a person asks of a network's addresses, read and checked.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Addresses that may be kept from containers at most.
const MAX_AUX: usize = 256;
/// Shortest prefix: a shorter one takes most of the machine's routes.
const SHORTEST: u8 = 8;
/// Longest prefix: the bridge and one container need an address each.
const LONGEST: u8 = 30;

/// One subnet as it is asked for; what is empty is left to us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetRequest {
    /// The subnet, such as `10.1.0.0/16`.
    pub subnet: String,
    /// Part of it that automatic addresses come from.
    pub ip_range: String,
    /// Address of the bridge.
    pub gateway: String,
    /// Name → an address that no container gets by itself.
    pub aux: BTreeMap<String, String>,
}

/// A network's addresses, as far as they are settled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The subnet; `None` asks for a free one.
    pub(crate) subnet: Option<Ipv4Net>,
    /// Part of it for automatic addresses.
    pub(crate) ip_range: Option<Ipv4Net>,
    /// Address of the bridge.
    pub(crate) gateway: Option<Ipv4Addr>,
    /// Addresses that are not given out.
    pub(crate) aux: BTreeMap<String, Ipv4Addr>,
}

/// Reads what is asked; the bridge driver has one subnet.
pub(crate) fn read(asked: &[SubnetRequest]) -> Result<Wanted> {
    let [one] = asked else {
        return match asked {
            [] => Ok(Wanted::default()),
            _ => Err(Error::Forbidden("bridge driver doesn't support multiple subnets".to_owned())),
        };
    };
    if one.subnet.is_empty() {
        let alone = one.ip_range.is_empty() && one.gateway.is_empty() && one.aux.is_empty();
        let why = "every ip-range, gateway or aux-address must have a corresponding subnet";
        return if alone { Ok(Wanted::default()) } else { Err(invalid(why)) };
    }
    let subnet = usable(net("subnet", &one.subnet)?)?;
    let ip_range = optional(&one.ip_range, |text| net("ip-range", text))?;
    if let Some(range) = ip_range.filter(|range| !subnet.contains(range)) {
        return Err(invalid(&format!("invalid ip-range {range}: parent subnet {subnet} doesn't contain it")));
    }
    let gateway = optional(&one.gateway, |text| address("gateway address", text, subnet))?;
    if let Some(edge) = gateway.filter(|ip| *ip == subnet.network() || *ip == subnet.broadcast()) {
        return Err(invalid(&format!("invalid gateway address {edge}: it is not a host's")));
    }
    if one.aux.len() > MAX_AUX {
        return Err(invalid(&format!("more than {MAX_AUX} auxiliary addresses")));
    }
    let aux =
        one.aux.iter().map(|(name, text)| Ok((name.clone(), address("auxiliary address", text, subnet)?)));
    Ok(Wanted { subnet: Some(subnet), ip_range, gateway, aux: aux.collect::<Result<_>>()? })
}

/// The bridge's address when none is asked for: the first that may be given out.
pub(crate) fn first(subnet: Ipv4Net, ip_range: Option<Ipv4Net>) -> Ipv4Addr {
    let first = ip_range.unwrap_or(subnet).network();
    if first == subnet.network() { Ipv4Addr::from(u32::from(first).saturating_add(1)) } else { first }
}

fn invalid(why: &str) -> Error {
    Error::Invalid(format!("invalid network config:\n{why}"))
}

fn optional<T>(text: &str, read: impl FnOnce(&str) -> Result<T>) -> Result<Option<T>> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

fn net(what: &str, text: &str) -> Result<Ipv4Net> {
    if text.contains(':') {
        return Err(Error::Unsupported(format!("{what} {}: IPv6 is not supported yet", shown(text))));
    }
    let net: Ipv4Net = text.parse().map_err(|_unread| {
        invalid(&format!("invalid {what} {}: invalid CIDR block notation", shown(text)))
    })?;
    if net != net.trunc() {
        return Err(invalid(&format!("invalid {what} {net}: it should be {}", net.trunc())));
    }
    Ok(net)
}

/// Refuses what would take the machine's own addresses away.
fn usable(subnet: Ipv4Net) -> Result<Ipv4Net> {
    let why = if subnet.prefix_len() < SHORTEST {
        format!("its prefix is shorter than {SHORTEST} bits")
    } else if subnet.prefix_len() > LONGEST {
        format!("its prefix is longer than {LONGEST} bits")
    } else if subnet.network().octets()[0] == 0
        || subnet.network().octets()[0] >= 224
        || subnet.network().is_loopback()
    {
        "it holds no addresses for hosts".to_owned()
    } else {
        return Ok(subnet);
    };
    Err(invalid(&format!("invalid subnet {subnet}: {why}")))
}

fn address(what: &str, text: &str, subnet: Ipv4Net) -> Result<Ipv4Addr> {
    let ip: Ipv4Addr = text.parse().map_err(|_unread| invalid(&format!("invalid {what} {}", shown(text))))?;
    if !subnet.contains(&ip) {
        return Err(invalid(&format!(
            "invalid {what} {ip}: parent subnet {subnet} doesn't contain this address"
        )));
    }
    Ok(ip)
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(subnet: &str, ip_range: &str, gateway: &str) -> Result<Wanted> {
        read(&[SubnetRequest {
            subnet: subnet.into(),
            ip_range: ip_range.into(),
            gateway: gateway.into(),
            aux: BTreeMap::new(),
        }])
    }

    #[test]
    fn what_is_left_open_stays_open() {
        assert_eq!(read(&[]).expect("nothing"), Wanted::default());
        let wanted = ask("10.8.0.0/16", "10.8.5.0/24", "").expect("wanted");
        let subnet = wanted.subnet.expect("subnet");
        assert_eq!(first(subnet, wanted.ip_range), Ipv4Addr::new(10, 8, 5, 0));
        assert_eq!(first(subnet, None), Ipv4Addr::new(10, 8, 0, 1));
    }

    #[test]
    fn contradictions_are_refused() {
        for (subnet, range, gateway, why) in [
            ("xx", "", "", "invalid CIDR block notation"),
            ("10.9.0.5/24", "", "", "it should be 10.9.0.0/24"),
            ("10.9.0.0/24", "10.8.0.0/24", "", "doesn't contain it"),
            ("10.9.0.0/24", "", "10.8.0.1", "doesn't contain this address"),
            ("10.9.0.0/24", "", "10.9.0.255", "not a host's"),
            ("", "", "10.8.0.1", "corresponding subnet"),
            ("0.0.0.0/0", "", "", "shorter than"),
            ("127.0.0.0/8", "", "", "no addresses for hosts"),
            ("224.0.0.0/8", "", "", "no addresses for hosts"),
            ("10.0.0.0/31", "", "", "longer than"),
            ("fd00::/64", "", "", "IPv6"),
        ] {
            let error = ask(subnet, range, gateway).expect_err(subnet).to_string();
            assert!(error.contains(why), "{subnet} {range} {gateway}: {error}");
        }
        let two = [SubnetRequest::default(), SubnetRequest::default()];
        assert!(read(&two).expect_err("two").to_string().contains("multiple subnets"));
    }
}
