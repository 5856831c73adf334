//! Who has which address of a network. The lowest free one is given, as Docker does, so that a
//! container that is run again finds its old address. However large a subnet is, finding a free
//! address costs no more than there are containers on it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::family::{Family, Side, number};
use crate::error::{Error, Result};

/// Addresses of one network, and the containers that hold them.
#[derive(Debug)]
pub(crate) struct Leases {
    books: Vec<Book>,
}

/// Addresses of one subnet.
#[derive(Debug)]
struct Book {
    network: String,
    family: Family,
    subnet: IpNet,
    /// Part of the subnet that automatic addresses come from.
    range: IpNet,
    /// Addresses that no container may have, such as the bridge's own.
    reserved: Vec<IpAddr>,
    held: BTreeMap<IpAddr, String>,
    /// No address below this one is free.
    lowest: u128,
}

impl Leases {
    /// Empty books for the subnets of the network called `network`.
    pub(crate) fn new(network: &str, sides: &[Side], reserved: &[IpAddr]) -> Self {
        let book = |side: &Side| {
            let range = side.range.unwrap_or(side.subnet).trunc();
            Book {
                network: network.to_owned(),
                family: side.family(),
                subnet: side.subnet.trunc(),
                range,
                reserved: reserved.iter().copied().chain(side.host).chain(side.gateway).collect(),
                held: BTreeMap::new(),
                lowest: number(range.network()),
            }
        };
        Self { books: sides.iter().map(book).collect() }
    }

    /// Gives `holder` the lowest free address of a family, if the network has that.
    pub(crate) fn next(&mut self, family: Family, holder: &str) -> Result<Option<IpAddr>> {
        let book = self.books.iter_mut().find(|book| book.family == family);
        book.map(|book| book.next(holder)).transpose()
    }

    /// Gives `holder` this very address. That `holder` has it already is no error.
    pub(crate) fn take(&mut self, ip: IpAddr, holder: &str) -> Result<()> {
        match self.books.iter_mut().find(|book| book.family == Family::of_address(ip)) {
            Some(book) => book.take(ip, holder),
            None => {
                Err(Error::NoSuchFamily { ip, subnets: self.books.iter().map(|book| book.subnet).collect() })
            }
        }
    }

    /// Takes back what `holder` has.
    pub(crate) fn release(&mut self, holder: &str) {
        self.books.iter_mut().for_each(|book| book.release(holder));
    }
}

impl Book {
    fn next(&mut self, holder: &str) -> Result<IpAddr> {
        let last = number(self.range.broadcast());
        let free = (self.lowest..=last)
            .map(|number| self.family.address(number))
            .find(|ip| self.usable(*ip) && !self.held.contains_key(ip));
        let Some(ip) = free else {
            return Err(Error::Exhausted {
                family: self.family.to_string(),
                name: self.network.clone(),
                subnet: self.range,
            });
        };
        self.lowest = number(ip).saturating_add(1);
        self.held.insert(ip, holder.to_owned());
        Ok(ip)
    }

    fn take(&mut self, ip: IpAddr, holder: &str) -> Result<()> {
        if !self.subnet.contains(&ip) {
            return Err(Error::AddressOutside { ip, subnet: self.subnet });
        }
        let free = self.held.get(&ip).is_none_or(|present| present == holder);
        if !self.usable(ip) || !free {
            return Err(Error::AddressInUse(ip));
        }
        self.held.insert(ip, holder.to_owned());
        Ok(())
    }

    fn release(&mut self, holder: &str) {
        self.held.retain(|ip, present| {
            let keep = present != holder;
            if !keep {
                self.lowest = self.lowest.min(number(*ip)).max(number(self.range.network()));
            }
            keep
        });
    }

    /// Not the subnet's own address (in IPv6 that of its routers, RFC 4291), nor IPv4's broadcast
    /// address, nor reserved. Subnets of one or two addresses have no such (RFC 3021, RFC 6164).
    fn usable(&self, ip: IpAddr) -> bool {
        let whole = self.subnet.max_prefix_len().saturating_sub(self.subnet.prefix_len()) < 2;
        let edge =
            ip == self.subnet.network() || (self.family == Family::V4 && ip == self.subnet.broadcast());
        (whole || !edge) && !self.reserved.contains(&ip)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn leases(subnet: &str, range: Option<&str>) -> Book {
        let subnet: IpNet = subnet.parse().expect("subnet");
        let gateway = subnet.hosts().find(|ip| *ip != subnet.network());
        let range = range.map(|r| r.parse().expect("range"));
        let side = Side { subnet, range, host: gateway, gateway };
        Leases::new("bridge", &[side], &[]).books.remove(0)
    }

    fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
        Ipv4Addr::new(a, b, c, d).into()
    }

