//! Where the daemon is: flag, environment, context, default.

use std::path::{Path, PathBuf};

use api::place;

use super::ssh;
use super::tls::{Given as GivenTls, Material};
use crate::contexts::Store;
use crate::error::{Error, Result};

/// The socket of root's `berthd` with default settings.
pub(crate) fn roots_socket() -> PathBuf {
    Path::new(place::ROOTS_STATE).join(place::SOCKET)
}

/// The socket of a `berthd` with default settings: root's; for an ordinary user his own, unless there is only root's and
/// he may use it.
pub(crate) fn default_socket() -> PathBuf {
    let roots = roots_socket();
    match own_socket() {
        Some(own) if own.exists() || !may_use(&roots) => own,
        _ => roots,
    }
}

/// That of an ordinary user's daemon; `None` for root, or where there is no place for one.
fn own_socket() -> Option<PathBuf> {
    let user = rustix::process::geteuid();
    if user.is_root() {
        return None;
    }
    let state = place::users_state(user.as_raw(), user.as_raw(), |name| std::env::var_os(name))?;
    Some(state.join(place::SOCKET))
}

fn may_use(socket: &Path) -> bool {
    rustix::fs::access(socket, rustix::fs::Access::WRITE_OK).is_ok()
}

/// An address of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// A unix socket.
    Unix(PathBuf),
    /// Plain TCP, `host:port`.
    Tcp(String),
    /// Another machine, by way of `ssh`.
    Ssh(ssh::Target),
}

impl Host {
    /// Parses `unix://PATH`, `tcp://HOST:PORT`, `http://HOST:PORT`, `ssh://[USER@]HOST[:PORT][/SOCKET]`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::parse(&format!("tcp://{text}"));
        };
        match scheme {
            "unix" => Ok(Self::Unix(PathBuf::from(rest))),
            "tcp" | "http" => Ok(Self::Tcp(tcp_address(rest))),
            "ssh" => ssh::Target::parse(rest).map(Self::Ssh),
            _ => Err(Error::said(format!(
                "Failed to initialize: unable to resolve docker endpoint: invalid bind address format: {text}"
            ))),
        }
    }

    /// Whether it is the socket that `berth` may start a daemon for.
    pub(crate) fn is_default(&self) -> bool {
        matches!(self, Self::Unix(path) if *path == default_socket())
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Ssh(target) => target.fmt(f),
        }
    }
}

fn tcp_address(rest: &str) -> String {
    let rest = rest.trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (rest, ""),
    };
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    let port = if port.is_empty() { "2375" } else { port };
    format!("{host}:{port}")
}

/// A daemon's address, and how it is spoken to there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The address.
    pub(crate) host: Host,
    /// TLS, for TCP.
    pub(crate) tls: Option<Material>,
}

/// What the user said about where the daemon is.
#[derive(Debug, Default, Clone)]
pub(crate) struct Choice {
    /// `-H`.
    pub(crate) host: Option<String>,
    /// `-c`.
    pub(crate) context: Option<String>,
    /// `--config`.
    pub(crate) config_dir: PathBuf,
    /// `--tls…`.
    pub(crate) tls: GivenTls,
    /// `--debug`: say where the daemon is looked for.
    pub(crate) tells: bool,
}

/// A variable of the environment that says something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The address that the environment names: `BERTH_HOST`, `DOCKER_HOST`.
pub(crate) fn by_environment() -> Option<String> {
    variable("BERTH_HOST").or_else(|| variable("DOCKER_HOST"))
}

impl Choice {
    /// The name of the context in use: `-c`; `default` with `-H` or an address in the environment; else
    /// `DOCKER_CONTEXT`, the configured one, `default`.
    pub(crate) fn context_name(&self) -> String {
        let default = || "default".to_owned();
        if let Some(name) = self.context.clone().filter(|name| !name.is_empty()) {
            return name;
        }
        if self.host.is_some() || by_environment().is_some() {
            return default();
        }
        let configured = || super::config::text(&self.config_dir, "currentContext");
        variable("DOCKER_CONTEXT").or_else(configured).unwrap_or_else(default)
    }

