//! What `network ls` and `network inspect` read.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// One network, as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInfo {
    /// 64 hex digits, the same after a restart.
    pub id: String,
    /// `bridge`, `host`, `none`, or the name a person gave.
    pub name: String,
    /// When it was made: milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// `bridge`, `host` or `null`.
    pub driver: String,
    /// `local`: no other host shares it.
    pub scope: &'static str,
    /// A person made it.
    pub user_defined: bool,
    /// No way out.
    pub internal: bool,
    /// As asked.
    pub attachable: bool,
    /// The driver's options in effect (`com.docker.network.bridge.*`); of a network that a person
    /// made, those that were asked for.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Subnets as they were asked for, or else as they are; empty when the network has none, or has
    /// not been needed yet.
    pub pools: Vec<IpamPool>,
    /// A person has chosen the subnet.
    pub subnet_chosen: bool,
}

/// A subnet and its gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpamPool {
    /// The subnet.
    pub subnet: Ipv4Net,
    /// Part of it from which addresses are given, when restricted.
    pub ip_range: Option<Ipv4Net>,
    /// The containers' default route.
    pub gateway: Option<Ipv4Addr>,
    /// Name → an address that is not given out.
    pub aux: BTreeMap<String, Ipv4Addr>,
}
