//! The facade: networks of this machine, and the endpoints of its containers.

mod attach;
mod create;
mod forwarding;
mod guard;
mod info;
mod leave;
mod live;
mod machine;
mod overlay;
mod recover;
mod republish;
mod settings;
mod sockets;
mod state;
mod unplug;

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use crate::config::{Config, DnsConfig};
use crate::dns::Directory;
use crate::driver::Setting;
use crate::error::{Error, Result};
use crate::firewall::Firewall;
use crate::ipam::{self, Leases};
use crate::netlink::{Protocol, Socket};
use crate::netns::{Namespace, Pool};
use crate::wireguard::{self, Keys};
use state::{State, Up};
use unplug::Unplugger;

pub use recover::SweepReport;
pub use sockets::PortSocket;

/// Networks of this machine. Every operation blocks (milliseconds at most) and may be called from
/// any thread that is in the host's network namespace.
///
/// Locks are taken in the order of the fields: `state`, `host`, `firewall`, `names`.
#[derive(Debug)]
pub struct Network {
    config: Config,
    /// Name of our firewall table, and what is written on our bridges.
    owner: String,
    /// Name of the device that encrypted networks go through.
    wireguard: String,
    /// Once they are needed, where the kernel has WireGuard.
    keys: OnceLock<Keys>,
    state: Mutex<State>,
    host: Mutex<Socket>,
    firewall: Mutex<Firewall>,
    names: RwLock<Directory>,
    pool: Pool,
    unplugger: Unplugger,
    /// Whether shims may take their clients' addresses, once that is asked.
    keeps_clients: OnceLock<bool>,
}

impl Network {
    /// Reads the records. The kernel is left as it is until the first container needs a bridge.
    ///
    /// # Errors
    /// Contradictory options, an unreadable record, or no netlink socket.
    pub fn open(config: Config) -> Result<Self> {
        config.check()?;
        let owner = config.tag.as_ref().map_or_else(|| "berth".to_owned(), |tag| format!("berth-{tag}"));
        let state = State::open(&config)?;
        let config_tag = config.tag.clone();
        let firewall = Firewall::new(owner.clone()).keep_clients(config.host_ports.is_some());
        Ok(Self {
            config,
            state: Mutex::new(state),
            host: Mutex::new(Socket::open(Protocol::Route)?),
            firewall: Mutex::new(firewall),
            keeps_clients: OnceLock::new(),
            names: RwLock::default(),
            pool: Pool::default(),
            unplugger: Unplugger::default(),
            wireguard: wireguard::name(config_tag.as_deref()),
            keys: OnceLock::new(),
            owner,
        })
    }

    /// A namespace with nothing but a loopback interface that is up (`--network none`): a new one of the caller's, which
    /// belongs to a user namespace, or one of ours.
    ///
    /// # Errors
    /// The kernel refuses another namespace.
    pub fn isolated(&self, netns: Option<OwnedFd>) -> Result<OwnedFd> {
        if let Some(netns) = netns {
            return Namespace::furnish(netns).map(|namespace| namespace.fd);
        }
        let namespace = self.pool.take();
        self.pool.refill();
        namespace.map(|namespace| namespace.fd)
    }

