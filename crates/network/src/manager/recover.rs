//! After a restart: taking over what lives, removing what doesn't.

use std::collections::{BTreeSet, HashSet};

use rustix::io::Errno;

use super::Network;
use crate::bridge;
use crate::driver::overlay;
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::firewall::plan::Element;
use crate::lan;
use crate::netlink::Batch;
use crate::route;

/// What [`Network::sweep`] found and removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Host ends of veth pairs whose container is no more.
    pub interfaces: Vec<String>,
    /// Containers whose published ports were still in the firewall.
    pub published: Vec<String>,
    /// Bridges, tunnels to other machines, and other interfaces whose network is no more.
    pub bridges: Vec<String>,
}

impl Network {
    /// Takes over a container that a previous daemon attached: its addresses and ports are held
    /// again, and the bridges, their ports and the firewall are put back should they have been lost.
    ///
    /// # Errors
    /// An address or a port is held by another container, or the kernel refuses. The other
    /// endpoints have been tried.
    pub fn adopt(&self, container_id: &str, endpoints: &[Endpoint]) -> Result<()> {
        let mut adopted = Ok(());
        for endpoint in endpoints {
            adopted = adopted.and(self.adopt_one(container_id, endpoint));
        }
        adopted
    }

    fn adopt_one(&self, container_id: &str, endpoint: &Endpoint) -> Result<()> {
        let index = {
            let mut state = self.state();
            let up = self.ensure(&mut state, &endpoint.network_id)?;
            for address in endpoint.addresses() {
                up.leases.take(address.addr(), container_id)?;
            }
            let index = up.segment.index;
            for port in &endpoint.ports {
                state.ports.adopt(container_id, port)?;
            }
            state.endpoints.entry(container_id.to_owned()).or_default().push(endpoint.clone());
            state.announce(&mut self.names_mut(), container_id, endpoint);
            index
        };
        self.plug_in(&endpoint.host_interface, index)?;
        if endpoint.ports.is_empty() {
            return Ok(());
        }
        self.open_loopback(&endpoint.network_id, &endpoint.ports)?;
        let elements = self.state().elements(container_id, endpoint);
        self.firewall().publish(&elements)
    }

    /// Removes what containers other than those in `live` have left, and what networks that are no
    /// more have left: interfaces, ports, bridges. Called after every live container was adopted,
    /// and before any is attached.
    ///
    /// # Errors
    /// The first failure, after everything has been tried.
    pub fn sweep(&self, live: &HashSet<String>) -> Result<SweepReport> {
        let interfaces = self.sweep_interfaces(live);
        let published = if self.config.firewall { self.sweep_ports(live) } else { Ok(Vec::new()) };
        let bridges = self.sweep_bridges();
        Ok(SweepReport { interfaces: interfaces?, published: published?, bridges: bridges? })
    }

    fn sweep_bridges(&self) -> Result<Vec<String>> {
        let state = self.state();
        let known = |name: &str| {
            state.nets.values().any(|net| net.bridge_name() == Some(name))
                || state.unreadable.iter().any(|n| n == name)
        };
        let tunnel = |name: &str| {
            let overlays = state.nets.values().filter_map(|net| net.driver.overlay());
            let unreadable = state.unreadable.iter().filter_map(|bridge| bridge.strip_prefix("br-"));
            overlays.into_iter().any(|overlay| overlay.tunnel == name)
                || unreadable.into_iter().any(|id| overlay::tunnel_name(id) == name)
        };
        let secure = self.retire_wireguard(&state)?;
        let mut host = self.host();
        let tunnels = overlay::sweep(&mut host, &self.owner, tunnel);
        let mut removed = bridge::sweep(&mut host, &self.owner, known)?;
        removed.extend(tunnels?);
        removed.extend(secure.then(|| self.wireguard.clone()));
        // The name of a network's parent stands in its record.
        if state.unreadable.is_empty() {
            let known = |name: &str| {
                state.nets.values().any(|net| net.driver.parent().is_some_and(|p| p.name() == name))
            };
            removed.extend(lan::sweep(&mut host, &self.owner, known)?);
        }
        Ok(removed)
    }

    /// Makes the host's end a port of the bridge, if it is not. That it is gone (a container may
    /// remove its own interface) is no error.
    pub(super) fn plug_in(&self, name: &str, bridge: u32) -> Result<()> {
        let mut host = self.host();
        // On a parent of the host's a container has all of its interface.
        let link = if name.is_empty() { None } else { route::by_name(&mut host, name)? };
        let Some(link) = link else { return Ok(()) };
        if link.master == Some(bridge) {
            return Ok(());
        }
        let mut batch = Batch::default();
        route::push_master(&mut batch, link.index, bridge);
        host.request(&mut batch).map(|_| ())
    }

    /// A namespace that somebody still holds (a process that left its container's cgroup, a bind
    /// mount) keeps its interface: those on our bridges that nobody owns are removed.
    fn sweep_interfaces(&self, live: &HashSet<String>) -> Result<Vec<String>> {
        let state = self.state();
        let owned: HashSet<_> = state
            .placed()
            .filter(|(container, _)| live.contains(*container))
            .map(|(_, endpoint)| endpoint.host_interface.as_str())
            .collect();
        let mut host = self.host();
        let links = route::dump(&mut host)?;
        let bridges: Vec<_> = links
            .iter()
            .filter(|link| state.nets.values().any(|net| net.bridge_name() == Some(link.name.as_str())))
            .map(|link| link.index)
            .collect();
        let mut batch = Batch::default();
        let mut removed = Vec::new();
        for link in links {
            let on_ours = link.master.is_some_and(|master| bridges.contains(&master));
            if on_ours && bridge::is_pair(&link) && !owned.contains(link.name.as_str()) {
                route::push_delete(&mut batch, link.index, &link.name);
                removed.push(link.name);
            }
        }
        match host.request(&mut batch) {
            // Its namespace died in the meantime.
            Err(error) if error.errno() == Some(Errno::NODEV) => Ok(removed),
            result => result.map(|_| removed),
        }
    }

    fn sweep_ports(&self, live: &HashSet<String>) -> Result<Vec<String>> {
        let state = self.state();
        let mut firewall = self.firewall();
        let known: HashSet<_> = state
            .placed()
            .filter(|(container, _)| live.contains(*container))
            .flat_map(|(container, endpoint)| state.elements(container, endpoint))
            .collect();
        // Nothing is known of one that lives and whose record cannot be read.
        let kept = |id: &str| live.contains(id) && !state.endpoints.contains_key(id);
        let stale = |element: &Element| !known.contains(element) && !kept(&element.container_id);
        let stale: Vec<_> = firewall.published()?.into_iter().filter(stale).collect();
        firewall.unpublish(&stale)?;
        let containers: BTreeSet<_> = stale.into_iter().map(|p| p.container_id).collect();
        Ok(containers.into_iter().collect())
    }
}
