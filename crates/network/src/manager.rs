//! The facade: networks of this machine, and the endpoints of its containers.

mod attach;
mod info;
mod recover;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::Ipv4Net;

use crate::bridge::{self, Bridge};
use crate::config::{Config, DnsConfig};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::firewall::{Firewall, plan};
use crate::ipam::Leases;
use crate::netlink::{Protocol, Socket};
use crate::netns::Pool;
use crate::ports::Ports;
use crate::record::{Forwarding, Record};
use crate::route;
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
            for warning in self.foreign_drops() {
                tracing::warn!("{warning}");
            }
        }
        state.bridge.as_mut().ok_or(Error::Malformed("no bridge"))
    }

    fn set_up(&self, record: &mut Record) -> Result<Up> {
        let config = &self.config.bridge;
        let known = record.clone();
        let bridge =
            bridge::ensure(&mut self.host(), config, &self.config.address_pools, record.bridge_address)?;
        let address = bridge.address;
        record.bridge_address = Some(address);
        let forward = self.config.ip_forward && !sysctl::forwarding();
        if forward {
            record.forwarding = Some(Forwarding { boot_id: sysctl::boot_id(), uplinks: self.uplinks()? });
        }
        // Whatever we are about to change is written down first.
        if *record != known {
            record.write(&self.config.data_dir)?;
        }
        self.apply_rules(record, address)?;
        // Last, when the rules that keep it within bounds are there.
        if forward {
            sysctl::enable_forwarding()?;
        }
        let reserved = [address.addr(), bridge.gateway];
        let leases = Leases::new("bridge", address, config.fixed_cidr, &reserved);
        Ok(Up { bridge, leases })
    }

    fn apply_rules(&self, record: &Record, address: Ipv4Net) -> Result<()> {
        if !self.config.firewall {
            return Ok(());
        }
        let config = &self.config.bridge;
        let rules = plan::Bridge {
            name: config.name.clone(),
            subnet: address.trunc(),
            icc: config.icc,
            masquerade: config.ip_masq,
        };
        let ours = record.forwarding.as_ref().filter(|f| f.boot_id == sysctl::boot_id());
        self.firewall().apply(&[rules], ours.map_or(&[], |f| f.uplinks.as_slice()))
    }

    /// The host's interfaces that lead elsewhere: neither loopback nor a bridge nor its port.
    fn uplinks(&self) -> Result<Vec<String>> {
        let links = route::dump(&mut self.host())?;
        let elsewhere =
            |l: &route::Link| l.name != "lo" && l.kind.as_deref() != Some("bridge") && l.master.is_none();
        Ok(links.into_iter().filter(elsewhere).map(|l| l.name).collect())
    }

    fn remove(&self, state: &mut State) -> Result<()> {
        self.pool.clear();
        state.bridge = None;
        state.loopback_routed = false;
        let link = bridge::remove(&mut self.host(), &self.config.bridge);
        // Before the rules go that keep it within bounds.
        let forwarding = self.end_forwarding(&mut state.record);
        let table = if self.config.firewall { self.firewall().remove() } else { Ok(()) };
        link.and(forwarding).and(table)
    }

    /// Switches forwarding off, if we have switched it on and nobody can have come to rely on it
    /// since: every interface was there before.
    fn end_forwarding(&self, record: &mut Record) -> Result<()> {
        let Some(ours) = record.forwarding.as_ref().filter(|f| f.boot_id == sysctl::boot_id()) else {
            return Ok(());
        };
        let uplinks = ours.uplinks.clone();
        let newcomer = || -> Result<bool> {
            let links = route::dump(&mut self.host())?;
            Ok(links.iter().any(|l| l.name != "lo" && !uplinks.contains(&l.name)))
        };
        if newcomer()? {
            return Ok(());
        }
        sysctl::disable_forwarding()?;
        // Another daemon may have made its bridge, and found forwarding on, in between.
        if newcomer()? {
            return sysctl::enable_forwarding();
        }
        record.forwarding = None;
        record.write(&self.config.data_dir)
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
