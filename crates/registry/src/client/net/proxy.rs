//! Which proxy leads to a place, as Go's programs read it from the environment (`golang.org/x/net/http/httpproxy`).

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use ipnet::IpNet;

use crate::client::error::{Error, Result};
use crate::client::url::{Origin, Scheme, parse_authority};

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// HTTP, in clear.
    Http,
    /// HTTP, over TLS.
    Https,
    /// SOCKS version 5 (RFC 1928); the proxy looks names up.
    Socks,
}

/// One proxy.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) origin: Origin,
    pub(crate) user: Option<(String, String)>,
}

/// Without the password.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Https => "https",
            Kind::Socks => "socks5",
        };
        write!(f, "{scheme}://{}", self.origin.address())
    }
}

impl Proxy {
    /// Reads `[scheme://][user:password@]host[:port]`; the scheme is `http`, `https`, `socks5` or `socks5h`.
    ///
    /// # Errors
    /// Without the password.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |reason: &dyn fmt::Display| Error::config("proxy", reason);
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (kind, port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Kind::Http, 80),
            "https" => (Kind::Https, 443),
            "socks5" | "socks5h" => (Kind::Socks, 1080),
            _ => return Err(bad(&format!("unknown scheme {scheme:?}"))),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        let with_port = authority.rsplit_once(':').is_some_and(|(_, end)| !end.contains(']'));
        let authority = if with_port { authority.to_owned() } else { format!("{authority}:{port}") };
        let scheme = if kind == Kind::Https { Scheme::Https } else { Scheme::Http };
        let origin = parse_authority(scheme, &authority).map_err(|error| bad(&error))?;
        let user = user.map(|user| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            let decode = |text| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
            (decode(name), decode(password))
        });
        Ok(Self { kind, origin, user })
    }

    /// The value of `Proxy-Authorization`.
    pub(crate) fn authorization(&self) -> Option<String> {
        let (name, password) = self.user.as_ref()?;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
        Some(format!("Basic {pair}"))
    }
}

/// The proxies of `HTTP_PROXY` and `HTTPS_PROXY`, and what `NO_PROXY` keeps from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    direct: Vec<Direct>,
}

/// A word of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Direct {
    All,
    Net(IpNet),
    Address(IpAddr, Option<u16>),
    /// With everything below it when the first is set, and itself when the second is.
    Name(String, Option<u16>, bool),
}

impl Proxies {
    /// What the environment says: `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, or the same in lower case.
    ///
    /// # Errors
    /// One of them is no proxy.
    pub fn from_environment() -> Result<Self> {
        Self::from_values(|name| std::env::var(name).ok())
    }

    /// The same from anywhere: `get` knows the variables.
    ///
    /// # Errors
    /// One of them is no proxy.
    pub fn from_values(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let either = |name: &str| {
            let set = |name: &str| get(name).filter(|value| !value.is_empty());
            set(name).or_else(|| set(&name.to_ascii_lowercase()))
        };
        let proxy = |name: &str| {
            let named = |error| match error {
                Error::Config { reason, .. } => Error::config(name, reason),
                other => other,
            };
            either(name).map(|value| Proxy::parse(value.trim()).map_err(named)).transpose()
        };
        let direct = either("NO_PROXY").unwrap_or_default();
        let direct = direct.split(',').filter_map(Direct::parse).collect();
        Ok(Self { http: proxy("HTTP_PROXY")?, https: proxy("HTTPS_PROXY")?, direct })
    }

    /// The proxy that leads to a place; `None`: straight there. Nothing on this machine is reached by a proxy.
    pub(crate) fn to(&self, origin: &Origin) -> Option<&Proxy> {
        let proxy = match origin.scheme {
            Scheme::Http => self.http.as_ref(),
            Scheme::Https => self.https.as_ref(),
        }?;
        let host = origin.host.trim_end_matches('.');
        let address = host.parse::<IpAddr>().ok();
        if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return None;
        }
        let direct = self.direct.iter().any(|rule| rule.covers(host, address, origin.port));
        (!direct).then_some(proxy)
    }
}

