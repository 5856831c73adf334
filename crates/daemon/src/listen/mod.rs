//! Where requests come from: unix sockets, TCP, and sockets that systemd has opened.

mod activation;
mod address;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod tls;
mod unix;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use engine::HostPorts;
use sys::names;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::config::TcpSecurity;
use crate::serve::{self, Transport};

pub(crate) use activation::{inherited, notify_ready};
pub(crate) use address::Address;
use tls::Acceptor;
pub(crate) use unix::Socket;

/// Most connections at one time; further ones wait.
const MAX_CONNECTIONS: usize = 4096;

/// A socket that is listened on.
pub(crate) enum Listener {
    /// A unix socket of our own, whose file goes with it.
    Own { listener: UnixListener, _file: Socket },
    /// A unix socket of systemd.
    Unix(UnixListener),
    /// TCP, with TLS or without.
    Tcp(TcpListener, Option<Acceptor>),
}

/// Opens what an address names; `fd://` may be several.
///
/// # Errors
/// Names the address and the reason.
pub(crate) fn open(
    address: &Address,
    group: Option<&str>,
    tcp: &TcpSecurity,
    outside: Option<&HostPorts>,
) -> Result<Vec<Listener>> {
    let security = || Security::new(tcp);
    let opened = match address {
        Address::Unix(path) => {
            unix::listen(path, group).map(|(listener, file)| vec![Listener::Own { listener, _file: file }])
        }
        Address::Tcp(host) => security().and_then(|security| Ok(vec![listen_tcp(host, &security, outside)?])),
        Address::Systemd => security().and_then(|security| activation::listeners(&security)),
    };
    opened.with_context(|| format!("cannot listen on {address}"))
}

/// How TCP is served, with the certificates read.
enum Security {
    Tls(Acceptor),
    Clear,
    Unsaid,
}

impl Security {
    fn new(tcp: &TcpSecurity) -> Result<Self> {
        Ok(match tcp {
            TcpSecurity::Tls(files) => Self::Tls(Acceptor::new(files)?),
            TcpSecurity::Clear => Self::Clear,
            TcpSecurity::Unsaid => Self::Unsaid,
        })
    }

    /// What a TCP socket is served with; that it is served in the clear must have been said.
    fn acceptor(&self, name: &str) -> Result<Option<Acceptor>> {
        match self {
            Self::Tls(acceptor) => Ok(Some(acceptor.clone())),
            Self::Clear => {
                warn_of_clear_text(name);
                Ok(None)
            }
            Self::Unsaid => anyhow::bail!(
                "TCP without TLS gives root on this machine to whoever reaches it, by way of a web page in a browser here \
                 too: use --tlsverify with --tlscacert, --tlscert and --tlskey, or ssh:// on the client's side, or say \
                 --tls=false (\"tls\": false in daemon.json) if this is what you want"
            ),
        }
    }
}

fn listen_tcp(host: &str, security: &Security, outside: Option<&HostPorts>) -> Result<Listener> {
    let acceptor = security.acceptor(&format!("tcp://{host}"))?;
    Ok(Listener::Tcp(bind(host, outside)?, acceptor))
}

