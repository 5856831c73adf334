//! Networks that several machines share: what crate `cluster` knows of them, brought to crate `network` and back.
//!
//! Here a container's address is claimed for all machines before crate `network` gives it as a fixed one, and what other
//! machines tell becomes networks, peers and names of this one.

mod convert;
mod create;
mod follow;
mod seat;
mod settings;

use std::sync::{Mutex, PoisonError};

use ::cluster::{Cluster, Lost};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

use crate::engine::Inner;
use crate::error::{Error, Kind, Result};

pub(crate) use create::create;
pub(crate) use follow::start;
pub(crate) use seat::{Seats, adopt, release, release_all, rename};
pub(crate) use settings::open;

/// The driver whose networks are shared.
pub(crate) const DRIVER: &str = "overlay";

/// How long a container's start waits for the kernel to know of the others.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// This daemon's part in a cluster.
pub(crate) struct Part {
    pub(crate) cluster: Cluster,
    /// `--cluster-advertise`, with the address that it means.
    pub(crate) advertise: String,
    /// The state of the store that the kernel knows of.
    applied: watch::Sender<i64>,
    /// Until somebody listens.
    lost: Mutex<Option<UnboundedReceiver<Lost>>>,
}

impl Part {
    /// Waits until the kernel knows what this daemon knows now, so that a new container reaches everybody at once. Not for
    /// long: what comes later comes all the same.
    async fn caught_up(&self) {
        let (now, mut applied) = (self.cluster.view().revision, self.applied.subscribe());
        let _ = tokio::time::timeout(PATIENCE, applied.wait_for(|applied| *applied >= now)).await;
    }

    fn listen(&self) -> Option<UnboundedReceiver<Lost>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A refusal of the store's, in our kinds.
pub(super) fn refused(error: ::cluster::Error) -> Error {
    use ::cluster::Error as E;
    let kind = match &error {
        E::NoSuchNetwork(_) => Kind::NotFound,
        E::NameInUse(_) => Kind::Conflict,
        E::InUse { .. } | E::PoolOverlap | E::AddressInUse { .. } => Kind::Forbidden,
        E::Invalid(_) | E::AddressOutside { .. } | E::Option(_) => Kind::BadParameter,
        E::Unavailable { .. } | E::Expired | E::Compacted(_) | E::HostInUse { .. } => Kind::Unavailable,
        E::Refused(_) | E::NoFreeSubnet | E::Exhausted(_) | E::Record { .. } => Kind::System,
    };
    Error::system(error.to_string()).of_kind(kind).with_source(error)
}

/// Waits for the store from a thread that may block.
fn wait<T>(asking: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(asking)
}

/// Containers of other machines on a network, as Docker lists them.
pub(crate) fn elsewhere(
    engine: &Inner,
    network: &::network::NetworkInfo,
) -> Vec<(String, crate::network::NetworkContainer)> {
    let Some(part) = engine.cluster.as_ref().filter(|_| network.driver == DRIVER) else { return Vec::new() };
    let (view, own) = (part.cluster.view(), part.cluster.host().id);
    let subnet = |v4: bool| network.pools.iter().find(|pool| pool.subnet.addr().is_ipv4() == v4);
    let with_prefix = |ip: Option<std::net::IpAddr>| {
        let ip = ip.and_then(|ip| Some(format!("{ip}/{}", subnet(ip.is_ipv4())?.subnet.prefix_len())));
        ip.unwrap_or_default()
    };
    let member = |(id, endpoint): (&str, &std::sync::Arc<::cluster::Endpoint>)| {
        let container = crate::network::NetworkContainer {
            name: endpoint.name.clone(),
            endpoint_id: id.to_owned(),
            mac: endpoint.mac.clone(),
            ipv4: with_prefix(endpoint.ip.map(Into::into)),
            ipv6: with_prefix(endpoint.ip6.map(Into::into)),
        };
        (format!("ep-{id}"), container)
    };
    let all = view.endpoints(&network.id);
    all.into_iter().filter(|(_, endpoint)| endpoint.host != own).map(member).collect()
}

/// Removes a shared network for all machines, and from this one. Blocks.
///
/// # Errors
/// Containers of some machine are on it; the store can't be reached.
pub(crate) fn remove(engine: &Inner, id: &str) -> Result<()> {
    if let Some(part) = &engine.cluster {
        match wait(part.cluster.remove_network(id)) {
            // somebody else was faster
            Err(::cluster::Error::NoSuchNetwork(_)) => {}
            removed => removed.map_err(refused)?,
        }
    }
    engine.network.forget_overlay(id).map_err(|error| {
        let kind = super::attach::kind(&error);
        Error::system(error.to_string()).of_kind(kind).with_source(error)
    })
}
