//! Taking back what a container has.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{PoisonError, RwLockReadGuard, RwLockWriteGuard};

use super::Network;
use super::state::State;
use crate::dns::{self, Directory, Verdict};
use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::lan;
use crate::netns::Namespace;

impl Network {
    /// Takes back the container's addresses and published ports. Nobody waits for the end of its pairs, which the
    /// death of the namespace mostly brings. Idempotent.
    ///
    /// # Errors
    /// The kernel refuses to remove the ports; the addresses are free all the same.
    pub fn detach(&self, container_id: &str) -> Result<()> {
        let mut state = self.state();
        let endpoints = state.endpoints.remove(container_id).unwrap_or_default();
        // First the firewall, so that no port leads to an address that somebody else has got.
        let unpublished = self.unpublish(&state, container_id, &endpoints);
        self.forget_flows(&endpoints);
        state.ports.release(container_id);
        for endpoint in &endpoints {
            state.release(container_id, &endpoint.network_id);
        }
        self.names_mut().leave_all(container_id);
        let held = state.held.remove(container_id);
        drop(state);
        let Some(netns) = held else {
            let pairs = endpoints.iter().map(|endpoint| endpoint.host_interface.clone());
            self.unplugger.later(pairs.filter(|name| !name.is_empty()));
            return unpublished;
        };
        // What a death of the namespace would take with it, had we not kept it until now.
        let mut gone = unpublished.and(take_out(netns, &endpoints));
        for endpoint in endpoints.iter().filter(|endpoint| !endpoint.host_interface.is_empty()) {
            gone = gone.and(self.unplug(&endpoint.host_interface));
        }
        gone
    }

    /// Keeps the namespace of a running container that was taken over from a previous daemon, so
    /// that what it has on an interface of the host's is gone at once when it ends.
    ///
    /// # Errors
    /// There are too many descriptors.
    pub fn hold(&self, container_id: &str, netns: BorrowedFd<'_>) -> Result<()> {
        self.state().hold(container_id, netns)
    }

    /// Closes the way to these endpoints' ports.
    pub(super) fn unpublish(&self, state: &State, container_id: &str, endpoints: &[Endpoint]) -> Result<()> {
        let all: Vec<_> =
            endpoints.iter().flat_map(|endpoint| state.elements(container_id, endpoint)).collect();
        if all.is_empty() {
            return Ok(());
        }
        let mut firewall = self.firewall();
        let removed = firewall.unpublish(&all);
        endpoints.iter().for_each(|endpoint| firewall.forget_flows(&endpoint.ports));
        removed
    }

    /// Makes the kernel forget what went to and from these endpoints, before somebody else gets their addresses.
    pub(super) fn forget_flows(&self, endpoints: &[Endpoint]) {
        let addresses: Vec<_> =
            endpoints.iter().flat_map(Endpoint::addresses).map(|address| address.addr()).collect();
        if self.config.firewall && !addresses.is_empty() {
            self.firewall().forget_addresses(&addresses);
        }
    }

    /// A container's endpoints, in the order in which it joined.
    pub fn endpoints(&self, container_id: &str) -> Vec<Endpoint> {
        self.state().endpoints.get(container_id).cloned().unwrap_or_default()
    }

    /// Gives a container's endpoints other names, network by network.
    pub fn rename(&self, container_id: &str, mut names: impl FnMut(&Endpoint) -> Vec<String>) {
        let mut state = self.state();
        let Some(endpoints) = state.endpoints.get_mut(container_id) else { return };
        endpoints.iter_mut().for_each(|endpoint| endpoint.names = names(endpoint));
        let endpoints = endpoints.clone();
        let mut directory = self.names_mut();
        directory.leave_all(container_id);
        endpoints.iter().for_each(|endpoint| state.announce(&mut directory, container_id, endpoint));
    }

    /// Judges a container's question for a name; `turn` is different each time. `stream`: it came
    /// over TCP.
    pub fn answer(&self, container_id: &str, query: &[u8], turn: usize, stream: bool) -> Verdict {
        dns::answer(&self.names(), container_id, query, turn, stream)
    }

    pub(super) fn names_mut(&self) -> RwLockWriteGuard<'_, Directory> {
        self.names.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> RwLockReadGuard<'_, Directory> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a container's interfaces out of its namespace, where they are no end of a pair.
fn take_out(netns: OwnedFd, endpoints: &[Endpoint]) -> Result<()> {
    let mut namespace = Namespace::open(netns)?;
    let mut gone = Ok(());
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.host_interface.is_empty()) {
        gone = gone.and(lan::leave(&mut namespace, &endpoint.id));
    }
    gone
}

impl State {
    /// Gives a container's address on a network back.
    pub(super) fn release(&mut self, container: &str, network: &str) {
        if let Some(up) = self.nets.get_mut(network).and_then(|net| net.up.as_mut()) {
            up.leases.release(container);
        }
    }

    /// Lets the network's other containers find an endpoint by its names. The default network has none.
    pub(super) fn announce(&self, names: &mut Directory, container: &str, endpoint: &Endpoint) {
        let Some(net) = self.nets.get(&endpoint.network_id) else { return };
        if net.definition.is_some() {
            names.enter(&net.name, &net.subnets, net.internal, container, endpoint);
        } else {
            names.visit(net.internal, container);
        }
    }
}
