//! Joining a container to its networks when it starts.

use std::os::fd::AsFd;

use rustix::io::Errno;

use super::Network;
use super::state::{Net, State};
use crate::bridge::{self, Bridge, Joined};
use crate::dns::ResolverSockets;
use crate::endpoint::{Attachment, Endpoint, EndpointRequest, MacAddr, PublishedPort};
use crate::error::{Error, Result};
use crate::netns::Namespace;
use crate::record::random_id;
use crate::sysctl;

/// Digits of the endpoint's id in the name of the host's interface, which holds 15 bytes. The id
/// and not the container's: after a restart the old interface lingers until the kernel has freed
/// its namespace.
const NAME_DIGITS: usize = 11;
/// Networks of one container at most.
const MAX_NETWORKS: usize = 128;

/// A place that is booked on a bridge, and not wired yet.
#[derive(Debug)]
pub(super) struct Place {
    bridge: Bridge,
    /// Keep it from the bridge's other containers.
    isolated: bool,
    /// Its containers find each other by name.
    named: bool,
    endpoint: Endpoint,
}

impl Place {
    /// Id of the network.
    pub(super) fn network_id(&self) -> &str {
        &self.endpoint.network_id
    }
}

impl Network {
    /// A namespace on the networks that one container asks for, whose bridges are made first if
    /// they must be. On an error nothing of it stays.
    ///
    /// # Errors
    /// A network does not exist, the requested address or port is taken, the subnet is exhausted,
    /// no subnet is free, or the kernel refuses.
    pub fn attach(&self, requests: &[EndpointRequest]) -> Result<Attachment> {
        let Some(first) = requests.first() else { return Err(Error::Invalid("no network".to_owned())) };
        let container = &first.container_id;
        let (places, way_out) = self.reserve(container, requests)?;
        let attached = self.connect_all(container, &places, way_out.as_deref()).and_then(|namespace| {
            let named = places.iter().any(|place| place.named);
            let resolver = if named { Some(ResolverSockets::open(namespace.fd.as_fd())?) } else { None };
            let endpoints = places.into_iter().map(|place| place.endpoint).collect();
            Ok(Attachment { netns: namespace.fd, endpoints, resolver })
        });
        self.pool.refill();
        if attached.is_err() {
            // The first error is the one to report; what stays is swept.
            let _ = self.detach(container);
        }
        attached
    }

    /// Books addresses and ports, all or none; touches nothing but the book (and the bridges, if
    /// missing).
    fn reserve(&self, container: &str, requests: &[EndpointRequest]) -> Result<(Vec<Place>, Option<String>)> {
        let mut state = self.state();
        if let Some(present) = state.endpoints.get(container).and_then(|all| all.first()) {
            let network = state.net(&present.network_id)?.name.clone();
            return Err(Error::AlreadyAttached { container: container.to_owned(), network });
        }
        let booked = self.reserve_all(&mut state, container, requests);
        if booked.is_err() {
            state.ports.release(container);
            for endpoint in state.endpoints.remove(container).unwrap_or_default() {
                state.release(container, &endpoint.network_id);
            }
        }
        booked
    }

    fn reserve_all(
        &self,
        state: &mut State,
        container: &str,
        requests: &[EndpointRequest],
    ) -> Result<(Vec<Place>, Option<String>)> {
        let mut places =
            requests.iter().map(|request| self.reserve_one(state, request)).collect::<Result<Vec<_>>>()?;
        let way_out = state.way_out(container);
        let asked = requests.iter().find(|request| !request.ports.is_empty());
        if let (Some(way_out), Some(request)) = (&way_out, asked) {
            let ports = self.take_ports(state, way_out, request)?;
            if let Some(place) = places.iter_mut().find(|place| place.network_id() == way_out) {
                place.endpoint.ports = ports;
            }
        }
        let mut names = self.names_mut();
        for place in &places {
            state.announce(&mut names, container, &place.endpoint);
        }
        Ok((places, way_out))
    }

