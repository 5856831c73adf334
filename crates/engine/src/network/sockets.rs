//! Sockets of published ports go into the hands of the container's shim: they keep the ports from others while no daemon
//! runs, and are served there where the kernel can't.

use std::net::SocketAddr;
use std::sync::Arc;

use ::network::{PortSocket, Protocol, PublishedPort};
use shim::protocol::{Aim, ErrorKind, HoldPort, MAX_FDS, PortKey, PortState, Transport};

use crate::container::Container;
use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::shim::{ShimError, ShimHandle};

/// Hands the sockets of a container that starts over.
///
/// # Errors
/// The shim's refusal.
pub(crate) async fn hand_over(engine: &Arc<Inner>, id: &str, shim: &ShimHandle) -> Result<()> {
    if !publishes(engine, id) {
        return Ok(());
    }
    let wanted = lend(engine, id).await?;
    apply(engine, id, shim, wanted, Vec::new()).await
}

/// Makes a running container's shim hold exactly what the container publishes, as it should. A shim of a release that
/// holds no ports leaves them with this daemon, and what only a shim can do is not done: that is told.
///
/// # Errors
/// The shim's refusal.
pub(crate) async fn settle(engine: &Arc<Inner>, id: &str, shim: &ShimHandle) -> Result<()> {
    let held = match shim.ports().await {
        Ok(held) => held,
        Err(ShimError::Refused(refusal)) if refusal.kind == ErrorKind::Unsupported => {
            if publishes(engine, id) {
                tracing::warn!(container = %id, "the container was started by an earlier release: its published ports are not served in user space until it is restarted");
            }
            return Ok(());
        }
        Err(error) => return Err(Error::because("ask for the published ports", error)),
    };
    let wanted = lend(engine, id).await?;
    if wanted.is_empty() && held.is_empty() {
        return Ok(());
    }
    apply(engine, id, shim, wanted, held).await
}

/// Takes up what another daemon has left. Failure is told, and is not the container's end.
pub(crate) async fn resume(engine: &Arc<Inner>, container: &Container, shim: &ShimHandle) {
    if !publishes(engine, &container.id) && container.host.port_bindings.is_empty() {
        return;
    }
    if let Err(error) = settle(engine, &container.id, shim).await {
        tracing::warn!(container = %container.id, %error, "the container's shim does not hold its ports");
    }
}

fn publishes(engine: &Inner, id: &str) -> bool {
    engine.network.endpoints(id).iter().any(|endpoint| !endpoint.ports.is_empty())
}

async fn lend(engine: &Arc<Inner>, id: &str) -> Result<Vec<PortSocket>> {
    let (engine, id) = (Arc::clone(engine), id.to_owned());
    blocking(move || Ok(engine.network.lend_sockets(&id))).await
}

async fn apply(
    engine: &Arc<Inner>,
    id: &str,
    shim: &ShimHandle,
    mut wanted: Vec<PortSocket>,
    held: Vec<PortState>,
) -> Result<()> {
    let mut now: Vec<PortKey> = held.iter().map(|port| port.key).collect();
    let gone: Vec<_> =
        now.iter().filter(|key| !wanted.iter().any(|port| key_of(&port.port) == **key)).copied().collect();
    now.retain(|key| !gone.contains(key));
    let refused = |error| Error::because("hand over the published ports", error);
    let mut result = if gone.is_empty() { Ok(()) } else { shim.release_ports(gone).await.map_err(refused) };
    // one that is aimed as it should be, and one that is nowhere, need nothing
    wanted.retain(|port| {
        let aimed = held.iter().find(|state| state.key == key_of(&port.port)).map(|state| &state.aim);
        port.socket.is_some() || aimed.is_some_and(|aim| *aim != aim_of(port))
    });
    while result.is_ok() && !wanted.is_empty() {
        let part: Vec<_> = wanted.drain(..wanted.len().min(MAX_FDS)).collect();
        match hold(shim, &part).await {
            Ok(()) => {
                now.extend(part.iter().filter(|port| port.socket.is_some()).map(|port| key_of(&port.port)))
            }
            Err(error) => {
                result = Err(refused(error));
                wanted.extend(part);
            }
        }
    }
    let (inner, own) = (Arc::clone(engine), id.to_owned());
    blocking(move || {
        inner.network.note_sockets(&own, now.iter().map(|key| (protocol_of(key.transport), key.address)));
        inner.network.return_sockets(&own, wanted);
        Ok(())
    })
    .await?;
    result
}

async fn hold(shim: &ShimHandle, part: &[PortSocket]) -> Result<(), ShimError> {
    let mut fds = Vec::with_capacity(part.len());
    for socket in part.iter().filter_map(|port| port.socket.as_ref()) {
        fds.push(socket.try_clone().map_err(ShimError::system("copy a port's socket"))?);
    }
    let ports = part
        .iter()
        .map(|port| HoldPort { key: key_of(&port.port), aim: aim_of(port), fd: port.socket.is_some() })
        .collect();
    shim.hold_ports(ports, fds).await
}

fn key_of(port: &PublishedPort) -> PortKey {
    let transport = match port.protocol {
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
        Protocol::Sctp => Transport::Sctp,
    };
    PortKey { transport, address: SocketAddr::new(port.host_ip, port.host_port) }
}

const fn protocol_of(transport: Transport) -> Protocol {
    match transport {
        Transport::Tcp => Protocol::Tcp,
        Transport::Udp => Protocol::Udp,
        Transport::Sctp => Protocol::Sctp,
    }
}

fn aim_of(port: &PortSocket) -> Aim {
    match port.to {
        None => Aim::Nowhere,
        Some(address) if port.as_client => Aim::AsClient(address),
        Some(address) => Aim::To(address),
    }
}
