//! Host ports that a shim holds for its container.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP: held, never passed on.
    Sctp,
}

/// Which port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortKey {
    /// The protocol.
    pub transport: Transport,
    /// Where the socket is bound.
    pub address: SocketAddr,
}

/// Where what comes to a port is passed on to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aim {
    /// Nowhere: the socket only keeps the port from others.
    Nowhere,
    /// To this address of the container.
    To(SocketAddr),
    /// There, from the client's own address, where the kernel allows that: answers must lead back here.
    AsClient(SocketAddr),
}

impl Aim {
    /// The container's address.
    #[must_use]
    pub const fn target(&self) -> Option<SocketAddr> {
        match *self {
            Self::Nowhere => None,
            Self::To(address) | Self::AsClient(address) => Some(address),
        }
    }

    /// The address that a client is to be passed on from.
    #[must_use]
    pub fn source(&self, client: SocketAddr) -> Option<SocketAddr> {
        let Self::AsClient(target) = self else { return None };
        let ip = client.ip();
        let is_our_own = ip.is_loopback() || ip.is_unspecified();
        // such an address means nothing on another link
        let is_link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        (ip.is_ipv4() == target.is_ipv4() && !is_our_own && !is_link_local).then_some(client)
    }
}

/// A port to be held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldPort {
    /// Which.
    pub key: PortKey,
    /// Where it leads.
    pub aim: Aim,
    /// A file descriptor comes with it: the socket, bound. Otherwise the port is held already, and only leads
    /// elsewhere from now on.
    #[serde(default)]
    pub fd: bool,
}

/// A port that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortState {
    /// Which.
    pub key: PortKey,
    /// Where it leads.
    pub aim: Aim,
    /// Connections and datagram flows that pass through it now.
    #[serde(default)]
    pub connections: usize,
}
