//! What can go wrong with a network, in words for the person who asked.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use rustix::io::Errno;

use crate::endpoint::Protocol;

/// Result of every operation here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on a network that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a netlink request. `detail` is its own explanation, when it gave one.
    #[error("{action}: {errno}{}", detail.as_ref().map(|d| format!(" ({d})")).unwrap_or_default())]
    Kernel {
        /// What was being done.
        action: String,
        /// The kernel's error number.
        errno: Errno,
        /// The kernel's message (extended acknowledgement).
        detail: Option<String>,
    },
    /// A system call failed.
    #[error("{action}: {errno}")]
    System {
        /// What was being done.
        action: String,
        /// The error number.
        errno: Errno,
    },
    /// An answer of the kernel that cannot be read.
    #[error("unreadable netlink answer: {0}")]
    Malformed(&'static str),
    /// A record of ours cannot be read or written.
    #[error("network record {path}: {source}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The daemon's network options contradict each other or the machine.
    #[error("{0}")]
    Config(String),
    /// Every candidate subnet overlaps a network that this machine is already part of.
    #[error(
        "could not find an available, non-overlapping {family} address pool among the defaults to assign to the network"
    )]
    NoFreeSubnet {
        /// `IPv4` or `IPv6`.
        family: String,
    },
    /// The subnet has no address left.
    #[error("no available {family} addresses on this network's address pools: {name} ({subnet})")]
    Exhausted {
        /// `IPv4` or `IPv6`.
        family: String,
        /// Name of the network.
        name: String,
        /// Its pool.
        subnet: IpNet,
    },
    /// The requested address belongs to somebody else.
    #[error("Address already in use")]
    AddressInUse(IpAddr),
    /// The network is not there.
    #[error("network {0} not found")]
    NoSuchNetwork(String),
    /// There is no configuration to take over.
    #[error("configuration network \"{0}\" does not exist")]
    NoSuchConfiguration(String),
    /// Another network has the name.
    #[error("network with name {0} already exists")]
    NameInUse(String),
    /// No network of this kind can be made.
    #[error("plugin \"{0}\" not found")]
    NoSuchDriver(String),
    /// The subnet shares addresses with another network's.
    #[error("Pool overlaps with other one on this address space")]
    PoolOverlap,
    /// A network that containers are on.
    #[error("error while removing network: network {name} id {id} has active endpoints")]
    InUse {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
    /// Something that may not be done.
    #[error("{0}")]
    Forbidden(String),
    /// A request that makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A request that cannot be fulfilled by this version.
    #[error("{0}")]
    Unsupported(String),
    /// The requested address is not in the subnet.
    #[error("invalid address {ip}: It does not belong to any of this network's subnets ({subnet})")]
    AddressOutside {
        /// The address.
        ip: IpAddr,
        /// The subnet.
        subnet: IpNet,
    },
    /// The requested address is of a family that the network doesn't have.
    #[error(
        "invalid address {ip}: It does not belong to any of this network's subnets ({})",
        subnets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    NoSuchFamily {
        /// The address.
        ip: IpAddr,
        /// The subnets.
        subnets: Vec<IpNet>,
    },
    /// The requested host port belongs to somebody else.
    #[error("Bind for {host_ip}:{host_port} failed: port is already allocated")]
    PortAllocated {
        /// Host address.
        host_ip: IpAddr,
        /// Host port.
        host_port: u16,
        /// The protocol.
        protocol: Protocol,
    },
    /// The requested host port is one that the user may not have.
    #[error(
        "cannot expose privileged port {host_port}, you can add 'net.ipv4.ip_unprivileged_port_start={host_port}' to /etc/sysctl.conf (currently {first}), or choose a larger port number (>= {first}): listen {protocol} {}: bind: permission denied",
        std::net::SocketAddr::new(*host_ip, *host_port)
    )]
    Privileged {
        /// Host address.
        host_ip: IpAddr,
        /// Host port.
        host_port: u16,
        /// The protocol.
        protocol: Protocol,
        /// The first port that everybody may have.
        first: u16,
    },
    /// No port of the requested range is free.
    #[error("all ports are allocated in {first}-{last}/{protocol}")]
    PortsExhausted {
        /// First port of the range.
        first: u16,
        /// Last port of the range.
        last: u16,
        /// The protocol.
        protocol: Protocol,
    },
    /// The container already has an endpoint there.
    #[error("container {container} is already attached to network {network}")]
    AlreadyAttached {
        /// Its id.
        container: String,
        /// The network's name.
        network: String,
    },
    /// The container has no endpoint there.
    #[error("container {container} is not connected to network {network}")]
    NotAttached {
        /// Its id.
        container: String,
        /// The network's name.
        network: String,
    },
}

impl Error {
    /// A failed system call, for `map_err`.
    pub(crate) fn system(action: impl Into<String>) -> impl FnOnce(Errno) -> Self {
        let action = action.into();
        move |errno| Self::System { action, errno }
    }

    /// The kernel's error number, when that is what this is.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Kernel { errno, .. } | Self::System { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}
