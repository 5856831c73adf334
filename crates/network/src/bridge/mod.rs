//! A bridge: the interface, its address, and joining containers to it.

mod ensure;
mod join;

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

pub(crate) use ensure::{ensure, remove, sweep};
pub(crate) use join::{Joined, join};

/// A bridge that is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bridge {
    /// Index of the interface.
    pub(crate) index: u32,
    /// Its own address, with the subnet's prefix.
    pub(crate) address: Ipv4Net,
    /// The containers' way out.
    pub(crate) gateway: Ipv4Addr,
    /// Largest packet.
    pub(crate) mtu: u32,
}
