//! The embedded resolver: the sockets of every container that has names around it, and who serves them.
//!
//! The sockets lie in the containers' namespaces and are held by their shims, too, and so are questions that other
//! servers have not answered yet and connections over TCP. While no daemon serves them, questions wait in them for
//! the next one, which gets them back.

mod parked;
mod pending;
mod spare;
mod tcp;
mod udp;
mod upstream;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::network::{Door, ResolverSockets};
use tokio::task::AbortHandle;

use crate::container::{Container, files};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::shim::{ShimError, ShimHandle};
use spare::Spare;
use upstream::Upstream;

/// The name under which a shim keeps the sockets: UDP, then TCP; and then what [`Spare`] has.
const KEPT: &str = "resolver";

/// Who is served.
#[derive(Debug, Default)]
pub(crate) struct Resolvers(Mutex<HashMap<String, [AbortHandle; 2]>>);

impl Resolvers {
    /// Whether a container's questions are answered.
    pub(crate) fn serves(&self, container: &str) -> bool {
        self.lock().contains_key(container)
    }

    /// Ends with a container. One that was not served is fine.
    pub(crate) fn stop(&self, container: &str) {
        self.lock().remove(container).into_iter().flatten().for_each(|task| task.abort());
    }

    /// Ends all: the daemon goes.
    pub(crate) fn clear(&self) {
        self.lock().drain().flat_map(|(_, tasks)| tasks).for_each(|task| task.abort());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, [AbortHandle; 2]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sockets of a container that is about to start.
pub(crate) struct Prepared {
    id: String,
    servers: Vec<std::net::IpAddr>,
    sockets: ResolverSockets,
    spare: Spare,
    door: Door,
}

/// What its tasks know of a container.
struct Served {
    engine: Arc<Inner>,
    id: String,
    upstream: Upstream,
    spare: Spare,
}

impl Prepared {
    /// The container with these sockets in this namespace.
    ///
    /// # Errors
    /// There are no descriptors left; a `--dns` is wrong.
    pub(crate) fn new(
        engine: &Inner,
        container: &Container,
        sockets: ResolverSockets,
        netns: &OwnedFd,
    ) -> Result<Self> {
        let spare = Spare::new().map_err(|error| Error::because("open the resolver", error))?;
        Self::with(engine, container, sockets, spare, netns)
    }

    fn with(
        engine: &Inner,
        container: &Container,
        sockets: ResolverSockets,
        spare: Spare,
        netns: &OwnedFd,
    ) -> Result<Self> {
        let netns = netns.try_clone().map_err(|error| Error::because("open the resolver", error))?;
        let servers = files::upstream(container, engine.network.dns_defaults())?;
        Ok(Self { id: container.id.clone(), servers, sockets, spare, door: Door::new(netns) })
    }

    /// Gives the sockets into the shim's keeping. Where that fails, questions are lost only while no
    /// daemon runs: a container does not end for it.
    pub(crate) async fn keep(this: Option<&Self>, shim: &ShimHandle) {
        let Some(this) = this else { return };
        let kept = match this.copies() {
            Ok(copies) => shim.keep(KEPT, copies).await,
            Err(error) => Err(ShimError::system("copy the descriptors")(error)),
        };
        if let Err(error) = kept {
            tracing::warn!(container = %this.id, %error, "the resolver's sockets end with this daemon");
        }
    }

    fn copies(&self) -> std::io::Result<Vec<OwnedFd>> {
        let mut copies = vec![self.sockets.udp.try_clone()?, self.sockets.tcp.try_clone()?];
        copies.extend(self.spare.copies()?);
        Ok(copies)
    }

    /// Answers from now on, until the container ends.
    pub(crate) fn serve(self, engine: &Arc<Inner>) {
        let ResolverSockets { udp, tcp } = self.sockets;
        let udp = tokio::net::UdpSocket::from_std(udp.into());
        let (udp, tcp) = match (udp, tokio::net::TcpListener::from_std(tcp.into())) {
            (Ok(udp), Ok(tcp)) => (udp, tcp),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(container = %self.id, %error, "the container's resolver does not answer");
                return;
            }
        };
        let upstream = Upstream::new(self.servers, self.door);
        let served =
            Arc::new(Served { engine: Arc::clone(engine), id: self.id.clone(), upstream, spare: self.spare });
        let tasks = [
            tokio::spawn(udp::serve(Arc::clone(&served), Arc::new(udp))).abort_handle(),
            tokio::spawn(tcp::serve(served, tcp)).abort_handle(),
        ];
        let before = engine.resolvers.lock().insert(self.id, tasks);
        before.into_iter().flatten().for_each(|task| task.abort());
    }
}

/// A running container is on a network with names for the first time: its questions come to us from
/// now on.
///
/// # Errors
/// The kernel refuses the sockets; the disk is full.
pub(crate) async fn begin(engine: &Arc<Inner>, container: &Container, shim: &ShimHandle) -> Result<()> {
    let netns = super::namespace(shim).await?;
    let (inner, owned) = (Arc::clone(engine), container.clone());
    let prepared = crate::container::task::blocking(move || {
        let sockets = inner.network.open_resolver(std::os::fd::AsFd::as_fd(&netns));
        let sockets = sockets.map_err(|error| Error::because("open the resolver", error))?;
        files::embed_resolver(&owned, inner.network.dns_defaults())?;
        Prepared::new(&inner, &owned, sockets, &netns)
    })
    .await?;
    Prepared::keep(Some(&prepared), shim).await;
    prepared.serve(engine);
    Ok(())
}

/// Serves a container again that another daemon has served. Failure is told and is not the container's end.
pub(crate) async fn resume(engine: &Arc<Inner>, container: &Container, shim: &ShimHandle) {
    let named = container.network.networks.values().any(|end| !end.dns_names.is_empty());
    let resumed = match shim.kept(KEPT).await {
        Ok(kept) if kept.len() >= 2 => take_up(engine, container, shim, kept).await,
        _ if named => begin(engine, container, shim).await,
        _ => Ok(()),
    };
    if let Err(error) = resumed {
        tracing::warn!(container = %container.id, %error, "the container's resolver does not answer");
    }
}

async fn take_up(
    engine: &Arc<Inner>,
    container: &Container,
    shim: &ShimHandle,
    kept: Vec<OwnedFd>,
) -> Result<()> {
    let netns = super::namespace(shim).await?;
    let mut kept = kept.into_iter();
    let (Some(udp), Some(tcp)) = (kept.next(), kept.next()) else { return Ok(()) };
    let (sockets, rest) = (ResolverSockets { udp, tcp }, kept.collect::<Vec<_>>());
    if rest.is_empty() {
        // Of a daemon that kept the sockets alone.
        let prepared = Prepared::new(engine, container, sockets, &netns)?;
        Prepared::keep(Some(&prepared), shim).await;
        prepared.serve(engine);
        return Ok(());
    }
    let spare = Spare::at(rest).map_err(|error| Error::because("open the resolver", error))?;
    Prepared::with(engine, container, sockets, spare, &netns)?.serve(engine);
    Ok(())
}
