//! A container's places on shared networks: claimed before it gets its addresses, told when it has them, given back when
//! they are gone.

use ::cluster::Addresses;
use ::network::{EndpointRequest, NetworkInfo};

use super::{DRIVER, Part, convert, refused, wait};
use crate::engine::Inner;
use crate::error::{Error, Result};

/// Places that were claimed for a container; they are given back unless they are kept.
pub(crate) struct Seats<'e> {
    engine: &'e Inner,
    container: String,
    networks: Vec<String>,
}

impl<'e> Seats<'e> {
    /// Claims what the requests need on shared networks, and makes the addresses a part of them. Blocks, as long as the
    /// store takes for an answer, if there is such a network.
    ///
    /// # Errors
    /// An address is somebody's; none is left; the store can't be reached. Nothing stays claimed.
    pub(crate) fn claim(
        engine: &'e Inner,
        container: &str,
        requests: &mut [EndpointRequest],
        networks: &[NetworkInfo],
    ) -> Result<Self> {
        let mut seats = Self { engine, container: container.to_owned(), networks: Vec::new() };
        for request in requests {
            let network = networks.iter().find(|network| network.id == request.network_id);
            let Some(network) = network.filter(|network| network.driver == DRIVER) else { continue };
            let Some(part) = &engine.cluster else {
                return Err(Error::unavailable(format!(
                    "network {} is shared with other hosts: start berthd with --cluster-store and --cluster-advertise",
                    network.name
                )));
            };
            let wanted = Addresses { ip: request.ip, ip6: request.ip6 };
            let got = wait(part.cluster.claim(&network.id, container, wanted))
                .map_err(|error| refused(error).context("failed to set up container networking"))?;
            seats.networks.push(network.id.clone());
            (request.ip, request.ip6) = (got.ip, got.ip6);
            wait(part.caught_up());
        }
        Ok(seats)
    }

    /// Tells other machines of the container, and keeps the places. Blocks as [`Self::claim`].
    pub(crate) fn keep(mut self, made: &[::network::Endpoint]) {
        let networks = std::mem::take(&mut self.networks);
        let Some(part) = &self.engine.cluster else { return };
        for end in made.iter().filter(|end| networks.contains(&end.network_id)) {
            tell(part, &self.container, end);
        }
    }
}

impl Drop for Seats<'_> {
    fn drop(&mut self) {
        for network in &self.networks {
            release(self.engine, network, &self.container);
        }
    }
}

fn tell(part: &Part, container: &str, end: &::network::Endpoint) {
    let host = part.cluster.host().id;
    wait(part.cluster.publish(&end.network_id, container, convert::endpoint(&host, container, end)));
}

/// Gives a container's place back; none is fine.
pub(crate) fn release(engine: &Inner, network: &str, container: &str) {
    if let Some(part) = &engine.cluster {
        part.cluster.release(network, container);
    }
}

/// Gives all places of a container back; none is fine.
pub(crate) fn release_all(engine: &Inner, container: &str) {
    if let Some(part) = &engine.cluster {
        part.cluster.release_all(container);
    }
}

/// A living container has these places since before the daemon started.
///
/// # Errors
/// No random numbers.
pub(crate) fn adopt(engine: &Inner, container: &str, endpoints: &[::network::Endpoint]) -> Result<()> {
    let Some(part) = &engine.cluster else { return Ok(()) };
    let shared = engine.network.overlays();
    let host = part.cluster.host().id;
    for end in endpoints.iter().filter(|end| shared.iter().any(|network| network.id == end.network_id)) {
        let endpoint = convert::endpoint(&host, container, end);
        part.cluster.adopt(&end.network_id, container, endpoint).map_err(refused)?;
    }
    Ok(())
}

/// Tells other machines by which names a container is found now. Blocks.
pub(crate) fn rename(engine: &Inner, container: &str, endpoints: &[::network::Endpoint]) {
    let Some(part) = &engine.cluster else { return };
    let shared = engine.network.overlays();
    for end in endpoints.iter().filter(|end| shared.iter().any(|network| network.id == end.network_id)) {
        tell(part, container, end);
    }
}
