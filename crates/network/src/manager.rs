//! The facade: networks of this machine, and the endpoints of its containers.

mod attach;
mod info;
mod recover;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::bridge::{self, Bridge};
use crate::config::{Config, DnsConfig};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::firewall::{Firewall, plan};
use crate::ipam::Leases;
use crate::netlink::{Protocol, Socket};
use crate::netns::Pool;
use crate::ports::Ports;
use crate::record::Record;
use crate::sysctl;

pub use recover::SweepReport;

/// Networks of this machine. Every operation blocks (milliseconds at most) and may be called from
/// any thread that is in the host's network namespace.
///
/// Locks are taken in the order of the fields: `state`, `host`, `firewall`.
#[derive(Debug)]
pub struct Network {
    config: Config,
    state: Mutex<State>,
    host: Mutex<Socket>,
    firewall: Mutex<Firewall>,
    pool: Pool,
}

/// What is known about the default bridge and who is on it.
#[derive(Debug)]
struct State {
    record: Record,
    bridge: Option<Up>,
    endpoints: HashMap<String, Endpoint>,
    ports: Ports,
    /// The host's loopback may already reach published ports.
    loopback_routed: bool,
}

/// The bridge while it is up.
#[derive(Debug)]
struct Up {
    bridge: Bridge,
    leases: Leases,
}

impl Network {
    /// Reads the records. The kernel is left as it is until the first container needs a bridge.
    ///
    /// # Errors
    /// Contradictory options, an unreadable record, or no netlink socket.
    pub fn open(config: Config) -> Result<Self> {
        config.check()?;
        let record = Record::open(&config.data_dir)?;
        let table = config.tag.as_ref().map_or_else(|| "berth".to_owned(), |tag| format!("berth-{tag}"));
        let state = State {
            record,
            bridge: None,
            endpoints: HashMap::new(),
            ports: Ports::default(),
            loopback_routed: false,
        };
        Ok(Self {
            config,
            state: Mutex::new(state),
            host: Mutex::new(Socket::open(Protocol::Route)?),
            firewall: Mutex::new(Firewall::new(table)),
            pool: Pool::default(),
        })
    }

    /// A namespace with nothing but a loopback interface that is up (`--network none`).
    ///
    /// # Errors
    /// The kernel refuses another namespace.
    pub fn isolated(&self) -> Result<OwnedFd> {
        let namespace = self.pool.take();
        self.pool.refill();
        namespace.map(|namespace| namespace.fd)
    }

    /// Removes the bridge and the firewall table when no container is attached, and says whether
    /// it did. For a daemon that shuts down.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn teardown_if_unused(&self) -> Result<bool> {
        let mut state = self.state();
        if !state.endpoints.is_empty() {
            return Ok(false);
        }
        self.remove(&mut state)?;
        Ok(true)
    }

    /// Removes the bridge and the firewall table whatever is attached. Idempotent.
    ///
    /// # Errors
    /// The kernel refuses; everything has been tried.
    pub fn teardown(&self) -> Result<()> {
        self.remove(&mut self.state())
    }

    /// The host's address on the default bridge (`host-gateway` in `--add-host`).
    ///
    /// # Errors
    /// As for making the bridge, which this does.
    pub fn host_gateway(&self) -> Result<Ipv4Addr> {
        self.ensure(&mut self.state()).map(|up| up.bridge.address.addr())
    }

    /// The daemon's defaults for containers' name resolution.
    pub fn dns_defaults(&self) -> &DnsConfig {
        &self.config.dns
    }

    /// The default bridge, made if it must be.
    fn ensure<'s>(&self, state: &'s mut State) -> Result<&'s mut Up> {
        if state.bridge.is_none() {
            let up = self.set_up(&mut state.record)?;
            state.bridge = Some(up);
        }
        state.bridge.as_mut().ok_or(Error::Malformed("no bridge"))
    }

    fn set_up(&self, record: &mut Record) -> Result<Up> {
        let config = &self.config.bridge;
        let bridge =
            bridge::ensure(&mut self.host(), config, &self.config.address_pools, record.bridge_address)?;
        let address = bridge.address;
        if self.config.firewall {
            self.firewall().apply(&[plan::Bridge {
                name: config.name.clone(),
                subnet: address.trunc(),
                icc: config.icc,
                masquerade: config.ip_masq,
            }])?;
        }
        if self.config.ip_forward {
            sysctl::enable_forwarding()?;
        }
        if record.bridge_address != Some(address) {
            record.bridge_address = Some(address);
            record.write(&self.config.data_dir)?;
        }
        let reserved = [address.addr(), bridge.gateway];
        let leases = Leases::new("bridge", address, config.fixed_cidr, &reserved);
        Ok(Up { bridge, leases })
    }

    fn remove(&self, state: &mut State) -> Result<()> {
        self.pool.clear();
        state.bridge = None;
        state.loopback_routed = false;
        let link = bridge::remove(&mut self.host(), &self.config.bridge);
        let table = if self.config.firewall { self.firewall().remove() } else { Ok(()) };
        link.and(table)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn host(&self) -> MutexGuard<'_, Socket> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn firewall(&self) -> MutexGuard<'_, Firewall> {
        self.firewall.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod bench;
