//! `disconnect`: a container leaves a network, running or not.

use std::sync::Arc;

use crate::Engine;
use crate::container::Container;
use crate::container::mode::NetworkMode;
use crate::container::task::Request;
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::network::{attach, endpoint};
use crate::shim::ShimHandle;

impl Engine {
    /// Takes a container from a network; its name there may also be the network's that is gone.
    ///
    /// # Errors
    /// No such network or container; it is not on it; the host's network is left by nobody.
    pub async fn network_disconnect(&self, network: &str, container: &str, force: bool) -> Result<()> {
        let found = self.0.find_network(network);
        let entry = match self.0.containers.find(container) {
            Err(_) if force => {
                found?;
                return Err(Error::not_found(format!("endpoint {container} not found")));
            }
            entry => entry?,
        };
        let snapshot = entry.snapshot();
        let name = match found {
            Ok(network) => network.name,
            // The network has gone while the container was at rest, which is on it or is not.
            Err(_)
                if snapshot.network.networks.contains_key(network) || snapshot.state.running().is_none() =>
            {
                network.to_owned()
            }
            Err(error) => return Err(error),
        };
        let host = NetworkMode::parse(&snapshot.host.network_mode)? == NetworkMode::Host;
        if host || name == "host" {
            return Err(Error::forbidden(
                "container cannot be disconnected from host network or connected to host network",
            ));
        }
        entry.ask(|reply| Request::Disconnect { network: name, reply }).await
    }
}

/// Docker's answer for a container that is not on the network.
pub(crate) fn not_connected(container: &Container, network: &str, running: bool) -> Error {
    let the = if running { "" } else { "the " };
    Error::forbidden(format!("container {} is not connected to {the}network {network}", container.id))
}

/// Takes a running container from the network called `name`. Its id.
pub(crate) async fn live(
    engine: &Arc<Inner>,
    container: &mut Container,
    shim: &ShimHandle,
    name: &str,
) -> Result<()> {
    let Some(end) = container.network.networks.get(name) else {
        return Err(not_connected(container, name, true));
    };
    let (network_id, ips) = (end.network_id.clone(), [end.ip, end.ipv6]);
    if name == "none" {
        container.network.networks.remove(name);
        return Ok(());
    }
    let netns = crate::network::namespace(shim).await?;
    let (inner, id) = (Arc::clone(engine), container.id.clone());
    let ports = crate::network::ports(container)?;
    let endpoints = crate::container::task::blocking(move || {
        let left = inner.network.disconnect(netns, &id, &network_id, &ports).map_err(|error| {
            let kind = attach::kind(&error);
            Error::because("leave the network", error).of_kind(kind)
        });
        crate::network::cluster::release(&inner, &network_id, &id);
        left
    })
    .await?;
    container.network = endpoint::settle(engine, container, &endpoints);
    for ip in ips.into_iter().flatten() {
        crate::container::files::remove_host(container, ip);
    }
    Ok(())
}
