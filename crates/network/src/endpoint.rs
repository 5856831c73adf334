//! A container's place on a network: what is asked for, and what it got.

use std::fmt;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::dns::ResolverSockets;

/// What a container asks of one network.
#[derive(Debug, Clone, Default)]
pub struct EndpointRequest {
    /// The container's full id (64 hex digits).
    pub container_id: String,
    /// The network's id; empty means the default bridge.
    pub network_id: String,
    /// A particular address, which must be free and in the subnet.
    pub ip: Option<Ipv4Addr>,
    /// A particular hardware address; otherwise one is derived from the IP address.
    pub mac: Option<MacAddr>,
    /// Ports to publish on the host, if this is the endpoint that the default route leads through.
    pub ports: Vec<PortRequest>,
    /// Names by which the network's other containers find it.
    pub names: Vec<String>,
    /// Names that this container alone gives to others: own name → the other's.
    pub links: Vec<(String, String)>,
    /// The default route goes through the endpoint with the highest priority; among equals through
    /// the network whose name comes first.
    pub priority: i64,
}

/// A network namespace that is ready for a container, with what it was given.
#[derive(Debug)]
pub struct Attachment {
    /// The namespace. When the last descriptor and process are gone, the kernel frees it and its
    /// interfaces.
    pub netns: OwnedFd,
    /// What to record with the container, and to give back to [`crate::Network::adopt`]; in the
    /// order of the requests.
    pub endpoints: Vec<Endpoint>,
    /// Where its questions for names arrive, if it is on a network that has names.
    pub resolver: Option<ResolverSockets>,
}

/// A container's place on a network. Recorded with the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Id of this endpoint, 64 hex digits.
    pub id: String,
    /// Id of the network, 64 hex digits.
    pub network_id: String,
    /// The container's address.
    pub ip: Ipv4Addr,
    /// Length of the subnet's prefix.
    pub prefix_len: u8,
    /// The way out of the network, if there is one.
    pub gateway: Ipv4Addr,
    /// Hardware address of the container's interface.
    pub mac: MacAddr,
    /// Name of the interface in the container (`eth0`).
    pub interface: String,
    /// Name of the host's end.
    pub host_interface: String,
    /// Ports published on the host.
    #[serde(default)]
    pub ports: Vec<PublishedPort>,
    /// As in [`EndpointRequest::names`].
    #[serde(default)]
    pub names: Vec<String>,
    /// As in [`EndpointRequest::links`].
    #[serde(default)]
    pub links: Vec<(String, String)>,
    /// As in [`EndpointRequest::priority`].
    #[serde(default)]
    pub priority: i64,
}

/// One `-p`: a container port to be reachable through the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRequest {
    /// The protocol.
    pub protocol: Protocol,
    /// Port in the container.
    pub container_port: u16,
    /// Host address to publish on; `None` means the daemon's `--ip`.
    pub host_ip: Option<Ipv4Addr>,
    /// First host port; `None` asks for any free ephemeral one.
    pub host_port: Option<u16>,
    /// Last host port of a range from which the first free one is taken.
    pub host_port_end: Option<u16>,
}

/// A port that is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The protocol.
    pub protocol: Protocol,
    /// Port in the container.
    pub container_port: u16,
    /// Host address; unspecified (`0.0.0.0`) means all of them.
    pub host_ip: Ipv4Addr,
    /// Host port.
    pub host_port: u16,
}

/// A transport protocol that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Its number in the IP header (IANA protocol numbers).
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// An Ethernet hardware address; as text, six lower-case hex pairs with colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Docker's derivation: locally administered `02:42`, then the four bytes of the address.
    pub const fn from_ipv4(ip: Ipv4Addr) -> Self {
        let [a, b, c, d] = ip.octets();
        Self([0x02, 0x42, a, b, c, d])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A text that is no hardware address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid MAC address: {0}")]
pub struct InvalidMac(String);

impl FromStr for MacAddr {
    type Err = InvalidMac;

    /// Six pairs of hex digits separated by `:` or `-`; group addresses are refused, as no
    /// interface can own one.
    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let bad = || InvalidMac(text.chars().take(64).collect());
        let mut bytes = [0u8; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()));
            *byte = part.and_then(|p| u8::from_str_radix(p, 16).ok()).ok_or_else(bad)?;
        }
        if parts.next().is_some() || bytes[0] & 1 == 1 || bytes == [0; 6] {
            return Err(bad());
        }
        Ok(Self(bytes))
    }
}

impl Serialize for MacAddr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses_are_read_strictly_and_written_as_docker_does() {
        let mac = MacAddr::from_ipv4(Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(mac.to_string(), "02:42:ac:11:00:02");
        assert_eq!("02-42-AC-11-00-02".parse(), Ok(mac));
        for bad in [
            "",
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "0242:ac:11:00:02",
            "01:42:ac:11:00:02",
            "+2:42:ac:11:00:02",
        ] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
    }
}
