//! Networks that are encrypted between machines: this machine's key, and the device that they go through.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::Cluster;
use crate::error::{Error, Result};
use crate::manager::Network;
use crate::manager::state::{Net, State};
use crate::overlay::Host;
use crate::wireguard::{self, Device, Key, Keys};

impl Network {
    /// This machine's keys, made and recorded at the first call; `None` where the kernel has no WireGuard.
    pub(crate) fn keys(&self) -> Result<Option<&Keys>> {
        if self.keys.get().is_none() {
            // One at a time: there is one record.
            let _alone = self.state();
            self.open_keys()?;
        }
        Ok(self.keys.get())
    }

    /// Refuses an encrypted network where the kernel has nothing to encrypt with.
    pub(in crate::manager) fn require_encryption(&self, state: &State, id: &str) -> Result<()> {
        let net = state.net(id)?;
        if !net.encrypted() {
            return Ok(());
        }
        self.open_keys()?;
        match self.keys.get() {
            Some(_) => Ok(()),
            None => Err(self.no_encryption(&net.name)),
        }
    }

    /// The kernel has nothing to encrypt with.
    pub(crate) fn no_encryption(&self, name: &str) -> Error {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        Error::Unsupported(format!("network {shown}: {}", wireguard::missing()))
    }

    fn open_keys(&self) -> Result<()> {
        if self.keys.get().is_none()
            && let Some(keys) = Keys::open(&self.config.data_dir)?
        {
            // Whoever was faster has read the same.
            let _ = self.keys.set(keys);
        }
        Ok(())
    }

    /// The device, as it is to be, once this machine has keys.
    pub(in crate::manager) fn wireguard(&self) -> Option<Device<'_>> {
        let keys = self.keys.get()?;
        Some(Device { name: &self.wireguard, keys, port: self.config.wireguard_port })
    }

    /// Makes the device speak with the other machines, if there is anything to say. While they are not
    /// known, those stay that a former daemon told it of.
    pub(in crate::manager) fn tell_wireguard(&self, state: &State) -> Result<()> {
        let up = state.nets.values().any(|net| net.up.is_some() && net.encrypted());
        let (true, Some(device)) = (up && state.cluster.underlay(0).is_some(), self.wireguard()) else {
            return Ok(());
        };
        let port = self.config.wireguard_port;
        let reached = state.cluster.keyed();
        let ends = reached.iter().map(|(host, key)| (*key, SocketAddr::new(host.vtep, port)));
        device.tell(&ends.collect::<BTreeMap<_, _>>())
    }

    /// Removes the device when no network needs it any more; whether it did.
    pub(in crate::manager) fn retire_wireguard(&self, state: &State) -> Result<bool> {
        if state.nets.values().any(Net::encrypted) || !state.unreadable.is_empty() {
            return Ok(false);
        }
        wireguard::remove(&mut self.host(), &self.owner, &self.wireguard)
    }
}

impl Cluster {
    /// Where the other machines' encrypted tunnels end: inside of WireGuard. Machines without a key are
    /// not among them.
    pub(in crate::manager) fn tunnels(&self) -> HashMap<&str, IpAddr> {
        let ends = self.keyed().into_iter();
        ends.map(|(host, key)| (host.id.as_str(), wireguard::address(&key).into())).collect()
    }

    /// The other machines that can be reached and have a key that is nobody else's, nor would be
    /// found at somebody else's address.
    fn keyed(&self) -> Vec<(&Host, Key)> {
        let reached = self.vteps();
        let (mut seen, mut double) = (HashSet::new(), HashSet::new());
        for host in self.hosts() {
            let address = host.wg_key.as_ref().map(wireguard::address);
            if let Some(address) = address.filter(|address| !seen.insert(*address)) {
                tracing::error!(
                    host = host.id,
                    "another host has the same WireGuard key: neither is reached by it"
                );
                double.insert(address);
            }
        }
        let hosts = self.others().filter(|host| reached.contains_key(host.id.as_str()));
        let keyed = hosts.filter_map(|host| host.wg_key.map(|key| (host, key)));
        keyed.filter(|(_, key)| !double.contains(&wireguard::address(key))).collect()
    }
}
