//! Joining a container to its networks when it starts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};

use ipnet::IpNet;
use rustix::io::Errno;

use super::Network;
use super::state::{Net, State, WaysOut};
use crate::bridge::Joined;
use crate::config::PublishMode;
use crate::dns::ResolverSockets;
use crate::driver::endpoint::EndpointOptions;
use crate::driver::{Driver, Segment};
use crate::endpoint::{Attachment, Endpoint, EndpointRequest, MacAddr, PublishedPort};
use crate::error::{Error, Result};
use crate::ipam::{Family, Leases};
use crate::netns::Namespace;
use crate::record::random_id;
use crate::route::Manner;
use crate::sysctl;

/// Digits of the endpoint's id in the name of the host's interface, which holds 15 bytes. The id
/// and not the container's: after a restart the old interface lingers until the kernel has freed
/// its namespace.
const NAME_DIGITS: usize = 11;
/// Networks of one container at most.
const MAX_NETWORKS: usize = 128;

/// A place that is booked on a network, and not wired yet.
#[derive(Debug)]
pub(super) struct Place {
    driver: Driver,
    segment: Segment,
    /// Keep it from the bridge's other containers.
    isolated: bool,
    /// Its containers find each other by name.
    named: bool,
    options: EndpointOptions,
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
        self.attach_in(None, requests)
    }

    /// As [`Self::attach`], in a new network namespace of the caller's: one that belongs to a user namespace.
    ///
    /// # Errors
    /// As of [`Self::attach`].
    pub fn attach_in(&self, netns: Option<OwnedFd>, requests: &[EndpointRequest]) -> Result<Attachment> {
        let Some(first) = requests.first() else { return Err(Error::Invalid("no network".to_owned())) };
        let container = &first.container_id;
        let (places, ways) = self.reserve(container, requests)?;
        let attached = self.connect_all(netns, container, &places, &ways).and_then(|namespace| {
            let named = places.iter().any(|place| place.named);
            let resolver = if named { Some(ResolverSockets::open(namespace.fd.as_fd())?) } else { None };
            self.state().hold(container, &namespace.fd)?;
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
    fn reserve(&self, container: &str, requests: &[EndpointRequest]) -> Result<(Vec<Place>, WaysOut)> {
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
    ) -> Result<(Vec<Place>, WaysOut)> {
        let mut places =
            requests.iter().map(|request| self.reserve_one(state, request)).collect::<Result<Vec<_>>>()?;
        let ways = state.ways_out(container);
        let asked = requests.iter().find(|request| !request.ports.is_empty());
        if let (Some(bearer), Some(request)) = (ways.bearer(), asked) {
            let ports = self.take_ports(state, bearer, request)?;
            if let Some(place) = places.iter_mut().find(|place| place.network_id() == bearer) {
                place.endpoint.ports = ports;
            }
        }
        let mut names = self.names_mut();
        for place in &places {
            state.announce(&mut names, container, &place.endpoint);
        }
        Ok((places, ways))
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
        let driver = state.net(&network_id)?.driver.clone();
        let bridged = driver.bridge().is_some();
        if request.mac.is_some() && matches!(driver.manner(), Some(Manner::Ipvlan(..))) {
            let why = "ipvlan interfaces do not support custom mac address assignment";
            return Err(Error::Forbidden(why.to_owned()));
        }
        if bridged {
            self.check_publishing(&request.ports)?;
        }
        let interface = match &request.options.interface {
            Some(name) if others.iter().any(|endpoint| endpoint.interface == *name) => {
                return Err(Error::Invalid(format!("interface name {name} is in use in the container")));
            }
            Some(name) => name.clone(),
            None => free_interface(state.net(&network_id)?, others),
        };
        let up = self.ensure(state, &network_id)?;
        let segment = up.segment.clone();
        let booked = book(&mut up.leases, request);
        if booked.is_err() {
            up.leases.release(container);
        }
        let [ip, ip6] = booked?;
        let (side, side6) = (segment.side(Family::V4), segment.side(Family::V6));
        let endpoint = Endpoint {
            host_interface: if bridged { format!("veth{}", &id[..NAME_DIGITS]) } else { String::new() },
            network_id: network_id.clone(),
            ip: ip.and_then(v4),
            prefix_len: side.map_or(0, |side| side.subnet.prefix_len()),
            gateway: side.and_then(|side| side.gateway).and_then(v4),
            ip6: ip6.and_then(v6),
            prefix6_len: side6.map_or(0, |side| side.subnet.prefix_len()),
            gateway6: side6.and_then(|side| side.gateway).and_then(v6),
            link_local: request.link_local.clone(),
            mac: request.mac.or(segment.mac).unwrap_or_else(|| hardware_address(ip.and_then(v4), &id)),
            id,
            interface,
            ports: Vec::new(),
            names: request.names.clone(),
            links: request.links.clone(),
            priority: request.priority,
        };
        state.endpoints.entry(container.to_owned()).or_default().push(endpoint.clone());
        let net = state.net(&network_id)?;
        let (isolated, named) = (net.isolated(), net.definition.is_some());
        Ok(Place { driver, segment, isolated, named, options: request.options.clone(), endpoint })
    }

    /// Books ports for the container's endpoint on this network. Where there is no bridge none are published: the
    /// container is reached at its own address.
    pub(super) fn take_ports(
        &self,
        state: &mut State,
        network_id: &str,
        request: &EndpointRequest,
    ) -> Result<Vec<PublishedPort>> {
        if state.net(network_id)?.driver.bridge().is_none() {
            return Ok(Vec::new());
        }
        let container = request.container_id.as_str();
        let Some(endpoint) = state.endpoint(container, network_id) else { return Ok(Vec::new()) };
        let defaults = state.port_defaults(&self.config, endpoint)?;
        let ports = state.ports.take(container, &request.ports, defaults)?;
        if let Err(error) = state.check_mode(network_id, &ports) {
            state.ports.release(container);
            return Err(error);
        }
        let endpoints = state.endpoints.get_mut(container).map_or(&mut [][..], Vec::as_mut_slice);
        if let Some(endpoint) = endpoints.iter_mut().find(|endpoint| endpoint.network_id == network_id) {
            endpoint.ports.clone_from(&ports);
        }
        Ok(ports)
    }

    fn connect_all(
        &self,
        netns: Option<OwnedFd>,
        container: &str,
        places: &[Place],
        ways: &WaysOut,
    ) -> Result<Namespace> {
        let mut namespace = netns.map_or_else(|| self.pool.take(), Namespace::furnish)?;
        for place in places {
            self.connect_one(container, &mut namespace, place, ways)?;
        }
        Ok(namespace)
    }

    /// Wires a place, and opens the way to its ports.
    pub(super) fn connect_one(
        &self,
        container: &str,
        namespace: &mut Namespace,
        place: &Place,
        ways: &WaysOut,
    ) -> Result<()> {
        let endpoint = &place.endpoint;
        match self.wire(namespace, place, ways) {
            // The bridge that we knew is no more: somebody removed it.
            Err(error) if matches!(error.errno(), Some(Errno::NODEV | Errno::INVAL)) => {
                let segment = self.restore(&endpoint.network_id, &place.segment)?.ok_or(error)?;
                let (driver, options) = (place.driver.clone(), place.options.clone());
                let again = Place { segment, endpoint: endpoint.clone(), driver, options, ..*place };
                self.wire(namespace, &again, ways)?;
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
        if elements.is_empty() {
            return Ok(());
        }
        let mut firewall = self.firewall();
        firewall.publish(&elements).map_err(|error| taken(error, endpoint))?;
        firewall.forget_flows(&endpoint.ports);
        Ok(())
    }

    fn wire(&self, namespace: &mut Namespace, place: &Place, ways: &WaysOut) -> Result<()> {
        let endpoint = &place.endpoint;
        let wanted = Joined {
            endpoint_id: &endpoint.id,
            host_name: &endpoint.host_interface,
            name: &endpoint.interface,
            gateways: ways.through(endpoint),
            addresses: endpoint.addresses().collect(),
            further: endpoint.link_local.iter().copied().filter_map(link_local).collect(),
            mac: endpoint.mac,
            isolated: place.isolated,
            hairpin: !endpoint.ports.is_empty(),
        };
        place.driver.join(&self.host, &place.segment, namespace, &wanted)?;
        place.options.apply(namespace.fd.as_fd(), &endpoint.interface)
    }

    /// Makes a bridge again, and plugs everybody in, if it is not the one that it was; `None` when it is, or when another
    /// subnet would be needed than the one containers already have addresses of.
    fn restore(&self, network_id: &str, known: &Segment) -> Result<Option<Segment>> {
        let mut state = self.state();
        let found = self.set_up(&mut state, network_id)?;
        if found.segment.index == known.index || found.segment.sides != known.sides {
            return Ok(None);
        }
        let here: Vec<Endpoint> = state
            .placed()
            .filter(|(_, endpoint)| endpoint.network_id == network_id)
            .map(|(_, endpoint)| endpoint.clone())
            .collect();
        for endpoint in &here {
            self.plug_in(&endpoint.host_interface, found.segment.index)?;
        }
        let routed = here.iter().any(|endpoint| !endpoint.ports.is_empty());
        let net = state.net_mut(network_id)?;
        if let Some(bridge) = net.bridge_name().filter(|_| routed) {
            sysctl::route_loopback(bridge)?;
        }
        if let Some(up) = &mut net.up {
            up.segment = found.segment.clone();
            up.loopback_routed = routed;
        }
        self.agree(&mut state, network_id)?;
        Ok(Some(found.segment))
    }

    /// Lets the host's own packets from 127.0.0.1 reach the bridge, once a port is published where
    /// they need it. The firewall keeps containers from using the same way back.
    pub(super) fn open_loopback(&self, network_id: &str, ports: &[PublishedPort]) -> Result<()> {
        let needed = ports.iter().any(|p| p.host_ip.is_unspecified() || p.host_ip.is_loopback());
        let mut state = self.state();
        let net = state.net_mut(network_id)?;
        let needed = needed && net.publish_mode == PublishMode::Forward;
        let Some(bridge) = net.driver.bridge().map(|bridge| bridge.name.as_str()) else { return Ok(()) };
        if let Some(up) = net.up.as_mut().filter(|up| needed && !up.loopback_routed) {
            sysctl::route_loopback(bridge)?;
            up.loopback_routed = true;
        }
        Ok(())
    }
}

/// Books an address of each family that the network has.
fn book(leases: &mut Leases, request: &EndpointRequest) -> Result<[Option<IpAddr>; 2]> {
    let holder = request.container_id.as_str();
    let mut one = |family, wanted: Option<IpAddr>| match wanted {
        Some(ip) => leases.take(ip, holder).map(|()| Some(ip)),
        None => leases.next(family, holder),
    };
    Ok([one(Family::V4, request.ip.map(IpAddr::V4))?, one(Family::V6, request.ip6.map(IpAddr::V6))?])
}

/// A further address with its prefix, as Docker's.
fn link_local(ip: IpAddr) -> Option<IpNet> {
    IpNet::new(ip, if ip.is_ipv4() { 16 } else { 64 }).ok()
}

const fn v4(ip: IpAddr) -> Option<Ipv4Addr> {
    match ip {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

const fn v6(ip: IpAddr) -> Option<Ipv6Addr> {
    match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => Some(ip),
    }
}

/// Derived from the IPv4 address where there is one, so that a container which comes again with it is
/// known already; or else from the endpoint's random id.
fn hardware_address(ip: Option<Ipv4Addr>, id: &str) -> MacAddr {
    let number = u32::from_str_radix(id.get(..8).unwrap_or_default(), 16).unwrap_or_default();
    MacAddr::from_ipv4(ip.unwrap_or(Ipv4Addr::from(number)))
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
