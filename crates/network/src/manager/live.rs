//! A running container joins and leaves networks.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::Network;
use super::state::{State, WaysOut};
use crate::dns::ResolverSockets;
use crate::endpoint::{Endpoint, EndpointRequest, PortRequest};
use crate::error::{Error, Result};
use crate::ipam::Family;
use crate::lan;
use crate::netlink::{Batch, Socket};
use crate::netns::Namespace;
use crate::route;

impl Network {
    /// Joins a running container, whose namespace is `netns`, to one more network. The default
    /// route and the published ports go to it, if it is now the first in rank. All of the
    /// container's endpoints, as they are then.
    ///
    /// # Errors
    /// As for [`Network::attach`]; nothing has changed then.
    pub fn connect(&self, netns: OwnedFd, request: &EndpointRequest) -> Result<Vec<Endpoint>> {
        let container = request.container_id.as_str();
        let mut namespace = Namespace::open(netns)?;
        let (place, before) = {
            let mut state = self.state();
            let before = state.ways_out(container);
            (self.reserve_one(&mut state, request)?, before)
        };
        let network_id = place.network_id().to_owned();
        let connected = self
            .connect_one(container, &mut namespace, &place, &WaysOut::default())
            .and_then(|()| self.reroute(&mut namespace, container, &before, Some(request)));
        if let Err(error) = connected {
            // The first error is the one to report; what stays is swept.
            let _ = self.leave(&mut namespace, &network_id, request);
            return Err(error);
        }
        let mut state = self.state();
        state.hold(container, &namespace.fd)?;
        let endpoints = state.endpoints.get(container).cloned().unwrap_or_default();
        let mut names = self.names_mut();
        if let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.network_id == network_id) {
            state.announce(&mut names, container, endpoint);
        }
        Ok(endpoints)
    }

    /// Takes a running container, whose namespace is `netns`, from a network. All of the
    /// container's other endpoints, as they are then. `ports` are what it asks to publish, if the
    /// default route now leads through a network where that can be done, and did not before.
    ///
    /// # Errors
    /// It is not on that network, or the kernel refuses; everything has been tried.
    pub fn disconnect(
        &self,
        netns: OwnedFd,
        container: &str,
        network_id: &str,
        ports: &[PortRequest],
    ) -> Result<Vec<Endpoint>> {
        let mut namespace = Namespace::open(netns)?;
        let request = EndpointRequest {
            container_id: container.to_owned(),
            ports: ports.to_vec(),
            ..EndpointRequest::default()
        };
        self.leave(&mut namespace, network_id, &request)?;
        Ok(self.endpoints(container))
    }

    /// Opens the sockets at which a container's questions for names arrive, in its namespace.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open_resolver(&self, netns: BorrowedFd<'_>) -> Result<ResolverSockets> {
        ResolverSockets::open(netns)
    }

    fn leave(&self, namespace: &mut Namespace, network_id: &str, request: &EndpointRequest) -> Result<()> {
        let container = request.container_id.as_str();
        let (endpoint, before) = {
            let mut state = self.state();
            let before = state.ways_out(container);
            let network = state.net(network_id)?.name.clone();
            let endpoint = state.take_endpoint(container, network_id);
            let missing = || Error::NotAttached { container: container.to_owned(), network };
            let endpoint = endpoint.ok_or_else(missing)?;
            self.names_mut().leave(container, network_id);
            (endpoint, before)
        };
        let unpublished = self.unpublish(&self.state(), container, std::slice::from_ref(&endpoint));
        let removed = if endpoint.host_interface.is_empty() {
            lan::leave(namespace, &endpoint.id)
        } else {
            self.unplug(&endpoint.host_interface)
        };
        self.forget_flows(std::slice::from_ref(&endpoint));
        {
            let mut state = self.state();
            // Not before its interface is gone: somebody else may get it now.
            state.release(container, network_id);
            let ways = state.ways_out(container);
            state.pass_on(container, ways.bearer(), &endpoint);
        }
        let rerouted = self.reroute(namespace, container, &before, Some(request));
        unpublished.and(removed).and(rerouted)
    }

    /// Brings the default routes and the published ports to where they belong now; `before` says where
    /// they were. `request` says which ports a container wants that has none yet.
    fn reroute(
        &self,
        namespace: &mut Namespace,
        container: &str,
        before: &WaysOut,
        request: Option<&EndpointRequest>,
    ) -> Result<()> {
        let now = self.state().ways_out(container);
        let moved = self.move_ports(container, before.bearer(), now.bearer(), request)?;
        for family in Family::ALL.into_iter().filter(|family| before.of(*family) != now.of(*family)) {
            let through = now.of(family).and_then(|id| self.state().endpoint(container, id).cloned());
            let Some(endpoint) = through else {
                without_route(namespace, family)?;
                continue;
            };
            let mut batch = Batch::default();
            let index = namespace.route.index_of(&endpoint.interface)?;
            for gateway in endpoint.gateways().filter(|ip| Family::of_address(*ip) == family) {
                route::replace_default_route(&mut batch, index, gateway);
            }
            namespace.route.request(&mut batch)?;
        }
        let Some(endpoint) = moved.filter(|endpoint| !endpoint.ports.is_empty()) else { return Ok(()) };
        let mut batch = Batch::default();
        let isolated = self.state().net(&endpoint.network_id)?.isolated();
        route::push_port(&mut batch, &endpoint.host_interface, true, isolated);
        self.host().request(&mut batch)?;
        self.publish(container, &endpoint)
    }

    /// Moves the published ports in the book, and closes the way to where they were. The endpoint that
    /// bears them now, if it is another one.
    fn move_ports(
        &self,
        container: &str,
        before: Option<&str>,
        now: Option<&str>,
        request: Option<&EndpointRequest>,
    ) -> Result<Option<Endpoint>> {
        if before == now {
            return Ok(None);
        }
        let (former, bearer) = {
            let mut state = self.state();
            let former = before.and_then(|before| state.endpoint(container, before)).cloned();
            if let (Some(_), Some(former)) = (now, &former) {
                state.pass_on(container, now, former);
            }
            if let Some(now) = now {
                let bare = state.endpoint(container, now).is_some_and(|e| e.ports.is_empty());
                if let Some(request) = request.filter(|request| bare && !request.ports.is_empty()) {
                    self.take_ports(&mut state, now, request)?;
                }
            }
            (former, now.and_then(|now| state.endpoint(container, now).cloned()))
        };
        if let Some(former) = &former {
            let state = self.state();
            self.unpublish(&state, container, std::slice::from_ref(former))?;
        }
        Ok(bearer)
    }

    /// Removes the host's end of a pair, and with it the container's. That it is gone is no error.
    pub(super) fn unplug(&self, name: &str) -> Result<()> {
        unplug(&mut self.host(), name)
    }
}

