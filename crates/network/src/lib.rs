//! Container networks over netlink and nftables, every operation with its inverse.
//!
//! [`Network`] is the whole facade: it makes networks and network namespaces, joins the latter to
//! the former, knows who is called what on them, and takes everything back. What a container needs is held by its namespace (the veth pair dies
//! with it); what the kernel does not collect is named after the container and found by
//! [`Network::sweep`]. [`files`] computes `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`.

mod bridge;
mod config;
mod definition;
mod dns;
mod driver;
mod endpoint;
mod error;
pub mod files;
mod firewall;
pub mod fuzzing;
mod ipam;
#[cfg(test)]
mod lab;
mod lan;
mod layout;
mod manager;
mod model;
mod netlink;
mod netns;
mod overlay;
mod ports;
mod record;
mod route;
mod sysctl;
mod wireguard;

pub use config::{AddressPool, BridgeConfig, Config, DnsConfig, Presence, PublishMode};
pub use definition::CreateRequest;
pub use dns::{Door, ResolverSockets, Verdict, failure};
pub use driver::endpoint::EndpointOptions;
pub use endpoint::{Attachment, Endpoint, EndpointRequest, MacAddr, PortRequest, Protocol, PublishedPort};
pub use error::{Error, Result};
pub use firewall::Watch;
pub use ipam::{Pool, SubnetRequest};
pub use manager::{Network, PortSocket, SweepReport};
pub use model::NetworkInfo;
pub use overlay::{Host, Hosts, MAX_VNI, OverlayNetwork, OverlayOptions, OverlaySubnet, Peer, PeerChange};
pub use ports::HostPorts;