    /// Books an address on one network.
    pub(super) fn reserve_one(&self, state: &mut State, request: &EndpointRequest) -> Result<Place> {
        let id = random_id()?;
        let container = request.container_id.as_str();
        let network_id = if request.network_id.is_empty() {
            state.record.bridge.id.clone()
        } else {
            request.network_id.clone()
        };
        let network = state.net(&network_id)?.name.clone();
        let others = state.endpoints.get(container).map_or(&[][..], Vec::as_slice);
        if others.iter().any(|endpoint| endpoint.network_id == network_id) {
            return Err(Error::AlreadyAttached { container: container.to_owned(), network });
        }
        if others.len() >= MAX_NETWORKS {
            return Err(Error::Invalid(format!("a container has at most {MAX_NETWORKS} networks")));
        }
        if !request.ports.is_empty() && !self.config.firewall {
            return Err(Error::Config("ports cannot be published: berthd runs with --iptables=false".into()));
        }
        let interface = free_interface(state.net(&network_id)?, others);
        let up = self.ensure(state, &network_id)?;
        let bridge = up.bridge.clone();
        let ip = match request.ip {
            Some(ip) => up.leases.take(ip, container).map(|()| ip)?,
            None => up.leases.next(container)?,
        };
        let endpoint = Endpoint {
            host_interface: format!("veth{}", &id[..NAME_DIGITS]),
            id,
            network_id: network_id.clone(),
            ip,
            prefix_len: bridge.address.prefix_len(),
            gateway: bridge.gateway,
            mac: request.mac.unwrap_or_else(|| MacAddr::from_ipv4(ip)),
            interface,
            ports: Vec::new(),
            names: request.names.clone(),
            links: request.links.clone(),
            priority: request.priority,
        };
        state.endpoints.entry(container.to_owned()).or_default().push(endpoint.clone());
        let net = state.net(&network_id)?;
        Ok(Place { bridge, isolated: !net.config.icc, named: net.definition.is_some(), endpoint })
    }

    /// Books ports for the container's endpoint on this network.
    pub(super) fn take_ports(
        &self,
        state: &mut State,
        network_id: &str,
        request: &EndpointRequest,
    ) -> Result<Vec<PublishedPort>> {
        let (container, default_ip) = (request.container_id.as_str(), state.net(network_id)?.publish_ip);
        let ports = state.ports.take(container, &request.ports, default_ip)?;
        let endpoints = state.endpoints.get_mut(container).map_or(&mut [][..], Vec::as_mut_slice);
        if let Some(endpoint) = endpoints.iter_mut().find(|endpoint| endpoint.network_id == network_id) {
            endpoint.ports.clone_from(&ports);
        }
        Ok(ports)
    }

    fn connect_all(&self, container: &str, places: &[Place], way_out: Option<&str>) -> Result<Namespace> {
        let mut namespace = self.pool.take()?;
        for place in places {
            let leads_out = way_out == Some(place.endpoint.network_id.as_str());
            self.connect_one(container, &mut namespace, place, leads_out)?;
        }
        Ok(namespace)
    }

    /// Wires a place, and opens the way to its ports.
    pub(super) fn connect_one(
        &self,
        container: &str,
        namespace: &mut Namespace,
        place: &Place,
        leads_out: bool,
    ) -> Result<()> {
        let endpoint = &place.endpoint;
        match self.wire(namespace, place, leads_out) {
            // The bridge that we knew is no more: somebody removed it.
            Err(error) if matches!(error.errno(), Some(Errno::NODEV | Errno::INVAL)) => {
                let bridge = self.restore(&endpoint.network_id, &place.bridge)?.ok_or(error)?;
                let again = Place { bridge, endpoint: endpoint.clone(), ..*place };
                self.wire(namespace, &again, leads_out)?;
            }
            result => result?,
        }
        if self.config.firewall && !self.firewall().exists()? {
            self.restore_rules()?;
        }
        self.publish(container, endpoint)
    }

