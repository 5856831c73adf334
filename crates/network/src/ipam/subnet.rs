//! Choice of a subnet: the first of the pools that overlaps nothing the machine already knows.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

use crate::config::AddressPool;

/// Docker's own pools, in its order: base, and prefix length of each network cut out of it.
const DEFAULT_POOLS: [([u8; 4], u8, u8); 7] = [
    ([172, 17, 0, 0], 16, 16),
    ([172, 18, 0, 0], 16, 16),
    ([172, 19, 0, 0], 16, 16),
    ([172, 20, 0, 0], 14, 16),
    ([172, 24, 0, 0], 14, 16),
    ([172, 28, 0, 0], 14, 16),
    ([192, 168, 0, 0], 16, 20),
];

/// Subnets that overlap none of `in_use`, in order of preference. `pools` empty means Docker's.
pub(crate) fn candidates<'a>(
    pools: &[AddressPool],
    in_use: &'a [IpNet],
) -> impl Iterator<Item = Ipv4Net> + 'a {
    let pools = if pools.is_empty() { defaults() } else { pools.to_vec() };
    pools
        .into_iter()
        .filter_map(|pool| pool.base.subnets(pool.size).ok())
        .flatten()
        .filter(|subnet| !in_use.iter().any(|used| overlap(*used, IpNet::V4(*subnet))))
}

fn defaults() -> Vec<AddressPool> {
    let pool =
        |&(base, len, size)| Some(AddressPool { base: Ipv4Net::new(Ipv4Addr::from(base), len).ok()?, size });
    DEFAULT_POOLS.iter().filter_map(pool).collect()
}

/// Whether two subnets share an address: of prefixes, one then contains the other.
pub(crate) fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net<N: std::str::FromStr>(text: &str) -> N {
        text.parse().ok().expect("a subnet")
    }

    #[test]
    fn dockers_subnet_is_taken_when_free_and_skipped_when_not() {
        assert_eq!(candidates(&[], &[]).next(), Some(net("172.17.0.0/16")));
        assert_eq!(candidates(&[], &[net("172.17.0.0/16")]).next(), Some(net("172.18.0.0/16")));
        // One address in it is enough, and so is a route to all of it.
        let used = [net("172.17.9.9/32"), net("172.18.0.0/15"), net("172.20.0.0/16")];
        assert_eq!(candidates(&[], &used).next(), Some(net("172.21.0.0/16")));
        assert_eq!(candidates(&[], &[net("172.16.0.0/12")]).next(), Some(net("192.168.0.0/20")));
        assert_eq!(candidates(&[], &[net("0.0.0.0/0")]).next(), None);
    }

    #[test]
    fn all_of_the_default_pools_are_used() {
        assert_eq!(candidates(&[], &[]).count(), 3 + 3 * 4 + 16);
    }

    #[test]
    fn given_pools_replace_the_default_ones() {
        let pools = [AddressPool { base: net("10.200.0.0/16"), size: 24 }];
        let used = [net("10.200.0.0/24")];
        assert_eq!(candidates(&pools, &used).next(), Some(net("10.200.1.0/24")));
        let wrong = [AddressPool { base: net("10.200.0.0/16"), size: 8 }];
        assert_eq!(candidates(&wrong, &[]).next(), None);
    }
}