    /// Removes the bridges and the firewall table when no container is attached, and says whether
    /// it did. For a daemon that shuts down.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn teardown_if_unused(&self) -> Result<bool> {
        let mut state = self.state();
        if !state.endpoints.is_empty() {
            return Ok(false);
        }
        self.remove_all(&mut state)?;
        Ok(true)
    }

    /// Removes the bridges and the firewall table whatever is attached. Idempotent.
    ///
    /// # Errors
    /// The kernel refuses; everything has been tried.
    pub fn teardown(&self) -> Result<()> {
        self.remove_all(&mut self.state())
    }

    /// The host's address on the default bridge (`host-gateway` in `--add-host`).
    ///
    /// # Errors
    /// As for making the bridge, which this does.
    pub fn host_gateway(&self) -> Result<IpAddr> {
        let mut state = self.state();
        let id = state.record.bridge.id.clone();
        let up = self.ensure(&mut state, &id)?;
        let host = up.segment.sides.iter().find_map(|side| side.host);
        host.ok_or(Error::Malformed("a bridge without an address"))
    }

    /// The daemon's defaults for containers' name resolution.
    pub fn dns_defaults(&self) -> &DnsConfig {
        &self.config.dns
    }

    /// A network that is up, brought up if it must be.
    fn ensure<'s>(&self, state: &'s mut State, id: &str) -> Result<&'s mut Up> {
        if state.net(id)?.up.is_none() {
            let first = state.nets.values().all(|net| net.up.is_none());
            let up = self.set_up(state, id)?;
            state.net_mut(id)?.up = Some(up);
            if state.net(id)?.encrypted() {
                self.tell_wireguard(state)?;
            }
            self.agree(state, id)?;
            let warnings = if first { self.foreign_drops() } else { Vec::new() };
            warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        }
        state.net_mut(id)?.up.as_mut().ok_or(Error::Malformed("no network"))
    }

    fn set_up(&self, state: &mut State, id: &str) -> Result<Up> {
        let default = state.record.bridge.id == id;
        self.require_encryption(state, id)?;
        let net = state.net(id)?;
        let (driver, reserved, name) = (net.driver.clone(), net.reserved.clone(), net.name.clone());
        let setting = self.setting(state, default);
        let segment = driver.bring_up(&mut self.host(), &setting)?;
        if default {
            state.note_addresses(&segment);
        }
        let bridged = driver.bridge().is_some();
        let forward = if bridged { self.begin_forwarding(&mut state.record, &segment)? } else { Vec::new() };
        // Whatever we are about to change is written down first.
        state.write_record(&self.config.data_dir)?;
        let leases = Leases::new(&name, &segment.sides, &reserved);
        state.net_mut(id)?.subnets = segment.sides.iter().map(|side| side.subnet).collect();
        let up = Up { segment, leases, loopback_routed: false };
        if bridged {
            self.apply_rules(state)?;
        }
        // Last, when the rules that keep it within bounds are there.
        for family in forward {
            self.switch_forwarding(&state.record, family)?;
        }
        Ok(up)
    }

    /// What drivers need to know of this daemon.
    fn setting(&self, state: &State, default: bool) -> Setting<'_> {
        Setting {
            owner: &self.owner,
            pools: &self.config.address_pools,
            private: ipam::private(&state.record.bridge.id),
            recorded: state.record.bridge_address.filter(|_| default),
            recorded6: state.record.bridge_address6.filter(|_| default),
            underlay: state.cluster.underlay(self.config.vxlan_port),
            wireguard: self.wireguard(),
        }
    }

    /// Makes the firewall say what the bridges need.
    fn apply_rules(&self, state: &State) -> Result<()> {
        if !self.config.firewall {
            return Ok(());
        }
        self.firewall().apply(&state.rules(), state.all_uplinks(), &[])
    }

    fn remove_all(&self, state: &mut State) -> Result<()> {
        self.pool.clear();
        let mut links = Ok(());
        for net in state.nets.values_mut() {
            net.up = None;
            links = links.and(net.driver.take_down(&mut self.host(), &self.owner));
        }
        let secure = wireguard::remove(&mut self.host(), &self.owner, &self.wireguard);
        let links = links.and(secure.map(drop));
        // Before the rules go that keep it within bounds.
        let forwarding = self.end_forwarding(&mut state.record);
        let table = if self.config.firewall { self.firewall().remove() } else { Ok(()) };
        links.and(forwarding).and(table)
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
mod lan_tests;

#[cfg(test)]
mod user_tests;

#[cfg(test)]
mod six_tests;

#[cfg(test)]
mod bench;
