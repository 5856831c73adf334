//! Other published ports for a container that runs.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Network;
use super::state::State;
use crate::endpoint::{Endpoint, PortRequest, PublishedPort};
use crate::error::{Error, Result};
use crate::netlink::Batch;
use crate::ports::Defaults;
use crate::route;

/// What of a container's ports changes.
#[derive(Debug, Default)]
struct Difference {
    kept: Vec<PublishedPort>,
    gone: Vec<PublishedPort>,
    new: Vec<PortRequest>,
}

impl Network {
    /// Publishes exactly `requests` for a running container: what is published already keeps its host port and its
    /// connections, what is not asked for any more is closed. All of the container's endpoints, as they are then.
    ///
    /// # Errors
    /// A port is taken, the container is on no network of its own, or the kernel refuses; its ports are what they were.
    pub fn republish(&self, container: &str, requests: &[PortRequest]) -> Result<Vec<Endpoint>> {
        self.check_publishing(requests)?;
        let (before, after) = {
            let mut state = self.state();
            let before = endpoint(&mut state, container)?.clone();
            let ports = self.rebook(&mut state, container, &before, requests)?;
            (before.clone(), Endpoint { ports, ..before })
        };
        let published = self.exchange(container, &before, &after);
        let mut state = self.state();
        match published {
            Ok(()) => {
                endpoint(&mut state, container)?.ports = after.ports;
                Ok(state.endpoints.get(container).cloned().unwrap_or_default())
            }
            Err(error) => {
                state.ports.give_back(container, &without(&after.ports, &before.ports));
                for port in without(&before.ports, &after.ports) {
                    // nobody had the time to take it
                    let _ = state.ports.adopt(container, &port);
                }
                Err(error)
            }
        }
    }

    /// The book's part: all or nothing.
    fn rebook(
        &self,
        state: &mut State,
        container: &str,
        before: &Endpoint,
        requests: &[PortRequest],
    ) -> Result<Vec<PublishedPort>> {
        let defaults = state.port_defaults(&self.config, before)?;
        let Difference { mut kept, gone, new } = difference(&before.ports, requests, defaults);
        // first, so that a host port can move from one port of the container to another
        state.ports.give_back(container, &gone);
        let added = state.ports.add(container, &new, defaults).and_then(|added| {
            kept.extend_from_slice(&added);
            let fit = state.check_mode(&before.network_id, &kept);
            fit.inspect_err(|_| state.ports.give_back(container, &added))
        });
        match added {
            Ok(()) => Ok(kept),
            Err(error) => {
                for port in &gone {
                    // it was this container's a moment ago
                    let _ = state.ports.adopt(container, port);
                }
                Err(error)
            }
        }
    }

    /// The kernel's part: closes what is gone, opens what is new.
    fn exchange(&self, container: &str, before: &Endpoint, after: &Endpoint) -> Result<()> {
        let (had, wanted) = {
            let state = self.state();
            (state.elements(container, before), state.elements(container, after))
        };
        let gone: Vec<_> = had.iter().filter(|element| !wanted.contains(element)).cloned().collect();
        let new: Vec<_> = wanted.into_iter().filter(|element| !had.contains(element)).collect();
        self.firewall().unpublish(&gone)?;
        let ports = without(&after.ports, &before.ports);
        let opened = self.lead_in(after, &ports).and_then(|()| self.firewall().publish(&new));
        if opened.is_err() {
            // the first error is the one to report
            let _ = self.firewall().publish(&gone);
        }
        let mut firewall = self.firewall();
        firewall.forget_flows(&without(&before.ports, &after.ports));
        firewall.forget_flows(&ports);
        opened
    }

    /// What a first published port needs beside its element: a way from the host's loopback, and one back to itself.
    fn lead_in(&self, endpoint: &Endpoint, new: &[PublishedPort]) -> Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        self.open_loopback(&endpoint.network_id, new)?;
        let isolated = self.state().net(&endpoint.network_id)?.isolated();
        let mut batch = Batch::default();
        route::push_port(&mut batch, &endpoint.host_interface, true, isolated);
        self.host().request(&mut batch).map(|_| ())
    }
}

/// The endpoint that bears the container's ports: that of the network which leads out.
fn endpoint<'s>(state: &'s mut State, container: &str) -> Result<&'s mut Endpoint> {
    let none =
        || Error::Config(format!("container {container} has no network that ports can be published on"));
    let ways = state.ways_out(container);
    let bearer = ways.bearer().ok_or_else(none)?;
    state.net(bearer)?.driver.bridge().ok_or_else(none)?;
    let endpoints = state.endpoints.get_mut(container).ok_or_else(none)?;
    endpoints.iter_mut().find(|endpoint| endpoint.network_id == bearer).ok_or_else(none)
}

/// Those of `all` that are not among `others`.
fn without(all: &[PublishedPort], others: &[PublishedPort]) -> Vec<PublishedPort> {
    all.iter().filter(|port| !others.contains(port)).copied().collect()
}

/// Pairs requests with what is published: one that any host port will do keeps the one that it has.
fn difference(have: &[PublishedPort], requests: &[PortRequest], defaults: Defaults) -> Difference {
    let mut left = have.to_vec();
    let mut difference = Difference::default();
    // those that name their host port choose first
    let (exact, loose): (Vec<_>, Vec<_>) =
        requests.iter().partition(|request| request.host_port.is_some() && request.host_port_end.is_none());
    for request in exact.into_iter().chain(loose) {
        let fits = |port: &PublishedPort| {
            let first = request.host_port.unwrap_or(1);
            let last = request.host_port_end.or(request.host_port).unwrap_or(u16::MAX);
            port.protocol == request.protocol
                && port.container_port == request.container_port
                && port.more == request.more
                && port.host_ip == request.host_ip.unwrap_or(defaults.ip)
                && (first..=last).contains(&port.host_port)
        };
        match left.iter().position(fits) {
            Some(at) => {
                let port = left.swap_remove(at);
                difference.kept.push(port);
                // what was published on all addresses of both families is two ports
                let twin = PublishedPort { host_ip: Ipv6Addr::UNSPECIFIED.into(), ..port };
                let both = request.host_ip.is_none() && port.host_ip == Ipv4Addr::UNSPECIFIED;
                if let Some(at) = left.iter().position(|port| both && *port == twin) {
                    difference.kept.push(left.swap_remove(at));
                }
            }
            None => difference.new.push(request.clone()),
        }
    }
    difference.gone = left;
    difference
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Protocol;

    #[test]
    fn what_is_published_already_stays_as_it_is() {
        let port = |container_port, host_port| PublishedPort {
            protocol: Protocol::Tcp,
            container_port,
            host_ip: Ipv4Addr::UNSPECIFIED.into(),
            host_port,
            more: 0,
        };
        let request = |container_port, host_port| PortRequest {
            protocol: Protocol::Tcp,
            container_port,
            host_ip: None,
            host_port,
            host_port_end: None,
            more: 0,
        };
        let have = [port(80, 32768), port(80, 8080), port(443, 8443)];
        let requests = [request(80, None), request(80, Some(8080)), request(53, Some(53))];
        let defaults = Defaults { ip: Ipv4Addr::UNSPECIFIED.into(), twins: true, six: false };
        let found = difference(&have, &requests, defaults);
        assert_eq!(found.kept, [port(80, 8080), port(80, 32768)]);
        assert_eq!(found.gone, [port(443, 8443)]);
        assert_eq!(found.new, [request(53, Some(53))]);
    }
}
