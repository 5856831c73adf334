//! Tokens of a registry's token server: Docker's token authentication, and its OAuth 2 form for refresh tokens.

use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, StatusCode};
use tokio::time::Instant;

use super::scope::Scopes;
use crate::client::config::Credentials;
use crate::client::endpoint::Endpoint;
use crate::client::error::{Error, Result};
use crate::client::exchange;
use crate::client::limits::{MAX_TOKEN, MAX_TOKEN_ANSWER};
use crate::client::net::{Payload, Request, Response, Transport};
use crate::client::url::{Scheme, Url, encode};

/// Who asks, as Docker names itself to token servers.
const CLIENT_ID: &str = "docker";
/// How long a token is good when its server does not say, and at least: as in Docker.
const LEAST_TIME: u64 = 60;
/// And at most: nobody knows what a clock does.
const MOST_TIME: u64 = 24 * 3600;

/// Where tokens come from, and for whom they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Issuer {
    pub(crate) realm: Url,
    pub(crate) service: Option<String>,
}

/// A token and until when it is used.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) value: HeaderValue,
    pub(crate) until: Instant,
    /// What to ask for the next one with, when the server gave that.
    pub(crate) refresh: Option<String>,
}

/// Asks for a token. `offline`: with a refresh token for later.
pub(crate) async fn fetch(
    transport: &Transport,
    endpoint: &Endpoint,
    user_agent: &HeaderValue,
    issuer: &Issuer,
    scopes: &Scopes,
    credentials: &Credentials,
    offline: bool,
) -> Result<Token> {
    let fetched = async {
        check_realm(endpoint, &issuer.realm, credentials)?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, user_agent.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let request = match credentials {
            Credentials::IdentityToken(refresh) => refreshing(issuer, scopes, refresh, headers),
            other => plain(issuer, scopes, other, offline, headers)?,
        };
        let trust = endpoint.trust(&issuer.realm, true);
        let answer = transport.send(request, trust, None).await?;
        read(answer).await
    };
    fetched.await.map_err(|source| Error::Token { realm: issuer.realm.to_string(), source: Box::new(source) })
}

/// A registry over TLS may not make us tell a password in clear.
fn check_realm(endpoint: &Endpoint, realm: &Url, credentials: &Credentials) -> Result<()> {
    let in_clear = realm.origin().scheme == Scheme::Http;
    let secret = !matches!(credentials, Credentials::Anonymous);
    if in_clear && secret && endpoint.origin().scheme == Scheme::Https && !endpoint.is_insecure() {
        return Err(Error::protocol(
            realm,
            "the registry's token server is not reached over TLS, and gets no credentials (--insecure-registry allows it)",
        ));
    }
    Ok(())
}

fn plain(
    issuer: &Issuer,
    scopes: &Scopes,
    credentials: &Credentials,
    offline: bool,
    mut headers: HeaderMap,
) -> Result<Request> {
    let mut url = issuer.realm.clone();
    if let Some(service) = &issuer.service {
        url = url.with_parameter("service", service);
    }
    for scope in scopes.iter() {
        url = url.with_parameter("scope", &scope);
    }
    if let Credentials::Basic { username, password } = credentials {
        url = url.with_parameter("account", username);
        headers.insert(AUTHORIZATION, basic(username, password)?);
    }
    if offline {
        url = url.with_parameter("offline_token", "true").with_parameter("client_id", CLIENT_ID);
    }
    Ok(Request { method: Method::GET, url, headers, payload: Payload::Empty, before: 0 })
}

fn refreshing(issuer: &Issuer, scopes: &Scopes, refresh: &str, mut headers: HeaderMap) -> Request {
    let mut form = format!(
        "grant_type=refresh_token&client_id={CLIENT_ID}&refresh_token={}&scope={}",
        encode(refresh),
        encode(&scopes.to_string())
    );
    if let Some(service) = &issuer.service {
        form.push_str(&format!("&service={}", encode(service)));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    Request {
        method: Method::POST,
        url: issuer.realm.clone(),
        headers,
        payload: Payload::Whole(Bytes::from(form)),
        before: 0,
    }
}

async fn read(mut answer: Response) -> Result<Token> {
    #[derive(serde::Deserialize)]
    struct Body {
        #[serde(default)]
        token: Option<String>,
        #[serde(default)]
        access_token: Option<String>,
        #[serde(default)]
        refresh_token: Option<String>,
        #[serde(default)]
        expires_in: Option<serde_json::Number>,
    }
    if answer.status != StatusCode::OK {
        return Err(exchange::refusal(answer).await);
    }
    let url = answer.place.url.clone();
    let bytes = answer.body.collect(MAX_TOKEN_ANSWER, "the token server's answer").await?;
    let body: Body = serde_json::from_slice(&bytes)
        .map_err(|error| Error::protocol(&url, format!("its answer is no token: {error}")))?;
    let set = |token: Option<String>| token.filter(|token| !token.is_empty());
    let token = set(body.token)
        .or_else(|| set(body.access_token))
        .ok_or_else(|| Error::protocol(&url, "its answer has no token"))?;
    if token.len() > MAX_TOKEN {
        return Err(Error::TooLarge { what: "the token".into(), limit: MAX_TOKEN as u64 });
    }
    let seconds =
        body.expires_in.and_then(|number| number.as_u64().or_else(|| number.as_f64().map(|n| n as u64)));
    let seconds = seconds.unwrap_or(LEAST_TIME).clamp(LEAST_TIME, MOST_TIME);
    Ok(Token {
        value: bearer(&token)
            .map_err(|_not_a_header| Error::protocol(&url, "its token has characters that none has"))?,
        // renewed a little early: the way takes time, too
        until: Instant::now() + Duration::from_secs(seconds * 9 / 10),
        refresh: set(body.refresh_token),
    })
}

/// `Bearer …`, not shown in any debug output.
pub(crate) fn bearer(token: &str) -> Result<HeaderValue> {
    sensitive(format!("Bearer {token}"))
}

/// `Basic …`, not shown in any debug output.
pub(crate) fn basic(username: &str, password: &str) -> Result<HeaderValue> {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    sensitive(format!("Basic {pair}"))
}

fn sensitive(text: String) -> Result<HeaderValue> {
    // visible ASCII only: the text comes from a stranger or from a user's file
    if !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(Error::config("credentials", "the token has characters that none has"));
    }
    let mut value = HeaderValue::try_from(text).map_err(|error| Error::config("credentials", error))?;
    value.set_sensitive(true);
    Ok(value)
}