    #[test]
    fn the_first_container_gets_the_address_after_the_gateway_and_gets_it_again() {
        let mut book = leases("172.17.0.0/16", None);
        assert_eq!(book.next("a").expect("free"), v4(172, 17, 0, 2));
        assert_eq!(book.next("b").expect("free"), v4(172, 17, 0, 3));
        book.release("a");
        book.release("a");
        assert_eq!(book.next("c").expect("free"), v4(172, 17, 0, 2));
        assert_eq!(book.next("d").expect("free"), v4(172, 17, 0, 4));
    }

    #[test]
    fn a_full_subnet_says_so_and_a_requested_address_must_be_free_and_inside() {
        let mut book = leases("10.0.0.0/30", None);
        book.next("a").expect("one address");
        assert!(matches!(book.next("b"), Err(Error::Exhausted { .. })));
        assert!(matches!(book.take(v4(10, 0, 0, 2), "b"), Err(Error::AddressInUse(_))));
        assert!(matches!(book.take(v4(10, 0, 0, 1), "b"), Err(Error::AddressInUse(_))));
        assert!(matches!(book.take(v4(10, 0, 0, 3), "b"), Err(Error::AddressInUse(_))));
        assert!(matches!(book.take(v4(10, 0, 1, 3), "b"), Err(Error::AddressOutside { .. })));
        book.take(v4(10, 0, 0, 2), "a").expect("its own");
    }

    #[test]
    fn a_range_restricts_automatic_addresses_only() {
        let mut book = leases("10.0.0.0/16", Some("10.0.5.0/30"));
        assert_eq!(book.next("a").expect("free"), v4(10, 0, 5, 0));
        book.take(v4(10, 0, 9, 9), "b").expect("inside the subnet");
        book.release("b");
        assert_eq!(book.next("c").expect("free"), v4(10, 0, 5, 1));
    }

    #[test]
    fn a_large_subnet_costs_no_more_than_its_containers() {
        let mut book = leases("fd00:1::/64", None);
        let ip = |text: &str| text.parse::<IpAddr>().expect("ip");
        assert_eq!(book.next("a").expect("free"), ip("fd00:1::2"));
        book.take(ip("fd00:1::3"), "b").expect("free");
        assert_eq!(book.next("c").expect("free"), ip("fd00:1::4"));
        assert!(matches!(book.take(ip("fd00:1::"), "d"), Err(Error::AddressInUse(_))));
        book.take(ip("fd00:1::ffff:ffff:ffff:ffff"), "d").expect("IPv6 has no broadcast");
        book.release("a");
        assert_eq!(book.next("e").expect("free"), ip("fd00:1::2"));
    }

    #[test]
    fn each_family_has_its_own_book() {
        let side = |subnet: &str| Side {
            subnet: subnet.parse().expect("subnet"),
            range: None,
            host: None,
            gateway: None,
        };
        let mut leases = Leases::new("net", &[side("10.0.0.0/24"), side("fd00::/64")], &[v4(10, 0, 0, 1)]);
        assert_eq!(leases.next(Family::V4, "a").expect("free"), Some(v4(10, 0, 0, 2)));
        assert_eq!(leases.next(Family::V6, "a").expect("free"), Some("fd00::1".parse().expect("ip")));
        let mut alone = Leases::new("net", &[side("fd00::/64")], &[]);
        assert_eq!(alone.next(Family::V4, "a").expect("none"), None);
        assert!(matches!(alone.take(v4(10, 0, 0, 2), "a"), Err(Error::NoSuchFamily { .. })));
    }

    proptest! {
        #[test]
        fn addresses_are_unique_inside_and_the_lowest_free(steps in prop::collection::vec((0u8..3, 0u8..20), 0..200)) {
            let mut book = leases("10.0.0.0/28", None);
            let mut model: BTreeMap<IpAddr, String> = BTreeMap::new();
            let usable: BTreeSet<IpAddr> = (2..=14).map(|n| v4(10, 0, 0, n)).collect();
            for (step, who) in steps {
                let holder = who.to_string();
                match step {
                    0 => {
                        let expected = usable.iter().copied().find(|ip| !model.contains_key(ip));
                        prop_assert_eq!(book.next(&holder).ok(), expected);
                        model.extend(expected.map(|ip| (ip, holder)));
                    }
                    1 => {
                        let ip = v4(10, 0, 0, who);
                        let may = usable.contains(&ip) && model.get(&ip).is_none_or(|h| *h == holder);
                        prop_assert_eq!(book.take(ip, &holder).is_ok(), may);
                        if may { model.insert(ip, holder); }
                    }
                    _ => {
                        book.release(&holder);
                        model.retain(|_, h| *h != holder);
                    }
                }
                prop_assert_eq!(&book.held, &model);
            }
        }
    }
}
