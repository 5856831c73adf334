//! What a person asks of a network's addresses, read and checked.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::family::{Family, Pool, number};
use crate::error::{Error, Result};

/// Addresses that may be kept from containers at most.
const MAX_AUX: usize = 256;

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

/// A network's addresses of one family, as far as they are settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The family.
    pub(crate) family: Family,
    /// The subnet; `None` asks for a free one.
    pub(crate) subnet: Option<IpNet>,
    /// Part of it for automatic addresses.
    ip_range: Option<IpNet>,
    /// Address of the bridge.
    gateway: Option<IpAddr>,
    /// Addresses that are not given out.
    aux: BTreeMap<String, IpAddr>,
}

impl Wanted {
    /// Any subnet of a family.
    pub(crate) const fn any(family: Family) -> Self {
        Self { family, subnet: None, ip_range: None, gateway: None, aux: BTreeMap::new() }
    }

    /// What is settled once the subnet is. A way out that nobody has named is there if it is `routed`.
    pub(crate) fn on(&self, subnet: IpNet, routed: bool) -> Pool {
        Pool {
            subnet,
            ip_range: self.ip_range,
            gateway: self.gateway.or_else(|| routed.then(|| first(subnet, self.ip_range))),
            aux: self.aux.clone(),
        }
    }
}

/// Reads what is asked of a network that has these families: one subnet of each. What is asked of
/// another family is not used, as in Docker.
pub(crate) fn read(asked: &[SubnetRequest], families: &[Family]) -> Result<Vec<Wanted>> {
    if families.is_empty() {
        return Err(Error::Invalid("IPv4 or IPv6 must be enabled".to_owned()));
    }
    let mut wanted: Vec<_> = families.iter().map(|family| Wanted::any(*family)).collect();
    for one in asked {
        let Some(read) = read_one(one)? else { continue };
        let Some(place) = wanted.iter_mut().find(|wanted| wanted.family == read.family) else { continue };
        if place.subnet.is_some() {
            return Err(Error::Forbidden("bridge driver doesn't support multiple subnets".to_owned()));
        }
        *place = read;
    }
    Ok(wanted)
}

fn read_one(one: &SubnetRequest) -> Result<Option<Wanted>> {
    if one.subnet.is_empty() {
        let alone = one.ip_range.is_empty() && one.gateway.is_empty() && one.aux.is_empty();
        let why = "every ip-range, gateway or aux-address must have a corresponding subnet";
        return if alone { Ok(None) } else { Err(invalid(why)) };
    }
    let subnet = usable(net("subnet", &one.subnet)?)?;
    let ip_range = optional(&one.ip_range, |text| net("ip-range", text))?;
    if let Some(range) = ip_range.filter(|range| !subnet.contains(range)) {
        return Err(invalid(&format!("invalid ip-range {range}: parent subnet {subnet} doesn't contain it")));
    }
    let gateway = optional(&one.gateway, |text| address("gateway address", text, subnet))?;
    let edge = |ip: &IpAddr| *ip == subnet.network() || (ip.is_ipv4() && *ip == subnet.broadcast());
    if let Some(edge) = gateway.filter(edge) {
        return Err(invalid(&format!("invalid gateway address {edge}: it is not a host's")));
    }
    if one.aux.len() > MAX_AUX {
        return Err(invalid(&format!("more than {MAX_AUX} auxiliary addresses")));
    }
    let aux =
        one.aux.iter().map(|(name, text)| Ok((name.clone(), address("auxiliary address", text, subnet)?)));
    let aux = aux.collect::<Result<_>>()?;
    Ok(Some(Wanted { family: Family::of(&subnet), subnet: Some(subnet), ip_range, gateway, aux }))
}

/// The bridge's address when none is asked for: the first that may be given out.
pub(crate) fn first(subnet: IpNet, ip_range: Option<IpNet>) -> IpAddr {
    let first = ip_range.unwrap_or(subnet).network();
    if first == subnet.network() {
        Family::of(&subnet).address(number(first).saturating_add(1))
    } else {
        first
    }
}

fn invalid(why: &str) -> Error {
    Error::Invalid(format!("invalid network config:\n{why}"))
}

fn optional<T>(text: &str, read: impl FnOnce(&str) -> Result<T>) -> Result<Option<T>> {
    if text.is_empty() { Ok(None) } else { read(text).map(Some) }
}

fn net(what: &str, text: &str) -> Result<IpNet> {
    let net: IpNet = text.parse().map_err(|_unread| {
        invalid(&format!("invalid {what} {}: invalid CIDR block notation", shown(text)))
    })?;
    if net != net.trunc() {
        return Err(invalid(&format!("invalid {what} {net}: it should be {}", net.trunc())));
    }
    Ok(net)
}

