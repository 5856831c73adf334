//! A registry and a repository as a user sees them, and the way from one endpoint to the next.

use std::sync::Arc;

use hyper::Method;

use super::Inner;
use super::auth::Scopes;
use super::config::Credentials;
use super::endpoint::{Capability, Endpoint};
use super::error::{Error, Result};
use super::exchange::{Call, Peer, finish};

/// A registry as a whole.
#[derive(Clone)]
pub struct Registry {
    pub(crate) inner: Arc<Inner>,
    pub(crate) domain: String,
    pub(crate) credentials: Credentials,
}

/// One repository of a registry.
#[derive(Clone)]
pub struct Repository {
    pub(crate) registry: Registry,
    pub(crate) path: String,
}

/// What came of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// What to keep in place of the password, when the registry's token server gives such a token.
    pub identity_token: Option<String>,
}

impl Registry {
    pub(crate) fn new(inner: Arc<Inner>, domain: &str, credentials: Credentials) -> Self {
        Self { inner, domain: domain.into(), credentials }
    }

    /// Does the registry take the credentials?
    ///
    /// # Errors
    /// [`Error::is_denied`] when it does not.
    pub async fn login(&self) -> Result<Login> {
        let mut tries = self.tries(None).await?;
        loop {
            let result = login(tries.peer()).await;
            if let Some(result) = tries.judge(result) {
                return result;
            }
        }
    }

    /// The endpoints that may be asked for something, mirrors first; `None`: the registry itself.
    pub(crate) async fn tries(&self, capability: Option<Capability>) -> Result<Tries> {
        let authorities = &self.inner.transport.authorities;
        let all = self.inner.planner.endpoints(&self.domain, authorities).await?;
        let fits = |endpoint: &Endpoint| match capability {
            Some(capability) => endpoint.capabilities.has(capability),
            None => !endpoint.mirror,
        };
        let all: Vec<Endpoint> = all.into_iter().filter(fits).collect();
        // when nothing but what is down would be left, that is asked all the same
        let up = |endpoint: &Endpoint| self.inner.planner.is_up(endpoint);
        let any = all.iter().any(up);
        let mut rest = all.into_iter().filter(|endpoint| !any || up(endpoint)).map(Arc::new);
        let first = rest.next().ok_or_else(|| {
            Error::config(&self.domain, "the configured hosts of this registry allow no such request")
        })?;
        let peer = Peer {
            inner: Arc::clone(&self.inner),
            credentials: credentials(&self.credentials, &first),
            endpoint: first,
        };
        Ok(Tries { registry: self.clone(), peer, rest: rest.collect::<Vec<_>>().into_iter() })
    }
}

/// Another's host gets no credentials.
fn credentials(given: &Credentials, endpoint: &Endpoint) -> Credentials {
    if endpoint.own { given.clone() } else { Credentials::Anonymous }
}

async fn login(peer: &Peer) -> Result<Login> {
    let url = peer.endpoint.url("/");
    let call = Call::new(Method::GET, url, Scopes::default());
    finish(peer.call(&call, &[200]).await?).await;
    let Credentials::Basic { .. } = &peer.credentials else { return Ok(Login { identity_token: None }) };
    let inner = &peer.inner;
    let identity_token =
        inner.authenticator.refresh_token(&inner.transport, &peer.endpoint, &peer.credentials).await?;
    Ok(Login { identity_token })
}

/// One endpoint after another, until one gives the last word.
pub(crate) struct Tries {
    registry: Registry,
    peer: Peer,
    rest: std::vec::IntoIter<Arc<Endpoint>>,
}

impl Tries {
    /// Whom to ask now.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The result that counts, or `None`: the next one is to be asked.
    pub(crate) fn judge<T>(&mut self, result: Result<T>) -> Option<Result<T>> {
        let error = match result {
            Ok(value) => {
                self.registry.inner.planner.heard(&self.registry.domain, &self.peer.endpoint);
                return Some(Ok(value));
            }
            Err(error) => error,
        };
        let mirror = self.peer.endpoint.mirror;
        let ours = matches!(error, Error::Sink(_) | Error::Source(_));
        let spoke = !error.is_unreachable();
        if ours || (spoke && !mirror) {
            if spoke && !ours {
                self.registry.inner.planner.heard(&self.registry.domain, &self.peer.endpoint);
            }
            return Some(Err(error));
        }
        let Some(next) = self.rest.next() else { return Some(Err(error)) };
        if mirror {
            if !spoke {
                self.registry.inner.planner.unreachable(&self.peer.endpoint);
            }
            tracing::warn!(mirror = %self.peer.endpoint.origin(), registry = self.registry.domain, %error,
                "a mirror does not help, the next is asked");
        }
        self.peer.credentials = credentials(&self.registry.credentials, &next);
        self.peer.endpoint = next;
        None
    }
}

impl Repository {
    pub(crate) fn new(registry: Registry, path: &str) -> Self {
        Self { registry, path: path.into() }
    }

    /// The registry it is in.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// `library/alpine`.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(crate) async fn tries(&self, capability: Capability) -> Result<Tries> {
        self.registry.tries(Some(capability)).await
    }

    pub(crate) fn pulling(&self) -> Scopes {
        Scopes::repository(&self.path, &["pull"])
    }

    pub(crate) fn pushing(&self) -> Scopes {
        Scopes::repository(&self.path, &["pull", "push"])
    }

    pub(crate) fn deleting(&self) -> Scopes {
        Scopes::repository(&self.path, &["delete", "pull"])
    }
}
