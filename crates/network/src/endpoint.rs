//! A container's place on a network: what is asked for, and what it got.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::dns::ResolverSockets;
use crate::driver::endpoint::EndpointOptions;

/// What a container asks of one network.
#[derive(Debug, Clone, Default)]
pub struct EndpointRequest {
    /// The container's full id (64 hex digits).
    pub container_id: String,
    /// The network's id; empty means the default bridge.
    pub network_id: String,
    /// A particular IPv4 address, which must be free and in the subnet.
    pub ip: Option<Ipv4Addr>,
    /// A particular IPv6 address, likewise.
    pub ip6: Option<Ipv6Addr>,
    /// Further addresses of the interface, each alone in its subnet (`--link-local-ip`).
    pub link_local: Vec<IpAddr>,
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
    /// Options of the interface.
    pub options: EndpointOptions,
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
    /// The container's IPv4 address, on a network that has such.
    pub ip: Option<Ipv4Addr>,
    /// Length of its subnet's prefix.
    #[serde(default)]
    pub prefix_len: u8,
    /// The way out of the network for IPv4, if there is one.
    pub gateway: Option<Ipv4Addr>,
    /// The container's IPv6 address, on a network that has such.
    #[serde(default)]
    pub ip6: Option<Ipv6Addr>,
    /// Length of its subnet's prefix.
    #[serde(default)]
    pub prefix6_len: u8,
    /// The way out of the network for IPv6, if there is one.
    #[serde(default)]
    pub gateway6: Option<Ipv6Addr>,
    /// As in [`EndpointRequest::link_local`].
    #[serde(default)]
    pub link_local: Vec<IpAddr>,
    /// Hardware address of the container's interface.
    pub mac: MacAddr,
    /// Name of the interface in the container (`eth0`).
    pub interface: String,
    /// Name of the host's end; empty where the host has none.
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

impl Endpoint {
    /// The container's addresses on the network, each with its subnet's prefix: IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpNet> {
        let v4 = self.ip.and_then(|ip| IpNet::new(ip.into(), self.prefix_len).ok());
        let v6 = self.ip6.and_then(|ip| IpNet::new(ip.into(), self.prefix6_len).ok());
        v4.into_iter().chain(v6)
    }

    /// The network's ways out, of each family that has one.
    pub(crate) fn gateways(&self) -> impl Iterator<Item = IpAddr> {
        self.gateway.map(IpAddr::V4).into_iter().chain(self.gateway6.map(IpAddr::V6))
    }
}

/// One `-p`: a container port to be reachable through the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRequest {
    /// The protocol.
    pub protocol: Protocol,
    /// Port in the container.
    pub container_port: u16,
    /// Host address to publish on; `None` means the daemon's `--ip`.
    pub host_ip: Option<IpAddr>,
    /// First host port; `None` asks for any free ephemeral one.
    pub host_port: Option<u16>,
    /// Last host port of a range from which the first free one is taken.
    pub host_port_end: Option<u16>,
    /// So many ports that follow are to be published as well, each on the host port that follows; `host_port` is
    /// given then, and no end.
    #[serde(default)]
    pub more: u16,
}

/// A port that is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The protocol.
    pub protocol: Protocol,
    /// Port in the container.
    pub container_port: u16,
    /// Host address; unspecified (`0.0.0.0`, `::`) means all of the family.
    pub host_ip: IpAddr,
    /// Host port.
    pub host_port: u16,
    /// So many ports that follow are published as well, each on the host port that follows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u16,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u16) -> bool {
    *number == 0
}

impl PublishedPort {
    /// The last host port.
    pub fn last(&self) -> u16 {
        self.host_port.saturating_add(self.more)
    }

    /// Each port, one by one.
    pub(crate) fn each(self) -> impl Iterator<Item = Self> {
        (0..=self.more).map(move |on| Self {
            host_port: self.host_port.saturating_add(on),
            container_port: self.container_port.saturating_add(on),
            more: 0,
            ..self
        })
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
pub(crate) mod tests {
    use super::*;

    impl Endpoint {
        /// Its IPv4 address, on a network that is known to have one.
        pub(crate) fn v4(&self) -> Ipv4Addr {
            self.ip.expect("an IPv4 address")
        }
    }

    /// An endpoint with the address `ip` of a subnet of 24 bits.
    pub(crate) fn endpoint(network: &str, ip: Ipv4Addr) -> Endpoint {
        let [a, b, c, _] = ip.octets();
        Endpoint {
            id: String::new(),
            network_id: network.to_owned(),
            ip: Some(ip),
            prefix_len: 24,
            gateway: Some(Ipv4Addr::new(a, b, c, 1)),
            ip6: None,
            prefix6_len: 0,
            gateway6: None,
            link_local: Vec::new(),
            mac: MacAddr::from_ipv4(ip),
            interface: "eth0".into(),
            host_interface: "veth".into(),
            ports: Vec::new(),
            names: Vec::new(),
            links: Vec::new(),
            priority: 0,
        }
    }

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
