//! Asks registries: resolves names, fetches and uploads manifests and blobs.
//!
//! A [`Client`] lives as long as its daemon: it keeps connections, tokens, and what it has learnt of registries. A
//! [`Repository`] is one repository as one user sees it, and lives as long as a pull or a push:
//!
//! ```no_run
//! # async fn pull(sink: std::sync::Arc<dyn registry::client::BlobSink>) -> registry::client::Result<()> {
//! use registry::client::{Client, Config, Credentials, Target};
//!
//! let client = Client::new(Config::default())?;
//! let reference = oci::Reference::parse("alpine:3.20").expect("a reference");
//! let repository = client.repository(&reference, Credentials::Anonymous);
//! // the descriptor alone (HEAD), or with the bytes, whose digest is verified
//! let descriptor = repository.resolve(&Target::of(&reference)).await?;
//! let manifest = repository.manifest(&Target::Digest(descriptor.digest)).await?;
//! if let oci::Document::Manifest(image) = &manifest.document {
//!     let config = repository.small_blob(&image.config, 8 << 20).await?;
//!     for layer in &image.layers {
//!         repository.blob(layer, &sink).await?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! - **Dropping a future ends what it does**, with its connections; nothing runs on by itself.
//! - **Attempts, waits, mirrors and fall-backs are inside**: an [`Error`] is the last word.
//! - **Whatever a registry sends is bounded** ([`limits`]) and checked. What has a digest and is returned as a value
//!   has that digest. What goes to a [`BlobSink`] in pieces has its place and its length; its digest is the sink's to
//!   check, which sees the bytes in order.
//! - **Credentials reach the registry and its token server only**, over what they were reached by.

mod auth;
mod blob;
mod config;
mod digest;
mod endpoint;
mod error;
mod exchange;
mod fetch;
pub mod fuzzing;
pub mod limits;
mod link;
mod manifest;
pub(crate) mod net;
mod referrers;
mod repository;
mod retry;
mod search;
mod tags;
mod upload;
pub mod url;

use std::path::PathBuf;
use std::sync::Arc;

use hyper::header::HeaderValue;

pub use blob::{BlobSink, BlobStream};
pub use config::{Config, Credentials, Retry, Time};
pub use endpoint::{InsecureRegistries, Mirror};
pub(crate) use error::clean;
pub use error::{Cause, Error, NetworkError, Refusal, RemoteError, Result};
pub use fetch::{Download, Validators};
pub use manifest::{FetchedManifest, Target};
pub use net::{Chunks, Proxies, Proxy};
pub use referrers::Referrer;
pub use repository::{Login, Registry, Repository};
pub use search::Found;
pub use upload::{BlobSource, Mount, Session};

use auth::Authenticator;
use endpoint::Planner;
use net::{Authorities, Transport};

/// Asks registries. Clones share connections, tokens and configuration.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

pub(crate) struct Inner {
    config: Config,
    user_agent: HeaderValue,
    transport: Transport,
    authenticator: Authenticator,
    planner: Planner,
}

/// The files for a server's TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Authorities, beside the machine's.
    pub authorities: Vec<PathBuf>,
    /// The machine's, if it has any.
    pub machine: Option<PathBuf>,
    /// Who we are there: a certificate and its key, the first by name.
    pub client: Option<(PathBuf, PathBuf)>,
}

impl Client {
    /// A client with this configuration. Nothing is read or asked yet.
    ///
    /// # Errors
    /// The user agent cannot be sent.
    pub fn new(config: Config) -> Result<Self> {
        let user_agent =
            HeaderValue::try_from(&config.user_agent).map_err(|error| Error::config("user agent", error))?;
        let authorities = Authorities::new(config.authorities.clone());
        let planner = Planner::new(config.mirrors.clone(), config.insecure.clone(), config.certs_d.clone());
        Ok(Self(Arc::new(Inner {
            transport: Transport::new(config.proxies.clone(), config.time, authorities),
            authenticator: Authenticator::new(user_agent.clone()),
            planner,
            user_agent,
            config,
        })))
    }

    /// The files for a server, registry or not, in its own directory of `certs.d`: what a program is told that speaks TLS
    /// itself.
    ///
    /// # Errors
    /// A certificate without its key, or a key without its certificate; the directory can't be read.
    pub fn certificates(&self, authority: &str) -> Result<Certificates> {
        let files = self.0.planner.files(authority)?;
        let client = files.clients.into_iter().next().map(|own| (own.certificate, own.key));
        let machine = self.0.config.authorities.clone().or_else(|| net::system().map(PathBuf::from));
        Ok(Certificates { authorities: files.authorities, machine, client })
    }

    /// The repository that `reference` names (its tag and digest do not matter), asked by the owner of `credentials`.
    pub fn repository(&self, reference: &oci::Reference, credentials: Credentials) -> Repository {
        Repository::new(Registry::new(Arc::clone(&self.0), reference.domain(), credentials), reference.path())
    }

    /// A registry as a whole: `docker.io`, `localhost:5000`.
    pub fn registry(&self, domain: &str, credentials: Credentials) -> Registry {
        Registry::new(Arc::clone(&self.0), domain, credentials)
    }
}
