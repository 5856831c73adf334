//! Choice of a subnet: the first of the pools that overlaps nothing the machine already knows.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::family::{Family, number};
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
/// Prefix length of the subnets of our own part of IPv6's private addresses.
const PRIVATE_SIZE: u8 = 64;

/// Subnets of a family that overlap none of `in_use`, in order of preference. A family that `pools`
/// has nothing of gets Docker's: in IPv6 those of `private`.
pub(crate) fn candidates<'a>(
    pools: &[AddressPool],
    family: Family,
    private: Option<Ipv6Net>,
    in_use: &'a [IpNet],
) -> impl Iterator<Item = IpNet> + use<'a> {
    let mut pools: Vec<_> = pools.iter().filter(|pool| Family::of(&pool.base) == family).copied().collect();
    if pools.is_empty() {
        match family {
            Family::V4 => pools = defaults(),
            Family::V6 => {
                pools.extend(private.map(|base| AddressPool { base: IpNet::V6(base), size: PRIVATE_SIZE }))
            }
        }
    }
    pools.into_iter().flat_map(move |pool| Cuts::of(pool, in_use))
}

fn defaults() -> Vec<AddressPool> {
    let pool = |&(base, len, size)| {
        Some(AddressPool { base: Ipv4Net::new(Ipv4Addr::from(base), len).ok()?.into(), size })
    };
    DEFAULT_POOLS.iter().filter_map(pool).collect()
}

/// The part of IPv6's private addresses that belongs to a daemon (RFC 4193): 48 bits, of which 40 come
/// from an id of random hex digits.
pub(crate) fn private(id: &str) -> Option<Ipv6Net> {
    let random = u64::from_str_radix(id.get(..10)?, 16).ok()?;
    let base = (0xfd_u128 << 120) | (u128::from(random) << 80);
    Ipv6Net::new(Ipv6Addr::from(base), 48).ok()
}

/// The free subnets of a pool. What is in use is stepped over as a whole: a pool may hold more subnets
/// than could ever be looked at.
struct Cuts<'a> {
    family: Family,
    size: u8,
    /// Number of the first address of the next subnet; `None` at the end.
    next: Option<u128>,
    last: u128,
    in_use: &'a [IpNet],
}

impl<'a> Cuts<'a> {
    fn of(pool: AddressPool, in_use: &'a [IpNet]) -> Self {
        let base = pool.base.trunc();
        let fits = (base.prefix_len()..=base.max_prefix_len()).contains(&pool.size);
        Self {
            family: Family::of(&base),
            size: pool.size,
            next: fits.then(|| number(base.network())),
            last: number(base.broadcast()),
            in_use,
        }
    }
}

impl Iterator for Cuts<'_> {
    type Item = IpNet;

    fn next(&mut self) -> Option<IpNet> {
        loop {
            let start = self.next.filter(|start| *start <= self.last)?;
            let subnet = IpNet::new(self.family.address(start), self.size).ok()?.trunc();
            let overlapping = self.in_use.iter().filter(|used| overlap(**used, subnet));
            let taken = overlapping.map(|used| number(used.broadcast())).max();
            let end = number(subnet.broadcast());
            let Some(taken) = taken else {
                self.next = end.checked_add(1);
                return Some(subnet);
            };
            // Of two prefixes that overlap one contains the other: the larger one's end is a subnet's end.
            self.next = end.max(taken).checked_add(1);
        }
    }
}

/// Whether two subnets share an address: of prefixes, one then contains the other.
pub(crate) fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect("a subnet")
    }

    fn v4<'a>(pools: &[AddressPool], in_use: &'a [IpNet]) -> impl Iterator<Item = IpNet> + 'a {
        candidates(pools, Family::V4, None, in_use)
    }

    #[test]
    fn dockers_subnet_is_taken_when_free_and_skipped_when_not() {
        assert_eq!(v4(&[], &[]).next(), Some(net("172.17.0.0/16")));
        assert_eq!(v4(&[], &[net("172.17.0.0/16")]).next(), Some(net("172.18.0.0/16")));
        // One address in it is enough, and so is a route to all of it.
        let used = [net("172.17.9.9/32"), net("172.18.0.0/15"), net("172.20.0.0/16")];
        assert_eq!(v4(&[], &used).next(), Some(net("172.21.0.0/16")));
        assert_eq!(v4(&[], &[net("172.16.0.0/12")]).next(), Some(net("192.168.0.0/20")));
        assert_eq!(v4(&[], &[net("0.0.0.0/0")]).next(), None);
        assert_eq!(v4(&[], &[net("fd00::/8")]).next(), Some(net("172.17.0.0/16")));
    }

    #[test]
    fn all_of_the_default_pools_are_used() {
        assert_eq!(v4(&[], &[]).count(), 3 + 3 * 4 + 16);
    }

    #[test]
    fn given_pools_replace_the_default_ones() {
        let pools = [AddressPool { base: net("10.200.0.0/16"), size: 24 }];
        let used = [net("10.200.0.0/24")];
        assert_eq!(v4(&pools, &used).next(), Some(net("10.200.1.0/24")));
        let wrong = [AddressPool { base: net("10.200.0.0/16"), size: 8 }];
        assert_eq!(v4(&wrong, &[]).next(), None);
    }

    #[test]
    fn ipv6_is_cut_out_of_the_daemons_own_part_unless_pools_are_given() {
        let private = private("0123456789abcdef").expect("random");
        assert_eq!(private.to_string(), "fd01:2345:6789::/48");
        let v6 = |pools: &[AddressPool], in_use: &[IpNet]| {
            candidates(pools, Family::V6, Some(private), in_use).next().map(|net| net.to_string())
        };
        assert_eq!(v6(&[], &[]).as_deref(), Some("fd01:2345:6789::/64"));
        let used = [net("fd01:2345:6789::/63"), net("fd01:2345:6789:2::9/128")];
        assert_eq!(v6(&[], &used).as_deref(), Some("fd01:2345:6789:3::/64"));
        let pools = [AddressPool { base: net("10.0.0.0/8"), size: 24 }];
        assert_eq!(v6(&pools, &[]).as_deref(), Some("fd01:2345:6789::/64"), "none of the family");
        // More subnets than could be counted, all but the last of them taken.
        let pools = [AddressPool { base: net("fd00::/8"), size: 64 }];
        let used = [net("fd00::/9"), net("fd80::/10"), net("fdc0::/11")];
        assert_eq!(v6(&pools, &used).as_deref(), Some("fde0::/64"));
        assert_eq!(v6(&pools, &[net("::/0")]), None);
    }
}
