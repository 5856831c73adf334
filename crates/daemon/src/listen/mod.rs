//! Where requests come from: unix sockets, TCP, and sockets that systemd has opened.

mod activation;
mod address;
mod unix;

use std::io;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::serve::{self, Transport};

pub(crate) use activation::{inherited, notify_ready};
pub(crate) use address::Address;
pub(crate) use unix::Socket;

/// Most connections at one time; further ones wait.
const MAX_CONNECTIONS: usize = 4096;

/// A socket that is listened on.
pub(crate) enum Listener {
    /// A unix socket of our own, whose file goes with it.
    Own { listener: UnixListener, _file: Socket },
    /// A unix socket of systemd.
    Unix(UnixListener),
    /// TCP.
    Tcp(TcpListener),
}

/// Opens what an address names; `fd://` may be several.
///
/// # Errors
/// Names the address and the reason.
pub(crate) fn open(address: &Address, group: Option<&str>) -> Result<Vec<Listener>> {
    let opened = match address {
        Address::Unix(path) => unix::listen(path, group)
            .map(|(listener, socket)| vec![Listener::Own { listener, _file: socket }]),
        Address::Tcp(host) => tcp(host).map(|listener| vec![Listener::Tcp(listener)]),
        Address::Systemd => activation::listeners(),
    };
    opened.with_context(|| format!("cannot listen on {address}"))
}

fn tcp(host: &str) -> Result<TcpListener> {
    tracing::warn!(
        "listening on tcp://{host} without TLS: whoever reaches this port is root on this machine; \
         use a unix socket or ssh instead"
    );
    let listener = std::net::TcpListener::bind(host)?;
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener)?)
}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Transport>> {
        match self {
            Self::Own { listener, .. } | Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let stream = listener.accept().await?.0;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
        }
    }

    /// Accepts connections until dropped, each in a task of its own.
    pub(crate) async fn serve(self, app: Arc<App>, slots: Arc<Semaphore>) {
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match self.accept().await {
                Ok(io) => {
                    let app = Arc::clone(&app);
                    tokio::spawn(async move {
                        serve::connection(app, io).await;
                        drop(slot);
                    });
                }
                Err(error) => refused(&error).await,
            }
        }
    }
}

/// Slots that all listeners share.
pub(crate) fn slots() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_CONNECTIONS))
}

/// A peer that has given up already is nothing; being out of descriptors passes when connections end, and
/// trying again at once would only burn time.
async fn refused(error: &io::Error) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    tracing::error!("cannot accept a connection: {error}");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
}
