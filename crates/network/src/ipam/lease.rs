//! Who has which address of a subnet. The lowest free one is given, as Docker does, so that a
//! container that is run again finds its old address.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::error::{Error, Result};

/// Addresses of one subnet, and the containers that hold them.
#[derive(Debug)]
pub(crate) struct Leases {
    network: String,
    subnet: Ipv4Net,
    /// Part of the subnet that automatic addresses come from.
    range: Ipv4Net,
    /// Addresses that no container may have, such as the bridge's own.
    reserved: Vec<Ipv4Addr>,
    held: BTreeMap<Ipv4Addr, String>,
    /// No address below this one is free.
    lowest: u32,
}

impl Leases {
    /// An empty book for `subnet` of the network called `network`.
    pub(crate) fn new(network: &str, subnet: Ipv4Net, range: Option<Ipv4Net>, reserved: &[Ipv4Addr]) -> Self {
        let range = range.unwrap_or(subnet);
        Self {
            network: network.to_owned(),
            subnet: subnet.trunc(),
            range: range.trunc(),
            reserved: reserved.to_vec(),
            held: BTreeMap::new(),
            lowest: u32::from(range.network()),
        }
    }

    /// Gives `holder` the lowest free address.
    pub(crate) fn next(&mut self, holder: &str) -> Result<Ipv4Addr> {
        let last = u32::from(self.range.broadcast());
        let free = (self.lowest..=last)
            .map(Ipv4Addr::from)
            .find(|ip| self.usable(*ip) && !self.held.contains_key(ip));
        let Some(ip) = free else {
            return Err(Error::Exhausted { name: self.network.clone(), subnet: self.range });
        };
        self.lowest = u32::from(ip).saturating_add(1);
        self.held.insert(ip, holder.to_owned());
        Ok(ip)
    }

    /// Gives `holder` this very address. That `holder` has it already is no error.
    pub(crate) fn take(&mut self, ip: Ipv4Addr, holder: &str) -> Result<()> {
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

    /// Takes back what `holder` has.
    pub(crate) fn release(&mut self, holder: &str) {
        self.held.retain(|ip, present| {
            let keep = present != holder;
            if !keep {
                self.lowest = self.lowest.min(u32::from(*ip)).max(u32::from(self.range.network()));
            }
            keep
        });
    }

    /// Not the subnet's own address, nor its broadcast address, nor reserved. Subnets of 31 and 32
    /// bits have no such addresses (RFC 3021).
    fn usable(&self, ip: Ipv4Addr) -> bool {
        let edge =
            self.subnet.prefix_len() < 31 && (ip == self.subnet.network() || ip == self.subnet.broadcast());
        !edge && !self.reserved.contains(&ip)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn leases(subnet: &str, range: Option<&str>) -> Leases {
        let subnet: Ipv4Net = subnet.parse().expect("subnet");
        let gateway = subnet.hosts().next().expect("a host");
        Leases::new("bridge", subnet, range.map(|r| r.parse().expect("range")), &[gateway])
    }

    #[test]
    fn the_first_container_gets_the_address_after_the_gateway_and_gets_it_again() {
        let mut book = leases("172.17.0.0/16", None);
        assert_eq!(book.next("a").expect("free"), Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(book.next("b").expect("free"), Ipv4Addr::new(172, 17, 0, 3));
        book.release("a");
        book.release("a");
        assert_eq!(book.next("c").expect("free"), Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(book.next("d").expect("free"), Ipv4Addr::new(172, 17, 0, 4));
    }

    #[test]
    fn a_full_subnet_says_so_and_a_requested_address_must_be_free_and_inside() {
        let mut book = leases("10.0.0.0/30", None);
        book.next("a").expect("one address");
        assert!(matches!(book.next("b"), Err(Error::Exhausted { .. })));
        assert!(matches!(book.take(Ipv4Addr::new(10, 0, 0, 2), "b"), Err(Error::AddressInUse(_))));
        assert!(matches!(book.take(Ipv4Addr::new(10, 0, 0, 1), "b"), Err(Error::AddressInUse(_))));
        assert!(matches!(book.take(Ipv4Addr::new(10, 0, 0, 3), "b"), Err(Error::AddressInUse(_))));
        assert!(matches!(book.take(Ipv4Addr::new(10, 0, 1, 3), "b"), Err(Error::AddressOutside { .. })));
        book.take(Ipv4Addr::new(10, 0, 0, 2), "a").expect("its own");
    }

    #[test]
    fn a_range_restricts_automatic_addresses_only() {
        let mut book = leases("10.0.0.0/16", Some("10.0.5.0/30"));
        assert_eq!(book.next("a").expect("free"), Ipv4Addr::new(10, 0, 5, 0));
        book.take(Ipv4Addr::new(10, 0, 9, 9), "b").expect("inside the subnet");
        book.release("b");
        assert_eq!(book.next("c").expect("free"), Ipv4Addr::new(10, 0, 5, 1));
    }

    proptest! {
        #[test]
        fn addresses_are_unique_inside_and_the_lowest_free(steps in prop::collection::vec((0u8..3, 0u8..20), 0..200)) {
            let mut book = leases("10.0.0.0/28", None);
            let mut model: BTreeMap<Ipv4Addr, String> = BTreeMap::new();
            let usable: BTreeSet<Ipv4Addr> = (2..=14).map(|n| Ipv4Addr::new(10, 0, 0, n)).collect();
            for (step, who) in steps {
                let holder = who.to_string();
                match step {
                    0 => {
                        let expected = usable.iter().copied().find(|ip| !model.contains_key(ip));
                        prop_assert_eq!(book.next(&holder).ok(), expected);
                        model.extend(expected.map(|ip| (ip, holder)));
                    }
                    1 => {
                        let ip = Ipv4Addr::new(10, 0, 0, who);
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