    /// Opens the way to an endpoint's ports.
    pub(super) fn publish(&self, container: &str, endpoint: &Endpoint) -> Result<()> {
        if endpoint.ports.is_empty() {
            return Ok(());
        }
        self.open_loopback(&endpoint.network_id, &endpoint.ports)?;
        let elements = self.state().elements(container, endpoint);
        let mut firewall = self.firewall();
        firewall.publish(&elements).map_err(|error| taken(error, endpoint))?;
        firewall.forget_flows(&endpoint.ports);
        Ok(())
    }

    fn wire(&self, namespace: &mut Namespace, place: &Place, leads_out: bool) -> Result<()> {
        let endpoint = &place.endpoint;
        let wanted = Joined {
            host_name: &endpoint.host_interface,
            name: &endpoint.interface,
            gateway: leads_out.then_some(place.bridge.gateway),
            ip: endpoint.ip,
            mac: endpoint.mac,
            isolated: place.isolated,
            hairpin: !endpoint.ports.is_empty(),
        };
        bridge::join(&self.host, &place.bridge, namespace, &wanted)
    }

    /// Makes a bridge again, and plugs everybody in, if it is not the one that it was; `None` when it is, or when another
    /// subnet would be needed than the one containers already have addresses of.
    fn restore(&self, network_id: &str, known: &Bridge) -> Result<Option<Bridge>> {
        let mut state = self.state();
        let found = self.set_up(&mut state, network_id)?;
        if found.bridge.index == known.index || found.bridge.address != known.address {
            return Ok(None);
        }
        let here: Vec<Endpoint> = state
            .placed()
            .filter(|(_, endpoint)| endpoint.network_id == network_id)
            .map(|(_, endpoint)| endpoint.clone())
            .collect();
        for endpoint in &here {
            self.plug_in(&endpoint.host_interface, found.bridge.index)?;
        }
        let routed = here.iter().any(|endpoint| !endpoint.ports.is_empty());
        let net = state.net_mut(network_id)?;
        if routed {
            sysctl::route_loopback(&net.config.name)?;
        }
        if let Some(up) = &mut net.up {
            up.bridge = found.bridge.clone();
            up.loopback_routed = routed;
        }
        Ok(Some(found.bridge))
    }

    /// Puts back what a flush of all firewall tables has taken: rules, and every published port.
    fn restore_rules(&self) -> Result<()> {
        let state = self.state();
        let published: Vec<_> =
            state.placed().flat_map(|(id, endpoint)| state.elements(id, endpoint)).collect();
        self.firewall().apply(&state.rules(None), state.uplinks(), &published)
    }

    /// Lets the host's own packets from 127.0.0.1 reach the bridge, once a port is published where
    /// they need it. The firewall keeps containers from using the same way back.
    pub(super) fn open_loopback(&self, network_id: &str, ports: &[PublishedPort]) -> Result<()> {
        let needed = ports.iter().any(|p| p.host_ip.is_unspecified() || p.host_ip.is_loopback());
        let mut state = self.state();
        let net = state.net_mut(network_id)?;
        if let Some(up) = net.up.as_mut().filter(|up| needed && !up.loopback_routed) {
            sysctl::route_loopback(&net.config.name)?;
            up.loopback_routed = true;
        }
        Ok(())
    }
}

/// The lowest number that no interface of the container bears.
fn free_interface(net: &Net, others: &[Endpoint]) -> String {
    let taken = |name: &String| others.iter().any(|endpoint| endpoint.interface == *name);
    let mut names = (0..=others.len()).map(|number| format!("{}{number}", net.interface));
    names.find(|name| !taken(name)).unwrap_or_default()
}

/// A map that has another value for the key has it from somebody whom we don't know.
fn taken(error: Error, endpoint: &Endpoint) -> Error {
    match (error.errno(), endpoint.ports.first()) {
        (Some(Errno::BUSY | Errno::EXIST | Errno::NOTEMPTY), Some(port)) => {
            Error::PortAllocated { host_ip: port.host_ip, host_port: port.host_port, protocol: port.protocol }
        }
        _ => error,
    }
}
