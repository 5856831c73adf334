//! Who is asked for a registry's content: mirrors, the registry itself, over TLS or in clear.

mod certs;
mod hosts;
mod insecure;
mod mirror;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderMap;
use rustls::ClientConfig;

use super::net::Tls;
use super::url::{Origin, Url};

pub use insecure::InsecureRegistries;
pub use mirror::Mirror;
pub(crate) use plan::Planner;

/// What an endpoint may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capability {
    /// Content by its digest.
    Pull,
    /// What a tag means now.
    Resolve,
    /// To take content.
    Push,
    /// What refers to a manifest.
    Referrers,
}

/// What an endpoint may be asked for, in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capabilities {
    pub(crate) pull: bool,
    pub(crate) resolve: bool,
    pub(crate) push: bool,
    pub(crate) referrers: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self::ALL
    }
}

impl Capabilities {
    pub(crate) const NONE: Self = Self { pull: false, resolve: false, push: false, referrers: false };
    pub(crate) const ALL: Self = Self { push: true, ..Self::READ };
    pub(crate) const READ: Self = Self { pull: true, resolve: true, push: false, referrers: true };

    pub(crate) fn has(self, capability: Capability) -> bool {
        match capability {
            Capability::Pull => self.pull,
            Capability::Resolve => self.resolve,
            Capability::Push => self.push,
            Capability::Referrers => self.referrers,
        }
    }
}

/// One place that speaks the protocol for a registry.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// Where its API begins: the path ends with `/v2`, or is what `override_path` says.
    pub(crate) base: Url,
    pub(crate) tls: Arc<Tls>,
    /// Sent with every request to this place, and to no other.
    pub(crate) headers: HeaderMap,
    pub(crate) capabilities: Capabilities,
    /// Not the registry itself: its failures are not the last word.
    pub(crate) mirror: bool,
    /// It is where the registry's name leads: it may have the credentials for that name.
    pub(crate) own: bool,
    /// `ns=`: which registry a mirror is asked for.
    pub(crate) namespace: Option<String>,
    /// Certificates are not checked; plain HTTP is acceptable.
    pub(crate) insecure: bool,
    /// Whether it speaks TLS is not known yet; if not, the same place is asked in clear.
    pub(crate) probing: bool,
    /// How long it may take to answer a connection, when that is said for it alone.
    pub(crate) dial: Option<Duration>,
}

impl Endpoint {
    pub(crate) fn origin(&self) -> &Origin {
        self.base.origin()
    }

    pub(crate) fn is_insecure(&self) -> bool {
        self.insecure
    }

    /// The URL of `path` (with a leading `/`) beneath the API's beginning.
    pub(crate) fn url(&self, path: &str) -> Url {
        let url = self.base.with_path(&format!("{}{path}", self.base.path()));
        match &self.namespace {
            Some(namespace) => url.with_parameter("ns", namespace),
            None => url,
        }
    }

    /// Whom we trust, and who we are, at `url`: our certificate is for the registry and its token server alone.
    pub(crate) fn trust(&self, url: &Url, token_server: bool) -> &Arc<ClientConfig> {
        if token_server || url.origin().host == self.origin().host { &self.tls.own } else { &self.tls.others }
    }
}
