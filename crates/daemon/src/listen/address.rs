//! `-H`: addresses.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, bail};

/// Port of TCP without TLS, as IANA has it for Docker.
const PORT: u16 = 2375;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `unix://PATH`
    Unix(PathBuf),
    /// `tcp://HOST:PORT`
    Tcp(String),
    /// `fd://`: all sockets that systemd passes.
    Systemd,
}

impl Address {
    /// Reads an address; one without a scheme is TCP.
    ///
    /// # Errors
    /// Names the address.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
        match (scheme, rest) {
            ("unix", "") => bail!("invalid host address {text:?}: a path must follow"),
            ("unix", path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            ("unix", _) => bail!("invalid host address {text:?}: the path must be absolute"),
            ("fd", "" | "*") => Ok(Self::Systemd),
            ("fd", _) => {
                bail!("invalid host address {text:?}: single descriptors can't be chosen, use fd://")
            }
            ("tcp", host) => {
                tcp(host).map_or_else(|| bail!("invalid host address {text:?}"), |host| Ok(Self::Tcp(host)))
            }
            _ => bail!("invalid host address {text:?}: must begin with unix://, tcp:// or fd://"),
        }
    }
}

/// Fills in what is left out: all addresses are meant only when they are written.
fn tcp(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse::<u16>().ok()?),
        _ => (text, PORT),
    };
    if host.contains('/') || text.is_empty() && port != PORT {
        return None;
    }
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    Some(format!("{host}:{port}"))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(host) => write!(f, "tcp://{host}"),
            Self::Systemd => f.write_str("fd://"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parsed =
            |text| Address::parse(text).map(|address| address.to_string()).map_err(|error| error.to_string());
        assert_eq!(parsed("unix:///a/b"), Ok("unix:///a/b".into()));
        assert_eq!(parsed("tcp://0.0.0.0:99"), Ok("tcp://0.0.0.0:99".into()));
        assert_eq!(parsed("tcp://:99"), Ok("tcp://127.0.0.1:99".into()));
        assert_eq!(parsed("localhost"), Ok("tcp://localhost:2375".into()));
        assert_eq!(parsed("tcp://[::1]:99"), Ok("tcp://[::1]:99".into()));
        assert_eq!(parsed("tcp://[::1]"), Ok("tcp://[::1]:2375".into()));
        assert_eq!(parsed("fd://"), Ok("fd://".into()));
        for wrong in ["unix://", "unix://a", "npipe:////x", "tcp://a:b", "tcp://a:1/x", "fd://3"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
