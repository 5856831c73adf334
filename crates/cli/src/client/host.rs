//! Where the daemon is: flag, environment, context, default.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};

/// The socket of a `berthd` with default settings.
pub(crate) const DEFAULT_SOCKET: &str = "/run/berth/berth.sock";

/// An address of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// A unix socket.
    Unix(PathBuf),
    /// Plain TCP, `host:port`.
    Tcp(String),
}

impl Host {
    /// Parses `unix://PATH`, `tcp://HOST:PORT`, `http://HOST:PORT`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Self::parse(&format!("tcp://{text}"));
        };
        match scheme {
            "unix" => Ok(Self::Unix(PathBuf::from(rest))),
            "tcp" | "http" => Ok(Self::Tcp(tcp_address(rest))),
            "ssh" => Err(Error::said(format!(
                "cannot connect to {text}: ssh is not supported yet; forward the socket with 'ssh -L' and use unix://"
            ))),
            _ => Err(Error::said(format!(
                "Failed to initialize: unable to resolve docker endpoint: invalid bind address format: {text}"
            ))),
        }
    }

    /// Whether it is the socket that `berth` may start a daemon for.
    pub(crate) fn is_default(&self) -> bool {
        matches!(self, Self::Unix(path) if path == Path::new(DEFAULT_SOCKET))
    }
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
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

/// What the user said about where the daemon is.
#[derive(Debug, Default, Clone)]
pub(crate) struct Choice {
    /// `-H`.
    pub(crate) host: Option<String>,
    /// `-c`.
    pub(crate) context: Option<String>,
    /// `--config`.
    pub(crate) config_dir: PathBuf,
    /// `--debug`: say where the daemon is looked for.
    pub(crate) tells: bool,
}

impl Choice {
    /// Settles on one address: `-H`, `-c`, `BERTH_HOST`, `DOCKER_HOST`, `DOCKER_CONTEXT`, the
    /// configured context, the default socket.
    pub(crate) fn resolve(&self) -> Result<Host> {
        if let Some(host) = &self.host {
            if self.context.is_some() {
                return Err(Error::said("conflicting options: cannot specify both --host and --context"));
            }
            return Host::parse(host);
        }
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let by_environment = || variable("BERTH_HOST").or_else(|| variable("DOCKER_HOST"));
        if let Some(host) = self.context.is_none().then(by_environment).flatten() {
            return Host::parse(&host);
        }
        let context = self.context.clone().or_else(|| variable("DOCKER_CONTEXT")).or_else(|| {
            let config = super::config::load(&self.config_dir);
            config.get("currentContext").and_then(Value::as_str).map(str::to_owned)
        });
        match context.as_deref() {
            None | Some("" | "default") => Ok(Host::Unix(PathBuf::from(DEFAULT_SOCKET))),
            Some(name) => context_host(&self.config_dir, name),
        }
    }
}

/// The address of a stored context.
fn context_host(config_dir: &Path, name: &str) -> Result<Host> {
    let absent = || {
        Error::said(format!(
            "Failed to initialize: unable to resolve docker endpoint: context \"{name}\": context not found"
        ))
    };
    let entries = std::fs::read_dir(config_dir.join("contexts/meta")).map_err(|_error| absent())?;
    for entry in entries.flatten() {
        let meta = super::config::read_json(&entry.path().join("meta.json"));
        if meta.get("Name").and_then(Value::as_str) == Some(name) {
            let host = meta.pointer("/Endpoints/docker/Host").and_then(Value::as_str).ok_or_else(absent)?;
            return Host::parse(host);
        }
    }
    Err(absent())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(Host::parse("unix:///a/b").unwrap(), Host::Unix("/a/b".into()));
        assert_eq!(Host::parse("tcp://h").unwrap().to_string(), "tcp://h:2375");
        assert_eq!(Host::parse("h:1").unwrap().to_string(), "tcp://h:1");
        assert!(
            Host::parse("foo://").unwrap_err().to_string().contains("invalid bind address format: foo://")
        );
        assert!(Host::parse("ssh://h").unwrap_err().to_string().contains("ssh is not supported yet"));
    }

    #[test]
    fn contexts_are_found_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let meta = dir.path().join("contexts/meta/abc");
        std::fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"far","Endpoints":{"docker":{"Host":"tcp://far:1"}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        let choice =
            Choice { context: Some("far".into()), config_dir: dir.path().into(), ..Choice::default() };
        assert_eq!(choice.resolve().unwrap().to_string(), "tcp://far:1");
        let choice = Choice { context: Some("near".into()), ..choice };
        assert!(choice.resolve().unwrap_err().to_string().contains("context not found"));
    }
}
