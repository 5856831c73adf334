//! `connect`: a container joins one more network, running or not.

use std::sync::Arc;

use crate::Engine;
use crate::container::mode::NetworkMode;
use crate::container::task::Request;
use crate::container::{Container, EndpointConfig};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::network::cluster::Seats;
use crate::network::{attach, endpoint};
use crate::shim::ShimHandle;

/// A container that is to join a network, judged and found fit.
#[derive(Debug)]
pub(crate) struct Joining {
    pub(crate) network: ::network::NetworkInfo,
    pub(crate) asked: EndpointConfig,
}

impl Engine {
    /// Joins a container to a network; one that does not run joins when it starts.
    ///
    /// # Errors
    /// No such network or container; it is on it already; its network mode allows no other; a
    /// setting is wrong or can't be had.
    pub async fn network_connect(&self, network: &str, container: &str, asked: EndpointConfig) -> Result<()> {
        let entry = self.0.containers.find(container)?;
        let network = self.0.find_network(network)?;
        let joining = Joining { network, asked };
        joining.check(&entry.snapshot())?;
        entry.ask(|reply| Request::Connect { joining: Box::new(joining), reply }).await
    }
}

impl Joining {
    fn check(&self, container: &Container) -> Result<()> {
        let (name, mode) = (self.network.name.as_str(), NetworkMode::parse(&container.host.network_mode)?);
        if matches!(mode, NetworkMode::Host | NetworkMode::Container(_)) {
            return Err(Error::forbidden(
                "container sharing network namespace with another container or host cannot be connected to any other network",
            ));
        }
        if name == "host" {
            return Err(Error::forbidden(
                "container cannot be disconnected from host network or connected to host network",
            ));
        }
        if name == "none" || container.network.networks.contains_key("none") {
            return Err(Error::forbidden(
                "container cannot be connected to multiple networks with one of the networks in private (none) mode",
            ));
        }
        if !self.network.user_defined {
            if !self.asked.ipv4_address.is_empty() || !self.asked.ipv6_address.is_empty() {
                return Err(Error::bad_parameter(
                    "user specified IP address is supported on user defined networks only",
                ));
            }
            if !self.asked.aliases.is_empty() {
                return Err(Error::bad_parameter(
                    "network-scoped alias is supported only for containers in user defined networks",
                ));
            }
        }
        crate::container::check_endpoint(name, &self.asked, self.network.user_defined)?;
        // What would only fail at the start otherwise.
        endpoint::request(container, &self.network, &self.asked).map(drop)
    }

    /// Joins a running container. Afterwards its settings say so, its files and its resolver know.
    pub(crate) async fn live(
        self,
        engine: &Arc<Inner>,
        container: &mut Container,
        shim: &ShimHandle,
    ) -> Result<()> {
        let Self { network, asked } = self;
        if container.network.networks.values().any(|end| end.network_id == network.id) {
            return Err(Error::forbidden(format!(
                "endpoint with name {} already exists in network {}",
                container.name, network.name
            )));
        }
        let mut requests = [endpoint::request(container, &network, &asked)?];
        let netns = crate::network::namespace(shim).await?;
        let (inner, joined) = (Arc::clone(engine), network.clone());
        let endpoints = crate::container::task::blocking(move || {
            let id = requests[0].container_id.clone();
            let seats = Seats::claim(&inner, &id, &mut requests, std::slice::from_ref(&joined))?;
            let copying = |error: std::io::Error| ::network::Error::System {
                action: "copying the network namespace".to_owned(),
                errno: sys::Errno::from_io_error(&error).unwrap_or(sys::Errno::IO),
            };
            let connected = attach::ports_in_time(|| {
                let again = netns.try_clone().map_err(copying)?;
                inner.network.connect(again, &requests[0])
            });
            let endpoints = connected.map_err(|error| {
                let kind = attach::kind(&error);
                Error::because("failed to set up container networking", error).of_kind(kind)
            })?;
            seats.keep(&endpoints);
            Ok(endpoints)
        })
        .await?;
        let end = crate::container::Endpoint { config: asked, ..Default::default() };
        container.network.networks.insert(network.name.clone(), end);
        container.network = endpoint::settle(engine, container, &endpoints);
        if let Some(new) = endpoints.iter().find(|end| end.network_id == network.id) {
            endpoint::addresses(new).for_each(|ip| crate::container::files::add_host(container, ip));
        }
        if network.user_defined && !engine.resolvers.serves(&container.id) {
            crate::network::resolver::begin(engine, container, shim).await?;
        }
        Ok(())
    }
}
