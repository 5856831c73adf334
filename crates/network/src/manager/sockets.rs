//! The user-space path of published ports: which sockets a container's shim gets, and where they lead.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use super::Network;
use super::state::State;
use crate::config::{Config, PublishMode};
use crate::endpoint::{Endpoint, PortRequest, Protocol, PublishedPort};
use crate::error::{Error, Result};
use crate::firewall::plan::Gateway;
use crate::ipam::Family;
use crate::ports::{Defaults, MAX_HELD};
use crate::{route, sysctl};

/// A published port, as its container's shim is to hold it.
#[derive(Debug)]
pub struct PortSocket {
    /// The port.
    pub port: PublishedPort,
    /// Where what comes to the socket is passed on to; `None`: it only keeps the port from others.
    pub to: Option<SocketAddr>,
    /// In the client's name, so that the container sees who asks.
    pub as_client: bool,
    /// The socket, bound; `None` when the shim has it, or when the container has too many.
    pub socket: Option<OwnedFd>,
}

impl Network {
    /// A container's published ports, with the sockets that its shim does not have yet. They are the caller's now.
    pub fn lend_sockets(&self, container: &str) -> Vec<PortSocket> {
        let as_client = self.keeps_clients();
        let mut state = self.state();
        let endpoints = state.endpoints.get(container).cloned().unwrap_or_default();
        let mut sockets = Vec::new();
        for endpoint in &endpoints {
            for port in endpoint.ports.iter().filter(|port| port.more == 0) {
                let to = state.user_path(&self.config, endpoint, port);
                let socket = state.ports.lend(container, port);
                sockets.push(PortSocket { port: *port, to, as_client, socket });
            }
        }
        sockets
    }

    /// Takes sockets back that no shim has got: this daemon holds the ports as long as it lives.
    pub fn return_sockets(&self, container: &str, sockets: Vec<PortSocket>) {
        let mut state = self.state();
        for PortSocket { port, socket, .. } in sockets {
            if let Some(socket) = socket {
                state.ports.take_back(container, &port, socket);
            }
        }
    }

    /// A container's shim has exactly these sockets.
    pub fn note_sockets(&self, container: &str, held: impl Iterator<Item = (Protocol, SocketAddr)>) {
        let held = held.map(|(protocol, address)| (protocol, address.ip(), address.port()));
        self.state().ports.note_lent(container, held);
    }

    /// Whether shims may take their clients' addresses: where every published port is a socket of the host's, and what
    /// the answers need to come back is there.
    fn keeps_clients(&self) -> bool {
        *self.keeps_clients.get_or_init(|| {
            if self.config.host_ports.is_none() || !self.config.firewall {
                return false;
            }
            let mut families = Family::ALL.into_iter().filter(|family| match family {
                Family::V4 => true,
                Family::V6 => sysctl::has_ipv6(),
            });
            match families.try_for_each(|family| route::lead_clients_here(&mut self.host(), family)) {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(
                        "containers see the gateway as the client of their published ports: {error}"
                    );
                    false
                }
            }
        })
    }

    /// Whether ports can be published at all.
    pub(super) fn check_publishing(&self, requests: &[PortRequest]) -> Result<()> {
        if requests.is_empty()
            || self.config.firewall
            || self.config.userland_proxy
            || self.config.host_ports.is_some()
        {
            return Ok(());
        }
        let why = "ports cannot be published: berthd runs with --iptables=false and --userland-proxy=false";
        Err(Error::Config(why.to_owned()))
    }
}

impl State {
    /// What requests mean that a container makes on this network.
    pub(super) fn port_defaults(&self, config: &Config, endpoint: &Endpoint) -> Result<Defaults> {
        let net = self.net(&endpoint.network_id)?;
        let twins = endpoint.ip6.is_some() || config.userland_proxy || config.host_ports.is_some();
        Ok(Defaults { ip: net.publish_ip, twins, six: endpoint.ip6.is_some() && config.firewall6 })
    }

    /// Refuses what the mode of the network can't do.
    pub(super) fn check_mode(&self, network_id: &str, ports: &[PublishedPort]) -> Result<()> {
        if self.net(network_id)?.publish_mode == PublishMode::Forward {
            return Ok(());
        }
        if ports.iter().any(|port| port.protocol == Protocol::Sctp) {
            let why = "SCTP ports cannot be published where the publish mode is \"input\"";
            return Err(Error::Unsupported(why.to_owned()));
        }
        let count: usize = ports.iter().map(|port| usize::from(port.more) + 1).sum();
        if count > MAX_HELD || ports.iter().any(|port| port.more > 0) {
            return Err(Error::Unsupported(format!(
                "where the publish mode is \"input\" each published port is a socket, of which a container has {MAX_HELD} at most; {count} are asked for (a port on all addresses counts once for each family)"
            )));
        }
        Ok(())
    }

    /// Where a port's socket leads: nowhere, if the kernel's own path does everything.
    fn user_path(&self, config: &Config, endpoint: &Endpoint, port: &PublishedPort) -> Option<SocketAddr> {
        let net = self.nets.get(&endpoint.network_id)?;
        let addresses = [endpoint.ip.map(IpAddr::V4), endpoint.ip6.map(IpAddr::V6)];
        let [own, other] = if port.host_ip.is_ipv4() { addresses } else { [addresses[1], addresses[0]] };
        let routed = net.gateways[usize::from(port.host_ip.is_ipv6())] == Gateway::Routed;
        if port.protocol == Protocol::Sctp || (routed && own.is_some()) {
            return None;
        }
        let to = match net.publish_mode {
            _ if config.host_ports.is_some() => own.or(other),
            PublishMode::Input => own.or(other),
            PublishMode::Forward if !config.userland_proxy => None,
            PublishMode::Forward => match own {
                None => other,
                // what leaves ::1 does not come back from elsewhere, and IPv6 knows no exception
                Some(_) if is_loopback_of_v6(port.host_ip) => own,
                // no rule of ours translates it
                Some(_) if port.host_ip.is_ipv6() && !config.firewall6 => own,
                Some(_) => None,
            },
        };
        to.map(|ip| SocketAddr::new(ip, port.container_port))
    }
}

/// Whether the host's own `::1` is (among) the published addresses.
fn is_loopback_of_v6(ip: IpAddr) -> bool {
    ip.is_ipv6() && (ip.is_unspecified() || ip.is_loopback())
}