    /// Settles on one address: `-H`, `-c`, `BERTH_HOST`, `DOCKER_HOST`, `DOCKER_CONTEXT`, the configured context, the
    /// default socket. A context brings its own TLS; flags and environment say it for all others.
    pub(crate) fn resolve(&self) -> Result<Endpoint> {
        if self.host.is_some() && self.context.is_some() {
            return Err(Error::said("conflicting options: cannot specify both --host and --context"));
        }
        match self.context_name().as_str() {
            "default" => self.resolve_default(),
            name => context_endpoint(&self.config_dir, name),
        }
    }

    /// What the context `default` means: flags and environment.
    pub(crate) fn resolve_default(&self) -> Result<Endpoint> {
        let host = match self.host.clone().or_else(by_environment) {
            Some(text) => Host::parse(&text)?,
            None => Host::Unix(default_socket()),
        };
        let tls = if matches!(host, Host::Tcp(_)) { self.tls.material(&self.config_dir) } else { None };
        Ok(Endpoint { host, tls })
    }
}

/// The address of a stored context.
fn context_endpoint(config_dir: &Path, name: &str) -> Result<Endpoint> {
    let stored = Store::new(config_dir).get(name).map_err(|error| {
        Error::said(format!("Failed to initialize: unable to resolve docker endpoint: {error}"))
    })?;
    let Some((text, skip)) = stored.docker() else {
        return Err(Error::said(format!(
            "Failed to initialize: unable to resolve docker endpoint: context \"{name}\": no docker endpoint"
        )));
    };
    let host = Host::parse(text)?;
    let file = |name: &str| Some(stored.tls_dir.join("docker").join(name)).filter(|path| path.exists());
    let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    let wanted = skip || ca.is_some() || cert.is_some() || key.is_some();
    let tls = (wanted && matches!(host, Host::Tcp(_))).then_some(Material { ca, cert, key, verify: !skip });
    Ok(Endpoint { host, tls })
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;

    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(Host::parse("unix:///a/b").unwrap(), Host::Unix("/a/b".into()));
        assert_eq!(Host::parse("tcp://h").unwrap().to_string(), "tcp://h:2375");
        assert_eq!(Host::parse("h:1").unwrap().to_string(), "tcp://h:1");
        assert!(
            Host::parse("foo://").unwrap_err().to_string().contains("invalid bind address format: foo://")
        );
        assert_eq!(Host::parse("ssh://u@h").unwrap().to_string(), "ssh://u@h");
    }

    #[test]
    fn contexts_are_found_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let id = hex::encode(sha2::Sha256::digest("far"));
        let meta = dir.path().join("contexts/meta").join(&id);
        std::fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"far","Endpoints":{"docker":{"Host":"tcp://far:1","SkipTLSVerify":false}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        let choice =
            Choice { context: Some("far".into()), config_dir: dir.path().into(), ..Choice::default() };
        let endpoint = choice.resolve().unwrap();
        assert_eq!((endpoint.host.to_string().as_str(), endpoint.tls), ("tcp://far:1", None));
        let tls = dir.path().join("contexts/tls").join(&id).join("docker");
        std::fs::create_dir_all(&tls).unwrap();
        std::fs::write(tls.join("ca.pem"), "").unwrap();
        let material = Material { ca: Some(tls.join("ca.pem")), cert: None, key: None, verify: true };
        assert_eq!(choice.resolve().unwrap().tls, Some(material));
        let choice = Choice { context: Some("near".into()), ..choice };
        assert!(choice.resolve().unwrap_err().to_string().contains("context not found"));
    }

    #[test]
    fn flags_ask_for_tls_over_tcp_alone() {
        let dir = tempfile::tempdir().unwrap();
        let tls = GivenTls { verify: Some(true), ..GivenTls::default() };
        let choice = Choice {
            host: Some("tcp://far:1".into()),
            config_dir: dir.path().into(),
            tls: tls.clone(),
            ..Choice::default()
        };
        let material = choice.resolve().unwrap().tls.unwrap();
        assert_eq!(material.ca, Some(dir.path().join("ca.pem")));
        assert_eq!((material.cert, material.verify), (None, true));
        let choice = Choice { host: Some("unix:///x".into()), ..choice };
        assert_eq!(choice.resolve().unwrap().tls, None);
        let unverified = GivenTls { tls: Some(true), ..GivenTls::default() };
        let choice = Choice { host: Some("tcp://far:1".into()), tls: unverified, ..choice };
        let material = choice.resolve().unwrap().tls.unwrap();
        assert_eq!((material.ca, material.verify), (None, false));
    }
}