/// Refuses what would take the machine's own addresses away.
fn usable(subnet: IpNet) -> Result<IpNet> {
    // A shorter prefix takes most of the machine's routes; a longer one has no address for a container
    // beside the bridge's.
    let (shortest, longest) = match subnet {
        IpNet::V4(_) => (8, 30),
        IpNet::V6(_) => (16, 126),
    };
    let hosts = match subnet {
        IpNet::V4(net) => !matches!(net.network().octets()[0], 0 | 127 | 224..),
        IpNet::V6(net) => {
            let ip = net.network();
            let mapped = net.contains(&Ipv6Addr::LOCALHOST) || ip.to_ipv4_mapped().is_some();
            !mapped && !ip.is_multicast() && !ip.is_unicast_link_local()
        }
    };
    let why = if subnet.prefix_len() < shortest {
        format!("its prefix is shorter than {shortest} bits")
    } else if subnet.prefix_len() > longest {
        format!("its prefix is longer than {longest} bits")
    } else if !hosts {
        "it holds no addresses for hosts".to_owned()
    } else {
        return Ok(subnet);
    };
    Err(invalid(&format!("invalid subnet {subnet}: {why}")))
}

fn address(what: &str, text: &str, subnet: IpNet) -> Result<IpAddr> {
    let ip: IpAddr = text.parse().map_err(|_unread| invalid(&format!("invalid {what} {}", shown(text))))?;
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

    fn ask(subnet: &str, ip_range: &str, gateway: &str) -> Result<Vec<Wanted>> {
        let asked = SubnetRequest {
            subnet: subnet.into(),
            ip_range: ip_range.into(),
            gateway: gateway.into(),
            aux: BTreeMap::new(),
        };
        read(&[asked], &Family::ALL)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("ip")
    }

    #[test]
    fn what_is_left_open_stays_open() {
        assert_eq!(read(&[], &[Family::V4]).expect("nothing"), [Wanted::any(Family::V4)]);
        assert!(read(&[], &[]).is_err());
        let wanted = ask("10.8.0.0/16", "10.8.5.0/24", "").expect("wanted").remove(0);
        let subnet = wanted.subnet.expect("subnet");
        assert_eq!(wanted.on(subnet, true).gateway, Some(ip("10.8.5.0")));
        assert_eq!(first(subnet, None), ip("10.8.0.1"));
        let [v4, v6] = &ask("fd00:8::/64", "", "").expect("wanted")[..] else { panic!("two families") };
        assert_eq!((v4, v6.family), (&Wanted::any(Family::V4), Family::V6));
        assert_eq!(first(v6.subnet.expect("subnet"), None), ip("fd00:8::1"));
    }

    #[test]
    fn one_subnet_of_each_family_and_none_of_one_that_is_off() {
        let subnet = |text: &str| SubnetRequest { subnet: text.into(), ..SubnetRequest::default() };
        let both = [subnet("fd00::/64"), subnet("10.1.0.0/16")];
        let read_both = read(&both, &Family::ALL).expect("read");
        assert!(read_both.iter().all(|wanted| wanted.subnet.is_some()));
        assert_eq!(read(&both, &[Family::V4]).expect("read").len(), 1);
        let two = [subnet("fd00::/64"), subnet("fd01::/64")];
        assert!(read(&two, &Family::ALL).expect_err("two").to_string().contains("multiple subnets"));
    }

    #[test]
    fn contradictions_are_refused() {
        for (subnet, range, gateway, why) in [
            ("xx", "", "", "invalid CIDR block notation"),
            ("10.9.0.5/24", "", "", "it should be 10.9.0.0/24"),
            ("10.9.0.0/24", "10.8.0.0/24", "", "doesn't contain it"),
            ("10.9.0.0/24", "fd00::/64", "", "doesn't contain it"),
            ("10.9.0.0/24", "", "10.8.0.1", "doesn't contain this address"),
            ("10.9.0.0/24", "", "10.9.0.255", "not a host's"),
            ("", "", "10.8.0.1", "corresponding subnet"),
            ("0.0.0.0/0", "", "", "shorter than"),
            ("127.0.0.0/8", "", "", "no addresses for hosts"),
            ("224.0.0.0/8", "", "", "no addresses for hosts"),
            ("10.0.0.0/31", "", "", "longer than"),
            ("fd00::5/64", "", "", "it should be fd00::/64"),
            ("fd00::/64", "", "fd00::", "not a host's"),
            ("fd00::/64", "", "10.0.0.1", "doesn't contain this address"),
            ("fe80::/64", "", "", "no addresses for hosts"),
            ("ff02::/64", "", "", "no addresses for hosts"),
            ("::/16", "", "", "no addresses for hosts"),
            ("::ffff:10.0.0.0/112", "", "", "no addresses for hosts"),
            ("fd00::/127", "", "", "longer than"),
            ("f000::/8", "", "", "shorter than"),
        ] {
            let error = ask(subnet, range, gateway).expect_err(subnet).to_string();
            assert!(error.contains(why), "{subnet} {range} {gateway}: {error}");
        }
    }
}
