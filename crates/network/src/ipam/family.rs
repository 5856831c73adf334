//! The two families of addresses, and what a network has in one of them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// IPv4 or IPv6. A network has one subnet of each at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// That of a subnet.
    pub(crate) const fn of(net: &IpNet) -> Self {
        match net {
            IpNet::V4(_) => Self::V4,
            IpNet::V6(_) => Self::V6,
        }
    }

    /// That of an address.
    pub(crate) const fn of_address(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Its place in a list of one for each.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::V4 => 0,
            Self::V6 => 1,
        }
    }

    /// An address of this family from its number.
    pub(super) fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX)).into(),
            Self::V6 => Ipv6Addr::from(number).into(),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// An address as a number of its family.
pub(super) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// A subnet that a network was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The subnet.
    pub subnet: IpNet,
    /// Part of it from which addresses are given, when restricted.
    #[serde(default)]
    pub ip_range: Option<IpNet>,
    /// The containers' default route.
    pub gateway: Option<IpAddr>,
    /// Name → an address that is not given out.
    #[serde(default)]
    pub aux: BTreeMap<String, IpAddr>,
}

impl Pool {
    /// One as it was asked for, where it can be read.
    pub(crate) fn asked(asked: &super::SubnetRequest) -> Option<Self> {
        Some(Self {
            subnet: asked.subnet.parse().ok()?,
            ip_range: asked.ip_range.parse().ok(),
            gateway: asked.gateway.parse().ok(),
            aux: asked.aux.iter().filter_map(|(name, ip)| Some((name.clone(), ip.parse().ok()?))).collect(),
        })
    }
}

/// What a network has in one family while it is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Side {
    /// The subnet.
    pub(crate) subnet: IpNet,
    /// Part of it that automatic addresses come from.
    pub(crate) range: Option<IpNet>,
    /// The host's own address in it, where the host has one.
    pub(crate) host: Option<IpAddr>,
    /// The containers' way out.
    pub(crate) gateway: Option<IpAddr>,
}

impl Side {
    /// The family.
    pub(crate) const fn family(&self) -> Family {
        Family::of(&self.subnet)
    }
}
