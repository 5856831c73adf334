//! What `network ls` and `network inspect` read.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;

/// One network, as a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkInfo {
    /// 64 hex digits, the same after a restart.
    pub id: String,
    /// `bridge`, `host` or `none`.
    pub name: String,
    /// When it was made: milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// `bridge`, `host` or `null`.
    pub driver: &'static str,
    /// `local`: no other host shares it.
    pub scope: &'static str,
    /// The driver's options in effect (`com.docker.network.bridge.*`).
    pub options: BTreeMap<String, String>,
    /// Subnets; empty when the network has none, or has not been needed yet.
    pub pools: Vec<IpamPool>,
}

/// A subnet and its gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpamPool {
    /// The subnet.
    pub subnet: Ipv4Net,
    /// Part of it from which addresses are given, when restricted.
    pub ip_range: Option<Ipv4Net>,
    /// The containers' default route.
    pub gateway: Option<std::net::Ipv4Addr>,
}
