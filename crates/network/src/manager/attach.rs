//! Joining a container to the default bridge, and taking everything back.

use rustix::io::Errno;

use super::Network;
use crate::bridge::{self, Bridge, Joined};
use crate::endpoint::{Attachment, Endpoint, EndpointRequest, MacAddr, PublishedPort};
use crate::error::{Error, Result};
use crate::firewall::plan::{self, Element};
use crate::netns::Namespace;
use crate::record::random_id;
use crate::sysctl;

/// Digits of the endpoint's id in the name of the host's interface, which holds 15 bytes. The id
/// and not the container's: after a restart the old interface lingers until the kernel has freed
/// its namespace.
const NAME_DIGITS: usize = 11;

impl Network {
    /// A namespace on the default bridge, which is made first if it must be. On an error nothing
    /// of it stays.
    ///
    /// # Errors
    /// The requested address or port is taken, the subnet is exhausted, no subnet is free, or the
    /// kernel refuses.
    pub fn attach_bridge(&self, request: &EndpointRequest) -> Result<Attachment> {
        let (bridge, endpoint) = self.reserve(request)?;
        let attached = self.connect(&request.container_id, bridge, &endpoint);
        self.pool.refill();
        match attached {
            Ok(namespace) => Ok(Attachment { netns: namespace.fd, endpoint }),
            Err(error) => {
                // The first error is the one to report; what stays is swept.
                let _ = self.detach(&request.container_id);
                Err(error)
            }
        }
    }

    /// Takes back the container's address and published ports. The veth pair is left to the death
    /// of the namespace. Idempotent.
    ///
    /// # Errors
    /// The kernel refuses to remove the ports; the address is free all the same.
    pub fn detach(&self, container_id: &str) -> Result<()> {
        let mut state = self.state();
        let Some(endpoint) = state.endpoints.remove(container_id) else { return Ok(()) };
        // First the firewall, so that no port leads to an address that somebody else has got.
        let removed = {
            let mut firewall = self.firewall();
            let removed = firewall.unpublish(&elements(container_id, &endpoint));
            firewall.forget_flows(&endpoint.ports);
            removed
        };
        state.ports.release(container_id);
        if let Some(up) = &mut state.bridge {
            up.leases.release(container_id);
        }
        removed
    }

    /// Books an address and ports; touches nothing but the book (and the bridge, if missing).
    fn reserve(&self, request: &EndpointRequest) -> Result<(Bridge, Endpoint)> {
        let id = random_id()?;
        let container = request.container_id.as_str();
        let mut state = self.state();
        if state.endpoints.contains_key(container) {
            return Err(Error::AlreadyAttached(container.to_owned()));
        }
        if !request.ports.is_empty() && !self.config.firewall {
            return Err(Error::Config("ports cannot be published: berthd runs with --iptables=false".into()));
        }
        let network_id = state.record.bridge.id.clone();
        let up = self.ensure(&mut state)?;
        let bridge = up.bridge.clone();
        let ip = match request.ip {
            Some(ip) => up.leases.take(ip, container).map(|()| ip)?,
            None => up.leases.next(container)?,
        };
        let ports = match state.ports.take(container, &request.ports, self.config.publish_ip) {
            Ok(ports) => ports,
            Err(error) => {
                if let Some(up) = &mut state.bridge {
                    up.leases.release(container);
                }
                return Err(error);
            }
        };
        let endpoint = Endpoint {
            host_interface: format!("veth{}", &id[..NAME_DIGITS]),
            id,
            network_id,
            ip,
            prefix_len: bridge.address.prefix_len(),
            gateway: bridge.gateway,
            mac: request.mac.unwrap_or_else(|| MacAddr::from_ipv4(ip)),
            interface: "eth0".to_owned(),
            ports,
        };
        state.endpoints.insert(container.to_owned(), endpoint.clone());
        Ok((bridge, endpoint))
    }

