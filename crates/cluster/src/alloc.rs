//! In which order a machine tries a network's addresses. Several machines that look for one at the same time must not
//! try the same ones: each begins at a point of its own, and goes on where it was last.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::Subnet;

/// Addresses of an IPv6 subnet that are given out: as many as a person could ever need.
const MAX_SPAN: u128 = 1 << 32;

/// Where a machine goes on looking, by network and address family.
#[derive(Debug, Default)]
pub(crate) struct Cursors(BTreeMap<(String, bool), u128>);

/// The addresses of a range as a ring of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ring {
    first: u128,
    len: u128,
    v4: bool,
}

impl Ring {
    fn of(subnet: &Subnet) -> Self {
        let range = subnet.ip_range.unwrap_or(subnet.subnet);
        let bits = u32::from(range.max_prefix_len() - range.prefix_len());
        let len = 1u128.checked_shl(bits).unwrap_or(MAX_SPAN).min(MAX_SPAN);
        Self { first: number(range.network()), len, v4: matches!(range, IpNet::V4(_)) }
    }

    fn at(self, place: u128) -> IpAddr {
        let number = self.first + place % self.len;
        if self.v4 {
            IpAddr::V4(u32::try_from(number).unwrap_or_default().into())
        } else {
            IpAddr::V6(number.into())
        }
    }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

/// Where a machine begins; the same after a restart.
fn begin(host: &str, network: &str, len: u128) -> u128 {
    let mut hasher = DefaultHasher::new();
    (host, network).hash(&mut hasher);
    u128::from(hasher.finish()) % len
}

impl Cursors {
    /// The next address that is free as far as `taken` knows; `None` after once around. The one after it is where the
    /// next search begins.
    pub(crate) fn next(
        &mut self,
        host: &str,
        network: &str,
        subnet: &Subnet,
        taken: impl Fn(IpAddr) -> bool,
    ) -> Option<IpAddr> {
        let ring = Ring::of(subnet);
        let place =
            self.0.entry((network.to_owned(), ring.v4)).or_insert_with(|| begin(host, network, ring.len));
        for _ in 0..ring.len {
            let ip = ring.at(*place);
            *place = (*place + 1) % ring.len;
            let free = subnet.holds(ip) && ip != subnet.gateway && !subnet.aux.values().any(|aux| *aux == ip);
            if free && !taken(ip) {
                return Some(ip);
            }
        }
        None
    }

    /// A network is no more.
    pub(crate) fn forget(&mut self, network: &str) {
        self.0.retain(|(known, _), _| known != network);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    fn subnet(text: &str, range: Option<&str>, gateway: &str) -> Subnet {
        Subnet {
            subnet: text.parse().expect("subnet"),
            ip_range: range.map(|range| range.parse().expect("range")),
            gateway: gateway.parse().expect("gateway"),
            aux: [("a".to_owned(), "10.0.0.9".parse().expect("aux"))].into(),
        }
    }

    #[test]
    fn machines_begin_at_points_of_their_own() {
        let subnet = subnet("10.0.0.0/16", None, "10.0.0.1");
        let first: BTreeSet<_> = ["a", "b", "c"]
            .iter()
            .map(|host| Cursors::default().next(host, "n", &subnet, |_| false))
            .collect();
        assert_eq!(first.len(), 3);
    }

    #[test]
    fn an_address_that_was_given_back_is_not_the_next_one() {
        let (subnet, mut cursors) = (subnet("10.0.0.0/24", None, "10.0.0.1"), Cursors::default());
        let one = cursors.next("h", "n", &subnet, |_| false);
        let two = cursors.next("h", "n", &subnet, |_| false);
        assert_ne!(one, two);
    }

    #[test]
    fn six_has_its_order_too() {
        let mut subnet = subnet("10.0.0.0/24", None, "10.0.0.1");
        subnet.subnet = "fd00::/64".parse().expect("subnet");
        subnet.gateway = "fd00::1".parse().expect("gateway");
        let ip = Cursors::default().next("h", "n", &subnet, |_| false).expect("one");
        assert!(subnet.subnet.contains(&ip));
    }

    proptest! {
        #[test]
        fn every_address_is_given_once_and_none_that_may_not(
            host in "[a-z]{1,8}", len in 24u8..=30, ranged in any::<bool>(), taken in proptest::collection::btree_set(0u8..=255, 0..20)
        ) {
            let range = ranged.then(|| format!("10.0.0.0/{}", len + 1));
            let subnet = subnet(&format!("10.0.0.0/{len}"), range.as_deref(), "10.0.0.1");
            let (mut cursors, mut got) = (Cursors::default(), BTreeSet::new());
            let blocked = |ip: IpAddr| taken.iter().any(|last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, *last)) == ip);
            while let Some(ip) = cursors.next(&host, "n", &subnet, |ip| blocked(ip) || got.contains(&ip)) {
                prop_assert!(got.insert(ip));
                prop_assert!(subnet.holds(ip) && ip != subnet.gateway && !blocked(ip));
            }
            let all = subnet.ip_range.unwrap_or(subnet.subnet);
            let IpNet::V4(all) = all else { panic!("not IPv4") };
            let fit = (u32::from(all.network())..=u32::from(all.broadcast())).map(|n| IpAddr::V4(n.into()));
            let fit = fit.filter(|ip| subnet.holds(*ip) && *ip != subnet.gateway && !blocked(*ip));
            let fit: BTreeSet<_> = fit.filter(|ip| !subnet.aux.values().any(|aux| aux == ip)).collect();
            prop_assert_eq!(got, fit);
        }
    }
}
