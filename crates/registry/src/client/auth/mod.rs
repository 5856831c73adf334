//! Who we are to a registry: what it wants to know is remembered, and tokens are kept until they end.

pub(crate) mod challenge;
mod scope;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::header::{HeaderMap, HeaderValue};
use tokio::time::Instant;

pub(crate) use challenge::{Challenge, challenges, insufficient};
pub(crate) use scope::Scopes;
pub(crate) use token::{Issuer, Token};

use super::config::Credentials;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::limits::MAX_TOKENS;
use super::net::Transport;
use super::url::{Origin, Url};

/// What a registry wants to know of everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Basic,
    Token(Issuer),
}

/// Whose token it is, and what for.
#[derive(Clone, PartialEq, Eq, Hash)]
struct TokenKey {
    endpoint: Origin,
    issuer: Issuer,
    credentials: Credentials,
    scopes: Scopes,
}

impl TokenKey {
    fn new(endpoint: &Endpoint, issuer: Issuer, claim: &Claim<'_>) -> Self {
        Self {
            endpoint: endpoint.origin().clone(),
            issuer,
            credentials: claim.credentials.clone(),
            scopes: claim.scopes.clone(),
        }
    }
}

/// Filled by the first who needs it; the others wait.
type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// What is known of registries, and the tokens they have taken.
pub(crate) struct Authenticator {
    user_agent: HeaderValue,
    wanted: Mutex<HashMap<Origin, Wanted>>,
    tokens: Mutex<HashMap<TokenKey, Slot>>,
}

/// Who asks, and for what. Grows when the registry says that more is needed.
pub(crate) struct Claim<'a> {
    pub(crate) credentials: &'a Credentials,
    pub(crate) scopes: Scopes,
}

impl Authenticator {
    pub(crate) fn new(user_agent: HeaderValue) -> Self {
        Self { user_agent, wanted: Mutex::default(), tokens: Mutex::default() }
    }

    /// The value of `Authorization` for a request to the endpoint, as far as we know what it wants.
    pub(crate) async fn authorization(
        &self,
        transport: &Transport,
        endpoint: &Endpoint,
        claim: &Claim<'_>,
    ) -> Result<Option<HeaderValue>> {
        if let Credentials::RegistryToken(token) = claim.credentials {
            return token::bearer(token).map(Some);
        }
        let wanted = lock(&self.wanted).get(endpoint.origin()).cloned();
        match wanted {
            None => Ok(None),
            Some(Wanted::Basic) => match claim.credentials {
                Credentials::Basic { username, password } => token::basic(username, password).map(Some),
                _ => Ok(None),
            },
            Some(Wanted::Token(issuer)) => {
                let token = self.token(transport, endpoint, issuer, claim).await?;
                Ok(Some(token.value))
            }
        }
    }

    async fn token(
        &self,
        transport: &Transport,
        endpoint: &Endpoint,
        issuer: Issuer,
        claim: &Claim<'_>,
    ) -> Result<Token> {
        let key = TokenKey::new(endpoint, issuer, claim);
        let slot = self.slot(&key);
        let mut slot = slot.lock().await;
        if let Some(token) = slot.as_ref().filter(|token| token.until > Instant::now()) {
            return Ok(token.clone());
        }
        *slot = None;
        let agent = &self.user_agent;
        let token =
            token::fetch(transport, endpoint, agent, &key.issuer, &key.scopes, claim.credentials, false)
                .await?;
        *slot = Some(token.clone());
        Ok(token)
    }

    fn slot(&self, key: &TokenKey) -> Slot {
        let mut tokens = lock(&self.tokens);
        if tokens.len() >= MAX_TOKENS && !tokens.contains_key(key) {
            // those in use are held elsewhere, too, and fetched anew at worst
            tokens.retain(|_, slot| match slot.try_lock() {
                Err(_) => true,
                Ok(slot) => slot.as_ref().is_some_and(|token| token.until > Instant::now()),
            });
            if tokens.len() >= MAX_TOKENS {
                tokens.clear();
            }
        }
        Arc::clone(tokens.entry(key.clone()).or_default())
    }

    /// Learns from an answer that says 401. Is there something else to try? `sent` is what was tried.
    pub(crate) async fn learn(
        &self,
        endpoint: &Endpoint,
        headers: &HeaderMap,
        claim: &mut Claim<'_>,
        sent: Option<&HeaderValue>,
    ) -> Result<bool> {
        if matches!(claim.credentials, Credentials::RegistryToken(_)) {
            return Ok(false);
        }
        let all = challenges(headers);
        let find = |scheme: &str| all.iter().find(|challenge| challenge.scheme == scheme);
        if let Some(challenge) = find("bearer") {
            let issuer = issuer(endpoint, challenge)?;
            let needed = challenge.get("scope").map(Scopes::parse).unwrap_or_default();
            let before = claim.scopes.clone();
            claim.scopes = before.clone().union(&needed);
            let wanted = Wanted::Token(issuer.clone());
            let known = lock(&self.wanted).insert(endpoint.origin().clone(), wanted.clone());
            if sent.is_some() && known.as_ref() == Some(&wanted) && before == claim.scopes {
                // not good any more; but what another request has fetched meanwhile may be
                self.forget(endpoint, issuer, claim, sent).await;
            }
            return Ok(true);
        }
        let basic = find("basic").is_some();
        if basic && sent.is_none() && matches!(claim.credentials, Credentials::Basic { .. }) {
            lock(&self.wanted).insert(endpoint.origin().clone(), Wanted::Basic);
            return Ok(true);
        }
        Ok(false)
    }

    async fn forget(
        &self,
        endpoint: &Endpoint,
        issuer: Issuer,
        claim: &Claim<'_>,
        sent: Option<&HeaderValue>,
    ) {
        let key = TokenKey::new(endpoint, issuer, claim);
        let slot = self.slot(&key);
        let mut slot = slot.lock().await;
        if slot.as_ref().map(|token| &token.value) == sent {
            *slot = None;
        }
    }

    /// A refresh token in exchange for a user and a password, from servers that give one.
    pub(crate) async fn refresh_token(
        &self,
        transport: &Transport,
        endpoint: &Endpoint,
        credentials: &Credentials,
    ) -> Result<Option<String>> {
        let wanted = lock(&self.wanted).get(endpoint.origin()).cloned();
        let Some(Wanted::Token(issuer)) = wanted else { return Ok(None) };
        let agent = &self.user_agent;
        let token =
            token::fetch(transport, endpoint, agent, &issuer, &Scopes::default(), credentials, true).await?;
        Ok(token.refresh)
    }
}

fn issuer(endpoint: &Endpoint, challenge: &Challenge) -> Result<Issuer> {
    let realm = challenge.get("realm").unwrap_or_default();
    let realm = Url::parse(realm)
        .map_err(|error| Error::url(format_args!("{}: token server", endpoint.origin()), realm, error))?;
    Ok(Issuer { realm, service: challenge.get("service").map(str::to_owned) })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