    fn connect(&self, container: &str, bridge: Bridge, endpoint: &Endpoint) -> Result<Namespace> {
        let namespace = match self.wire(&bridge, endpoint) {
            // The bridge that we knew is no more: somebody removed it.
            Err(error) if matches!(error.errno(), Some(Errno::NODEV | Errno::INVAL)) => {
                let again = self.restore(&bridge)?.ok_or(error)?;
                self.wire(&again, endpoint)?
            }
            result => result?,
        };
        if self.config.firewall && !self.firewall().exists()? {
            self.restore_rules()?;
        }
        if !endpoint.ports.is_empty() {
            self.open_loopback(&endpoint.ports)?;
            let mut firewall = self.firewall();
            firewall.publish(&elements(container, endpoint)).map_err(|error| taken(error, endpoint))?;
            firewall.forget_flows(&endpoint.ports);
        }
        Ok(namespace)
    }

    fn wire(&self, bridge: &Bridge, endpoint: &Endpoint) -> Result<Namespace> {
        let mut namespace = self.pool.take()?;
        let wanted = Joined {
            host_name: &endpoint.host_interface,
            ip: endpoint.ip,
            mac: endpoint.mac,
            isolated: !self.config.bridge.icc,
            hairpin: !endpoint.ports.is_empty(),
        };
        bridge::join(&self.host, bridge, &mut namespace, &wanted)?;
        Ok(namespace)
    }

    /// Makes the bridge again, and plugs everybody in, if it is not the one that it was; `None` when it is, or when another
    /// subnet would be needed than the one containers already have addresses of.
    fn restore(&self, known: &Bridge) -> Result<Option<Bridge>> {
        let mut state = self.state();
        let found = self.set_up(&mut state.record)?;
        if found.bridge.index == known.index || found.bridge.address != known.address {
            return Ok(None);
        }
        state.loopback_routed = false;
        if let Some(up) = &mut state.bridge {
            up.bridge = found.bridge.clone();
        }
        for endpoint in state.endpoints.values() {
            self.plug_in(&endpoint.host_interface, found.bridge.index)?;
        }
        if state.endpoints.values().any(|endpoint| !endpoint.ports.is_empty()) {
            sysctl::route_loopback(&self.config.bridge.name)?;
            state.loopback_routed = true;
        }
        Ok(Some(found.bridge))
    }

    /// Puts back what a flush of all firewall tables has taken: rules, and every published port.
    fn restore_rules(&self) -> Result<()> {
        let state = self.state();
        if let Some(up) = &state.bridge {
            self.apply_rules(&state.record, up.bridge.address)?;
        }
        let published: Vec<_> = state.endpoints.iter().flat_map(|(id, e)| elements(id, e)).collect();
        self.firewall().publish(&published)
    }

    /// Lets the host's own packets from 127.0.0.1 reach the bridge, once a port is published where
    /// they need it. The firewall keeps containers from using the same way back.
    pub(super) fn open_loopback(&self, ports: &[PublishedPort]) -> Result<()> {
        let needed = ports.iter().any(|p| p.host_ip.is_unspecified() || p.host_ip.is_loopback());
        let mut state = self.state();
        if needed && !state.loopback_routed {
            sysctl::route_loopback(&self.config.bridge.name)?;
            state.loopback_routed = true;
        }
        Ok(())
    }
}

/// The firewall's elements for an endpoint's ports.
pub(super) fn elements(container_id: &str, endpoint: &Endpoint) -> Vec<Element> {
    endpoint.ports.iter().map(|port| plan::element(port, endpoint.ip, container_id)).collect()
}

/// A map that has another value for the key has it from somebody whom we don't know.
fn taken(error: Error, endpoint: &Endpoint) -> Error {
    match (error.errno(), endpoint.ports.first()) {
        (Some(Errno::BUSY | Errno::EXIST), Some(port)) => {
            Error::PortAllocated { host_ip: port.host_ip, host_port: port.host_port, protocol: port.protocol }
        }
        _ => error,
    }
}
