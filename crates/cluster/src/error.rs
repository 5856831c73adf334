//! What can go wrong with the store, in words for the person who asked.

use std::net::IpAddr;

/// Result of every operation here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation on the store that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An option that makes no sense.
    #[error("{0}")]
    Option(String),
    /// The store does not answer.
    #[error("the cluster store {store} can't be reached: {why}")]
    Unavailable {
        /// Its address, as it was given.
        store: String,
        /// What the last try ended with.
        why: String,
    },
    /// The store answers, and refuses.
    #[error("the cluster store refuses: {0}")]
    Refused(String),
    /// What is asked for lies before what the store still knows.
    #[error("the cluster store has forgotten revision {0}")]
    Compacted(i64),
    /// The lease has run out.
    #[error("the session with the cluster store has expired")]
    Expired,
    /// A machine with the same id takes part already.
    #[error("another daemon with the id {id} takes part in the cluster, at {advertise}")]
    HostInUse {
        /// The id.
        id: String,
        /// Where it is.
        advertise: String,
    },
    /// The network is not there.
    #[error("network {0} not found")]
    NoSuchNetwork(String),
    /// Another network has the name.
    #[error("network with name {0} already exists")]
    NameInUse(String),
    /// The subnet shares addresses with another network's.
    #[error("Pool overlaps with other one on this address space")]
    PoolOverlap,
    /// No subnet is left.
    #[error(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
    )]
    NoFreeSubnet,
    /// Containers of some machine are on the network.
    #[error("error while removing network: network {name} id {id} has active endpoints")]
    InUse {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
    /// The address belongs to somebody else.
    #[error("Address already in use: {ip} is held by container {container} on host {host}")]
    AddressInUse {
        /// The address.
        ip: IpAddr,
        /// Its holder.
        container: String,
        /// The holder's machine.
        host: String,
    },
    /// The address is none of the network's.
    #[error("invalid address {ip}: It does not belong to any of this network's subnets")]
    AddressOutside {
        /// The address.
        ip: IpAddr,
    },
    /// The network has no address left.
    #[error("no available addresses on the address pools of network {0}")]
    Exhausted(String),
    /// A request that makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The record of the session can't be written.
    #[error("session record {path}: {why}")]
    Record {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
}
