//! Connections: accepted up to a number, served, and let go when the server ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::patient::Patient;
use super::serve;
use crate::server::{Registry, limits};

/// A registry that listens.
pub struct Server {
    registry: Arc<Registry>,
    listener: TcpListener,
}

impl Server {
    /// Listens at the address of the registry's configuration.
    ///
    /// # Errors
    /// When the address is taken or not this host's.
    pub async fn bind(registry: Arc<Registry>) -> io::Result<Self> {
        let listener = TcpListener::bind(registry.config.http.listen).await?;
        Ok(Self { registry, listener })
    }

    /// Where it listens (the port is told when the configuration's is 0).
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `end` is done; then requests that run have the configured time to end.
    pub async fn serve(self, end: impl Future<Output = ()>) {
        let slots = Arc::new(Semaphore::new(self.registry.config.http.max_connections));
        let (stop, stopping) = watch::channel(false);
        let mut connections = JoinSet::new();
        tokio::pin!(end);
        loop {
            let accepted = tokio::select! {
                () = &mut end => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = accept(&self.listener, &slots) => accepted,
            };
            match accepted {
                Ok((stream, peer, slot)) => {
                    let (registry, stopping) = (Arc::clone(&self.registry), stopping.clone());
                    connections.spawn(async move {
                        connection(registry, stream, peer, stopping).await;
                        drop(slot);
                    });
                }
                // out of descriptors, or a client that went away: others may have more luck
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(limits::ACCEPT_AGAIN).await;
                }
            }
        }
        drop(self.listener);
        // connections that are gone already need no word
        let _ = stop.send(true);
        let drained = async { while connections.join_next().await.is_some() {} };
        if timeout(self.registry.config.http.drain_timeout.0, drained).await.is_err() {
            tracing::warn!("some requests did not end in time and are broken off");
        }
    }
}

/// Waits for the word that the server ends.
async fn told(stopping: &mut watch::Receiver<bool>) {
    // a sender that is gone is word enough
    drop(stopping.wait_for(|stop| *stop).await);
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> io::Result<Accepted> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, slot))
}

async fn connection(
    registry: Arc<Registry>,
    stream: TcpStream,
    peer: SocketAddr,
    stopping: watch::Receiver<bool>,
) {
    match registry.live().tls.clone() {
        None => speak(registry, stream, peer, stopping).await,
        Some(acceptor) => match timeout(limits::HANDSHAKE_TIME, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => speak(registry, stream, peer, stopping).await,
            Ok(Err(error)) => tracing::debug!("no TLS with {peer}: {error}"),
            Err(_elapsed) => tracing::debug!("no TLS with {peer}: it took too long"),
        },
    }
}

async fn speak<T>(registry: Arc<Registry>, stream: T, peer: SocketAddr, mut stopping: watch::Receiver<bool>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let patience = registry.config.http.idle_timeout.0;
    let service = service_fn(|request| {
        let registry = Arc::clone(&registry);
        async move { Ok::<_, std::convert::Infallible>(serve::answer(registry, request, Some(peer)).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_TIME)
        .max_buf_size(limits::BUFFER)
        // as those write them who have only ever seen Go's
        .title_case_headers(true)
        .serve_connection(TokioIo::new(Patient::new(stream, patience)), service);
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = told(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!("the connection of {peer} ended: {error}");
    }
}
