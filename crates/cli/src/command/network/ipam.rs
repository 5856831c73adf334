//! `--subnet`, `--ip-range`, `--gateway` and `--aux-address`: which belongs to which.

use std::net::IpAddr;

use api::network::IpamConfig;

use crate::flag::Matches;

/// One entry for each subnet, with what lies in it.
pub(super) fn subnets(matches: &Matches) -> Result<Vec<IpamConfig>, String> {
    let all = |flag: &str| -> Vec<String> {
        let values = matches.all(flag);
        values.iter().flat_map(|value| value.split(',')).map(|part| part.trim().to_owned()).collect()
    };
    settle(&all("subnet"), &all("ip-range"), &all("gateway"), &matches.all("aux-address"))
}

fn settle(
    subnets: &[String],
    ranges: &[String],
    gateways: &[String],
    aux: &[&str],
) -> Result<Vec<IpamConfig>, String> {
    if subnets.len() < ranges.len() || subnets.len() < gateways.len() {
        return Err("every ip-range or gateway must have a corresponding subnet".to_owned());
    }
    let mut made: Vec<IpamConfig> = Vec::new();
    for subnet in subnets {
        if let Some((ip, _)) = split(subnet)
            && made.iter().any(|other| contains(&other.subnet, ip) || contains_network(subnet, &other.subnet))
        {
            return Err("multiple overlapping subnet configuration is not supported".to_owned());
        }
        made.push(IpamConfig { subnet: subnet.clone(), ..IpamConfig::default() });
    }
    for range in ranges {
        let ip = split(range).map(|(ip, _)| ip);
        let place = place(&mut made, ip).ok_or(format!("no matching subnet for range {range}"))?;
        if !place.ip_range.is_empty() {
            return Err(format!(
                "cannot configure multiple ranges ({range}, {}) on the same subnet ({})",
                place.ip_range, place.subnet
            ));
        }
        place.ip_range.clone_from(range);
    }
    for gateway in gateways {
        let ip = gateway.parse().ok();
        let place = place(&mut made, ip).ok_or(format!("no matching subnet for gateway {gateway}"))?;
        if !place.gateway.is_empty() {
            return Err(format!(
                "cannot configure multiple gateways ({gateway}, {}) for the same subnet ({})",
                place.gateway, place.subnet
            ));
        }
        place.gateway.clone_from(gateway);
    }
    for pair in aux {
        let (name, address) = pair.split_once('=').unwrap_or((pair, ""));
        let ip = address.parse().ok();
        let place = place(&mut made, ip).ok_or(format!("no matching subnet for aux-address {address}"))?;
        place.auxiliary_addresses.insert(name.to_owned(), address.to_owned());
    }
    Ok(made)
}

fn place(made: &mut [IpamConfig], ip: Option<IpAddr>) -> Option<&mut IpamConfig> {
    let ip = ip?;
    made.iter_mut().find(|config| contains(&config.subnet, ip))
}

fn split(cidr: &str) -> Option<(IpAddr, u32)> {
    let (ip, length) = cidr.split_once('/')?;
    Some((ip.parse().ok()?, length.parse().ok()?))
}

fn contains_network(cidr: &str, other: &str) -> bool {
    split(other).is_some_and(|(ip, _)| contains(cidr, ip))
}

/// Whether the subnet holds the address; a subnet that can't be read, which the daemon will say, holds none.
fn contains(cidr: &str, ip: IpAddr) -> bool {
    let Some((network, length)) = split(cidr) else { return false };
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 32),
        IpAddr::V6(ip) => (u128::from(ip), 128),
    };
    let ((network, width), (ip, other)) = (bits(network), bits(ip));
    let mask = if length == 0 { 0 } else { u128::MAX.checked_shl(128 - length.min(128)).unwrap_or(0) };
    width == other && length <= width && (network & mask) == (ip & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn everything_finds_its_subnet() {
        let made = settle(
            &owned(&["10.1.0.0/16", "fd00::/64"]),
            &owned(&["10.1.5.0/24"]),
            &owned(&["fd00::1", "10.1.0.254"]),
            &["router=10.1.0.9"],
        )
        .unwrap();
        assert_eq!((made[0].ip_range.as_str(), made[0].gateway.as_str()), ("10.1.5.0/24", "10.1.0.254"));
        assert_eq!(made[0].auxiliary_addresses["router"], "10.1.0.9");
        assert_eq!(made[1].gateway, "fd00::1");
        assert_eq!(settle(&owned(&["xx"]), &[], &[], &[]).unwrap()[0].subnet, "xx");
    }

    #[test]
    fn what_finds_none_is_refused_in_dockers_words() {
        let refused = |ranges: &[&str], gateways: &[&str], aux: &[&str]| {
            settle(&owned(&["10.7.0.0/16"]), &owned(ranges), &owned(gateways), aux).unwrap_err()
        };
        assert_eq!(refused(&["10.6.5.0/24"], &[], &[]), "no matching subnet for range 10.6.5.0/24");
        assert_eq!(refused(&[], &["10.6.5.1"], &[]), "no matching subnet for gateway 10.6.5.1");
        assert_eq!(refused(&[], &[], &["a=10.6.5.1"]), "no matching subnet for aux-address 10.6.5.1");
        let alone = settle(&[], &[], &owned(&["10.6.5.1"]), &[]).unwrap_err();
        assert_eq!(alone, "every ip-range or gateway must have a corresponding subnet");
        let twice = settle(&owned(&["10.0.0.0/8", "10.1.0.0/16"]), &[], &[], &[]).unwrap_err();
        assert!(twice.contains("overlapping"));
    }
}
