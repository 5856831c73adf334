//! The facade: networks of this machine, and the endpoints of its containers.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use crate::config::{Config, DnsConfig};
use crate::endpoint::{Attachment, Endpoint, EndpointRequest};
use crate::error::{Error, Result};
use crate::model::NetworkInfo;

/// Networks of this machine. Every operation blocks (milliseconds at most), may be called from any
/// thread, and must be called on threads that are in the host's network namespace.
#[derive(Debug)]
pub struct Network {
    config: Config,
}

/// What [`Network::sweep`] found and removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Host ends of veth pairs whose container is no more.
    pub interfaces: Vec<String>,
    /// Containers whose published ports were still in the firewall.
    pub published: Vec<String>,
}

impl Network {
    /// Reads the records. The kernel is left as it is until the first container needs a bridge.
    ///
    /// # Errors
    /// Contradictory options, an unreadable record, or no netlink socket.
    pub fn open(config: Config) -> Result<Self> {
        Ok(Self { config })
    }

    /// A namespace with nothing but a loopback interface that is up (`--network none`).
    ///
    /// # Errors
    /// The kernel refuses another namespace.
    pub fn isolated(&self) -> Result<OwnedFd> {
        Err(Error::Config("not linked yet".into()))
    }

    /// A namespace on the default bridge, which is made first if it must be. On an error nothing
    /// of it stays.
    ///
    /// # Errors
    /// The requested address or port is taken, the subnet is exhausted, no subnet is free, or the
    /// kernel refuses.
    pub fn attach_bridge(&self, _request: &EndpointRequest) -> Result<Attachment> {
        Err(Error::Config("not linked yet".into()))
    }

    /// Takes back the container's address and published ports. The veth pair is left to the death
    /// of the namespace. Idempotent.
    ///
    /// # Errors
    /// The kernel refuses to remove the ports; the address is free all the same.
    pub fn detach(&self, _container_id: &str) -> Result<()> {
        Err(Error::Config("not linked yet".into()))
    }

    /// Takes over a container that a previous daemon attached: its address is held again, and the
    /// firewall and bridge are put back should they have been lost.
    ///
    /// # Errors
    /// The address is held by another container.
    pub fn adopt(&self, _container_id: &str, _endpoint: &Endpoint) -> Result<()> {
        Err(Error::Config("not linked yet".into()))
    }

    /// Removes what containers other than those in `live` have left: interfaces, ports. Called
    /// after every live container was adopted.
    ///
    /// # Errors
    /// All that could not be removed, after trying everything.
    pub fn sweep(&self, _live: &HashSet<String>) -> Result<SweepReport> {
        Err(Error::Config("not linked yet".into()))
    }

    /// Removes the bridge and the firewall table when no container is attached, and says whether
    /// it did. For a daemon that shuts down.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn teardown_if_unused(&self) -> Result<bool> {
        Err(Error::Config("not linked yet".into()))
    }

    /// Removes the bridge and the firewall table whatever is attached. Idempotent.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn teardown(&self) -> Result<()> {
        Err(Error::Config("not linked yet".into()))
    }

    /// The networks: `bridge`, `host` and `none`.
    pub fn networks(&self) -> Vec<NetworkInfo> {
        Vec::new()
    }

    /// The host's address on the default bridge (`host-gateway` in `--add-host`).
    ///
    /// # Errors
    /// As for making the bridge, which this does.
    pub fn host_gateway(&self) -> Result<Ipv4Addr> {
        Err(Error::Config("not linked yet".into()))
    }

    /// The daemon's defaults for containers' name resolution.
    pub fn dns_defaults(&self) -> &DnsConfig {
        &self.config.dns
    }

    /// What on this machine will get in the way of containers' traffic, in words for the person
    /// who runs it (`docker info`'s warnings). Empty is the normal case.
    pub fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