impl Direct {
    fn parse(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase();
        match word.as_str() {
            "" => return None,
            "*" => return Some(Self::All),
            _ => {}
        }
        if let Ok(net) = word.parse::<IpNet>() {
            return Some(Self::Net(net));
        }
        let bare = word.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Some(Self::Address(address, None));
        }
        let (host, port) = match word.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse::<u16>().ok()?)),
            None => (word.as_str(), None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Self::Address(address, port));
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        match host.strip_prefix('.') {
            Some("") => None,
            Some(below) => Some(Self::Name(below.into(), port, false)),
            None if host.is_empty() => None,
            None => Some(Self::Name(host.into(), port, true)),
        }
    }

    fn covers(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        let fits = |wanted: &Option<u16>| wanted.is_none_or(|wanted| wanted == port);
        match self {
            Self::All => true,
            Self::Net(net) => address.is_some_and(|address| net.contains(&address)),
            Self::Address(one, wanted) => address == Some(*one) && fits(wanted),
            Self::Name(name, wanted, itself) => {
                let below = || host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'));
                fits(wanted) && ((*itself && host == name) || below())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::url::Url;

    fn environment(pairs: &'static [(&str, &str)]) -> Proxies {
        Proxies::from_values(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
        .unwrap()
    }

    fn proxy_to(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.to(Url::parse(url).unwrap().origin()).map(ToString::to_string)
    }

    #[test]
    fn go_reads_it_so() {
        let proxies = environment(&[
            ("HTTP_PROXY", "proxy:3128"),
            ("https_proxy", "socks5://u%40x:p@[::1]"),
            (
                "NO_PROXY",
                "a.example, .b.example ,*.c.example,10.0.0.0/8,192.168.1.1,d.example:8080,[fd00::1]:5000",
            ),
        ]);
        assert_eq!(proxy_to(&proxies, "http://x/").as_deref(), Some("http://proxy:3128"));
        assert_eq!(proxy_to(&proxies, "https://x/").as_deref(), Some("socks5://[::1]:1080"));
        for direct in [
            "http://a.example/",
            "http://x.a.example/",
            "http://y.b.example/",
            "http://y.c.example/",
            "http://10.1.2.3/",
            "http://192.168.1.1:99/",
            "http://d.example:8080/",
            "http://[fd00::1]:5000/",
            "http://localhost:5000/",
            "https://127.0.0.5/",
            "http://[::1]/",
        ] {
            assert_eq!(proxy_to(&proxies, direct), None, "{direct}");
        }
        for through in [
            "http://xa.example/",
            "http://b.example/",
            "http://c.example/",
            "http://11.1.2.3/",
            "http://d.example/",
            "http://[fd00::1]/",
        ] {
            assert!(proxy_to(&proxies, through).is_some(), "{through}");
        }
        assert_eq!(proxies.https.as_ref().unwrap().user, Some(("u@x".into(), "p".into())));
        assert!(!format!("{proxies:?}").contains("u@x"));
    }

    #[test]
    fn all_may_go_straight_and_nonsense_is_named() {
        let proxies = environment(&[("HTTP_PROXY", "http://proxy"), ("no_proxy", "*")]);
        assert_eq!(proxy_to(&proxies, "http://x/"), None);
        assert_eq!(environment(&[]), Proxies::default());
        let bad = Proxies::from_values(|name| (name == "HTTPS_PROXY").then(|| "ftp://u:secret@x".into()));
        let text = bad.unwrap_err().to_string();
        assert!(text.contains("HTTPS_PROXY") && text.contains("ftp") && !text.contains("secret"), "{text}");
        let user = Proxy::parse("http://user:pass@p:1").unwrap();
        assert_eq!(user.authorization().as_deref(), Some("Basic dXNlcjpwYXNz"));
    }
}