/// As [`Network::unplug`], through a socket in the host's namespace.
pub(super) fn unplug(host: &mut Socket, name: &str) -> Result<()> {
    let Some(link) = route::by_name(host, name)? else { return Ok(()) };
    let mut batch = Batch::default();
    route::push_delete(&mut batch, link.index, name);
    match host.request(&mut batch) {
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(()),
        result => result.map(|_| ()),
    }
}

/// No network leads out any more, in this family.
fn without_route(namespace: &mut Namespace, family: Family) -> Result<()> {
    let mut batch = Batch::default();
    route::remove_default_route(&mut batch, family);
    match namespace.route.request(&mut batch) {
        // It went with its interface.
        Err(error) if error.errno() == Some(Errno::SRCH) => Ok(()),
        result => result.map(|_| ()),
    }
}

impl State {
    /// Takes a container's endpoint on a network out of the book; its address stays taken.
    fn take_endpoint(&mut self, container: &str, network: &str) -> Option<Endpoint> {
        let endpoints = self.endpoints.get_mut(container)?;
        let at = endpoints.iter().position(|endpoint| endpoint.network_id == network)?;
        let endpoint = endpoints.remove(at);
        if endpoints.is_empty() {
            self.endpoints.remove(container);
        }
        Some(endpoint)
    }

    /// What becomes of an endpoint's ports: they go to that on network `heir`, or are free when
    /// none can be published there.
    fn pass_on(&mut self, container: &str, heir: Option<&str>, former: &Endpoint) {
        if former.ports.is_empty() {
            return;
        }
        let bridged = |id: &&str| self.nets.get(*id).is_some_and(|net| net.driver.bridge().is_some());
        let heir = heir.filter(bridged);
        if heir.is_none() {
            self.ports.release(container);
        }
        let former =
            if heir.is_some() { former.clone() } else { Endpoint { ports: Vec::new(), ..former.clone() } };
        self.inherit(container, heir.unwrap_or_default(), &former);
    }

    /// Moves the ports of one endpoint to that on network `heir`.
    fn inherit(&mut self, container: &str, heir: &str, former: &Endpoint) {
        let endpoints = self.endpoints.get_mut(container).map_or(&mut [][..], Vec::as_mut_slice);
        for endpoint in endpoints {
            if endpoint.network_id == heir {
                endpoint.ports.clone_from(&former.ports);
            } else if endpoint.id == former.id {
                endpoint.ports.clear();
            }
        }
    }
}