/// Listens at `HOST:PORT`; through `outside`, if the daemon does not live in the host's network.
///
/// # Errors
/// The name is unknown, or none of its addresses can be listened at.
pub(crate) fn bind(text: &str, outside: Option<&HostPorts>) -> io::Result<TcpListener> {
    let mut last = None;
    for address in addresses(text)? {
        let made = match outside {
            None => std::net::TcpListener::bind(address),
            Some(outside) => outside.listen(address),
        };
        match made {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                return TcpListener::from_std(listener);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

/// The addresses of this machine that `HOST:PORT` names. What has a name here is in `/etc/hosts`: the C library's
/// resolver would load parts of the host.
fn addresses(text: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = text.parse() {
        return Ok(vec![address]);
    }
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
    let split = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let (host, port) = split.ok_or_else(|| invalid(format!("{text:?} is no HOST:PORT")))?;
    let of = |ips: Vec<IpAddr>| ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    if host.is_empty() {
        // all of them; those of IPv4 alone, where the kernel speaks no IPv6
        return Ok(of(vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()]));
    }
    if names::is_localhost(host) {
        return Ok(of(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]));
    }
    if let Ok(ip) = host.parse() {
        return Ok(of(vec![ip]));
    }
    let found = names::known(host);
    if found.is_empty() {
        return Err(invalid(format!(
            "{host:?} is not in {}, where addresses of this machine are",
            names::HOSTS
        )));
    }
    Ok(of(found))
}

fn warn_of_clear_text(name: &str) {
    tracing::warn!(
        "listening on {name} without TLS: whoever reaches it is root on this machine; \
         use --tlsverify, a unix socket or ssh instead"
    );
}

impl Listener {
    /// The next connection; what it still needs before requests can be read is done elsewhere.
    async fn accept(&self) -> io::Result<(Incoming, Option<Acceptor>)> {
        match self {
            Self::Own { listener, .. } | Self::Unix(listener) => {
                Ok((Incoming::Unix(listener.accept().await?.0), None))
            }
            Self::Tcp(listener, acceptor) => {
                let stream = listener.accept().await?.0;
                stream.set_nodelay(true)?;
                Ok((Incoming::Tcp(stream), acceptor.clone()))
            }
        }
    }

    /// Accepts connections until dropped, each in a task of its own.
    pub(crate) async fn serve(self, app: Arc<App>, slots: Arc<Semaphore>) {
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match self.accept().await {
                Ok((incoming, acceptor)) => {
                    let app = Arc::clone(&app);
                    tokio::spawn(async move {
                        match incoming.ready(acceptor).await {
                            Ok(io) => serve::connection(app, io).await,
                            Err(error) => tracing::debug!("TLS handshake failed: {error}"),
                        }
                        drop(slot);
                    });
                }
                Err(error) => refused(&error).await,
            }
        }
    }
}

/// A connection as it was accepted.
enum Incoming {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Incoming {
    /// Does the handshake, if there is one.
    async fn ready(self, acceptor: Option<Acceptor>) -> io::Result<Box<dyn Transport>> {
        match (self, acceptor) {
            (Self::Unix(stream), _) => Ok(Box::new(stream)),
            (Self::Tcp(stream), None) => Ok(Box::new(stream)),
            (Self::Tcp(stream), Some(acceptor)) => acceptor.accept(stream).await,
        }
    }
}

/// Slots that all listeners share.
pub(crate) fn slots() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MAX_CONNECTIONS))
}

/// A peer that has given up already is nothing; being out of descriptors passes when connections end, and
/// trying again at once would only burn time.
pub(crate) async fn refused(error: &io::Error) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    tracing::error!("cannot accept a connection: {error}");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn places_to_listen_at() {
        let of = |text: &str| {
            let found = addresses(text).map_err(|error| error.to_string())?;
            Ok::<_, String>(found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(of("0.0.0.0:99"), Ok("0.0.0.0:99".into()));
        assert_eq!(of("[::1]:99"), Ok("[::1]:99".into()));
        assert_eq!(of(":99"), Ok("[::]:99 0.0.0.0:99".into()));
        assert_eq!(of("localhost:99"), Ok("127.0.0.1:99 [::1]:99".into()));
        for (wrong, why) in [
            ("no-such-name.invalid:1", "\"no-such-name.invalid\" is not in /etc/hosts"),
            ("0.0.0.0", "\"0.0.0.0\" is no HOST:PORT"),
            ("0.0.0.0:65536", "is no HOST:PORT"),
        ] {
            assert!(of(wrong).is_err_and(|error| error.contains(why)), "{wrong}");
        }
    }
}
