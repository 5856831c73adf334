//! What others need to know of the machine's own addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Network;
use crate::error::{Error, Result};
use crate::route;

impl Network {
    /// The first address of an interface of the machine's: IPv4 before IPv6, and none that is valid
    /// on its link alone.
    ///
    /// # Errors
    /// There is no such interface, it has no address, or the kernel refuses.
    pub fn interface_address(&self, name: &str) -> Result<IpAddr> {
        let mut host = self.host();
        let link = route::by_name(&mut host, name)?;
        let link = link.ok_or_else(|| Error::Config(format!("no interface is called {name}")))?;
        let mut found: Vec<IpAddr> = route::addresses(&mut host)?
            .iter()
            .filter(|address| address.index == link.index)
            .map(|address| address.net.addr())
            .filter(|ip| match ip {
                IpAddr::V4(ip) => !ip.is_link_local(),
                IpAddr::V6(ip) => !ip.is_unicast_link_local(),
            })
            .collect();
        found.sort_by_key(IpAddr::is_ipv6);
        found.first().copied().ok_or_else(|| Error::Config(format!("interface {name} has no address")))
    }

    /// Subnets that the machine is part of or has a route to, and those of its networks.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn subnets_in_use(&self) -> Result<Vec<IpNet>> {
        self.in_use(&self.state())
    }
}
