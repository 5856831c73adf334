//! TLS to a daemon over TCP: whom to trust and who we are, from flags, the environment or a context.
//!
//! rustls wants to be driven, and a session waits by `poll(2)` for its terminal, its signals and the daemon at once. So
//! a thread ([`relay`]) speaks TLS, and everybody else has one end of a pair of unix sockets, as for a daemon of this
//! machine. It is only ever started for a remote daemon.

mod config;
mod relay;
mod words;

use std::cell::OnceCell;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::Stream;
use super::relayed::{Behind, Failure, Relayed};
pub(super) use relay::Thread;

/// Files of one endpoint (PEM).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Material {
    /// Authorities, the only ones that are trusted; `None`: those of the machine.
    pub(crate) ca: Option<PathBuf>,
    /// Who we are.
    pub(crate) cert: Option<PathBuf>,
    /// Its key.
    pub(crate) key: Option<PathBuf>,
    /// Whether the daemon must prove who it is.
    pub(crate) verify: bool,
}

/// What flags say.
#[derive(Debug, Default, Clone)]
pub(crate) struct Given {
    /// `--tls`.
    pub(crate) tls: Option<bool>,
    /// `--tlsverify`.
    pub(crate) verify: Option<bool>,
    /// `--tlscacert`.
    pub(crate) ca: Option<PathBuf>,
    /// `--tlscert`.
    pub(crate) cert: Option<PathBuf>,
    /// `--tlskey`.
    pub(crate) key: Option<PathBuf>,
}

impl Given {
    /// What flags and environment (`DOCKER_TLS`, `DOCKER_TLS_VERIFY`, `DOCKER_CERT_PATH`) come to; `None`: no TLS.
    /// As with Docker, `--tlsverify` asks for TLS even when it is false, and certificate and key count only where they
    /// are there or were named.
    pub(crate) fn material(&self, config_dir: &Path) -> Option<Material> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let verify = self.verify.unwrap_or_else(|| variable("DOCKER_TLS_VERIFY").is_some());
        let tls = self.tls.unwrap_or_else(|| variable("DOCKER_TLS").is_some());
        if !tls && !verify && self.verify.is_none() {
            return None;
        }
        let dir = variable("DOCKER_CERT_PATH").map_or_else(|| config_dir.to_owned(), PathBuf::from);
        let there = |given: &Option<PathBuf>, name: &str| {
            given.clone().or_else(|| Some(dir.join(name)).filter(|path| path.exists()))
        };
        let ca = self.ca.clone().or_else(|| verify.then(|| dir.join("ca.pem")));
        Some(Material { ca, cert: there(&self.cert, "cert.pem"), key: there(&self.key, "key.pem"), verify })
    }
}

/// Makes TLS of TCP. The files are read at the first connection.
pub(super) struct Client {
    material: Material,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Client {
    pub(super) fn new(material: Material) -> Self {
        Self { material, config: OnceCell::new() }
    }

    /// Does the handshake with `address` (`host:port`) and leaves the rest to a thread.
    pub(super) fn wrap(&self, stream: TcpStream, address: &str) -> io::Result<Stream> {
        let config = match self.config.get() {
            Some(config) => Arc::clone(config),
            None => {
                let made = Arc::new(config::make(&self.material).map_err(Failure)?);
                Arc::clone(self.config.get_or_init(|| made))
            }
        };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_error| Failure(format!("{host} is no name that a certificate could have")))?;
        let (socket, thread) = Thread::start(config, name, stream)?;
        Ok(Stream::Relayed(Relayed::new(socket, Behind::Tls(thread))))
    }
}
