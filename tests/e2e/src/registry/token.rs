//! A token server, as Docker's token specification describes it: JWTs signed by a key whose certificate the
//! registries are given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::listener::{Ended, Listener, Request, Stream, answer, refuse};
use super::probe::encode64;
use super::tls::openssl;
use super::{PASSWORD, USER};
use crate::lab::Namespace;

/// What registries and the server call each other.
pub const SERVICE: &str = "test registry";
/// The issuer of the tokens.
pub const ISSUER: &str = "test tokens";

/// The running server.
pub struct TokenServer {
    listener: Listener,
    scheme: &'static str,
    inner: Arc<Inner>,
}

struct Inner {
    dir: tempfile::TempDir,
    chain: String,
    /// Seconds that a token is good for.
    lasts: AtomicU64,
    users: Mutex<BTreeMap<String, String>>,
    /// Per user, or `""` for whoever says no name: the repositories (`*` at the end: what begins so) and actions.
    rights: Mutex<Vec<(String, String, Vec<String>)>>,
    asked: Mutex<Vec<Request>>,
}

impl TokenServer {
    /// Starts one that knows [`USER`], who may do anything; over TLS if there is a configuration of it.
    pub fn start(
        place: Option<(&Namespace, std::net::IpAddr)>,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("berth-tokens-").tempdir()?;
        openssl(
            dir.path(),
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tokens -keyout key.pem -out cert.pem",
        )?;
        let certificate = CertificateDer::from_pem_file(dir.path().join("cert.pem"))?;
        let everything = ["pull", "push", "delete", "*"].map(str::to_owned).to_vec();
        let inner = Arc::new(Inner {
            dir,
            chain: encode64(&certificate),
            lasts: AtomicU64::new(300),
            users: Mutex::new(BTreeMap::from([(USER.to_owned(), PASSWORD.to_owned())])),
            rights: Mutex::new(vec![(USER.to_owned(), "*".to_owned(), everything)]),
            asked: Mutex::default(),
        });
        let answering = inner.clone();
        let handler = move |request: &Request, stream: &mut dyn Stream| answering.serve(request, stream);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = Listener::http(place, tls, Arc::new(Ended::default()), Arc::new(handler))?;
        Ok(Self { listener, scheme, inner })
    }

    /// Where tokens are asked for.
    pub fn realm(&self) -> String {
        format!("{}://{}/token", self.scheme, self.listener.address())
    }

    /// The certificate that tokens are checked with.
    pub fn certificate(&self) -> PathBuf {
        self.inner.dir.path().join("cert.pem")
    }

    /// Tokens are good for so many seconds from now on.
    pub fn last(&self, seconds: u64) {
        self.inner.lasts.store(seconds, Ordering::Relaxed);
    }

    /// One more user.
    pub fn user(&self, name: &str, password: &str) {
        let mut users = self.inner.users.lock().unwrap_or_else(PoisonError::into_inner);
        users.insert(name.to_owned(), password.to_owned());
    }

    /// A user, or `""` for whoever says no name, may do this in the repositories that `pattern` means.
    pub fn allow(&self, user: &str, pattern: &str, actions: &[&str]) {
        let actions = actions.iter().map(|action| (*action).to_owned()).collect();
        let mut rights = self.inner.rights.lock().unwrap_or_else(PoisonError::into_inner);
        rights.push((user.to_owned(), pattern.to_owned(), actions));
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.inner.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A token for scopes (`repository:NAME:pull,push`) that a user may have.
    pub fn token(&self, user: &str, scopes: &[&str]) -> Result<String> {
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.inner.mint(user, SERVICE, &scopes)
    }
}

impl Inner {
    fn serve(&self, request: &Request, stream: &mut dyn Stream) -> std::io::Result<bool> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let Some(user) = self.user(request) else {
            return refuse(stream, 401, "UNAUTHORIZED", "wrong name or password");
        };
        let scopes: Vec<String> = request
            .parameters("scope")
            .iter()
            .flat_map(|scope| scope.split(' ').map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let service = request.parameter("service").unwrap_or_default();
        let token = match self.mint(&user, &service, &scopes) {
            Ok(token) => token,
            Err(error) => return refuse(stream, 500, "UNKNOWN", &format!("{error:#}")),
        };
        let mut body = json!({"token": token, "expires_in": self.lasts.load(Ordering::Relaxed)});
        if request.method == "POST" || request.parameter("offline_token").is_some() {
            body["access_token"] = body["token"].take();
            body["refresh_token"] = json!(format!("refresh {user}"));
        }
        if request.parameter("offline_token").is_some() {
            body["token"] = body["access_token"].clone();
        }
        answer(stream, 200, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// Who asks; none if the password is wrong.
    fn user(&self, request: &Request) -> Option<String> {
        let users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if request.method == "POST" {
            let parameter = |name: &str| request.parameter(name).unwrap_or_default();
            if parameter("grant_type") == "refresh_token" {
                let user = parameter("refresh_token").strip_prefix("refresh ")?.to_owned();
                return users.contains_key(&user).then_some(user);
            }
            let right = users.get(&parameter("username")) == Some(&parameter("password"));
            return right.then(|| parameter("username"));
        }
        let Some(said) = request.header("authorization") else { return Some(String::new()) };
        users.iter().find_map(|(name, password)| {
            let right = format!("Basic {}", encode64(format!("{name}:{password}").as_bytes()));
            (right == said).then(|| name.clone())
        })
    }

    /// What of a scope a user may do.
    fn grant(&self, user: &str, scope: &str) -> Option<Value> {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let rights = self.rights.lock().unwrap_or_else(PoisonError::into_inner);
        let may = |action: &str| {
            rights.iter().any(|(whose, pattern, actions)| {
                let meant = match pattern.strip_suffix('*') {
                    Some(start) => name.starts_with(start),
                    None => name == pattern,
                };
                (whose == user || whose.is_empty())
                    && meant
                    && actions.iter().any(|one| one == action || one == "*")
            })
        };
        let granted: Vec<&str> = actions.split(',').filter(|action| may(action)).collect();
        (!granted.is_empty()).then(|| json!({"type": kind, "name": name, "actions": granted}))
    }

    fn mint(&self, user: &str, service: &str, scopes: &[String]) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let access: Vec<Value> = scopes.iter().filter_map(|scope| self.grant(user, scope)).collect();
        let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [self.chain]});
        let claims = json!({
            "iss": ISSUER, "sub": user, "aud": service, "jti": format!("{now}-{user}"),
            "iat": now, "nbf": now - 10, "exp": now + self.lasts.load(Ordering::Relaxed), "access": access,
        });
        let url = |value: &Value| url64(value.to_string().as_bytes());
        let signed = format!("{}.{}", url(&header), url(&claims));
        let signature = sign(self.dir.path(), signed.as_bytes())?;
        Ok(format!("{signed}.{}", url64(&signature)))
    }
}

/// RS256 of RFC 7518.
fn sign(dir: &Path, bytes: &[u8]) -> Result<Vec<u8>> {
    let file = tempfile::NamedTempFile::new_in(dir)?;
    std::fs::write(file.path(), bytes)?;
    let mut command = Command::new("/usr/bin/openssl");
    let out = command.current_dir(dir).args(["dgst", "-sha256", "-sign", "key.pem"]).arg(file.path());
    let out = out.output().context("cannot run openssl")?;
    anyhow::ensure!(out.status.success(), "openssl dgst: {}", String::from_utf8_lossy(&out.stderr));
    Ok(out.stdout)
}

/// RFC 4648, section 5, without padding.
fn url64(bytes: &[u8]) -> String {
    encode64(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}
