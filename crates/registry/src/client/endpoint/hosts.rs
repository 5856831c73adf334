//! containerd's `hosts.toml`: which hosts are asked for a registry's content, in order, and the registry's own server
//! at last.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::Capabilities;
use crate::client::error::{Error, Result};
use crate::client::net::{ClientCertificate, TlsFiles};
use crate::client::url::{Scheme, Url};

/// The file's name in the directory of a registry.
pub(super) const FILE: &str = "hosts.toml";
/// Hosts that one file may name.
const MAX_HOSTS: usize = 64;

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// Asked in this order.
    pub(super) hosts: Vec<Host>,
    /// The registry's own server; without a URL it is where the registry's name leads.
    pub(super) server: Host,
}

/// A host, or the server.
#[derive(Debug, Default)]
pub(super) struct Host {
    /// Where its API begins.
    pub(super) base: Option<Url>,
    pub(super) capabilities: Capabilities,
    pub(super) tls: TlsFiles,
    pub(super) headers: HeaderMap,
    /// How long it may take to answer a connection.
    pub(super) dial: Option<Duration>,
    /// Whether the file says something about TLS: a host in clear is then tried over TLS first.
    pub(super) explicit_tls: bool,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    server: Option<String>,
    #[serde(default)]
    host: Ordered,
    capabilities: Option<Vec<String>>,
    ca: Option<OneOrMany>,
    client: Option<Clients>,
    skip_verify: Option<bool>,
    #[serde(default)]
    header: Headers,
    #[serde(default)]
    override_path: bool,
    dial_timeout: Option<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    capabilities: Option<Vec<String>>,
    ca: Option<OneOrMany>,
    client: Option<Clients>,
    skip_verify: Option<bool>,
    #[serde(default)]
    header: Headers,
    #[serde(default)]
    override_path: bool,
    dial_timeout: Option<String>,
}

type Headers = std::collections::BTreeMap<String, OneOrMany>;

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Clients {
    One(String),
    Many(Vec<Client>),
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Client {
    Both(String),
    Pair([String; 2]),
}

/// A table in the order of the file.
#[derive(Default)]
struct Ordered(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Ordered;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of hosts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut all = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    all.push(pair);
                }
                Ok(Ordered(all))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// Reads the text of the file in `directory`, which relative paths begin at.
///
/// # Errors
/// Names the file and what is wrong in it: a registry whose configuration cannot be read is not asked.
pub(super) fn parse(text: &str, directory: &Path) -> Result<Hosts> {
    let what = directory.join(FILE);
    let bad = |reason: String| Error::config(what.display(), reason);
    let file: File =
        toml::from_str(text).map_err(|error| bad(error.to_string().trim().replace('\n', " ")))?;
    if file.host.0.len() > MAX_HOSTS {
        return Err(bad(format!("names more than {MAX_HOSTS} hosts")));
    }
    let mut hosts = Vec::new();
    for (url, entry) in file.host.0 {
        hosts.push(
            entry.host(Some(&url), directory).map_err(|reason| bad(format!("host {url:?}: {reason}")))?,
        );
    }
    let own = Entry {
        capabilities: file.capabilities,
        ca: file.ca,
        client: file.client,
        skip_verify: file.skip_verify,
        header: file.header,
        override_path: file.override_path,
        dial_timeout: file.dial_timeout,
    };
    let server =
        own.host(file.server.as_deref(), directory).map_err(|reason| bad(format!("server: {reason}")))?;
    Ok(Hosts { hosts, server })
}

impl Entry {
    fn host(self, url: Option<&str>, directory: &Path) -> Result<Host, String> {
        let base = url.map(|url| base(url, self.override_path)).transpose()?;
        let explicit_tls = self.ca.is_some() || self.client.is_some() || self.skip_verify.is_some();
        let file = |name: String| directory.join(name);
        let clients = match self.client {
            None => Vec::new(),
            Some(Clients::One(both)) => vec![Client::Both(both)],
            Some(Clients::Many(clients)) => clients,
        };
        let tls = TlsFiles {
            authorities: self.ca.map(OneOrMany::into_vec).unwrap_or_default().into_iter().map(file).collect(),
            clients: clients.into_iter().map(|client| certificate(client, file)).collect(),
            skip_verify: self.skip_verify.unwrap_or_default(),
        };
        Ok(Host {
            base,
            capabilities: self.capabilities.map_or(Ok(Capabilities::ALL), |names| capabilities(&names))?,
            tls,
            headers: headers(self.header)?,
            dial: self.dial_timeout.map(|text| duration(&text)).transpose()?,
            explicit_tls,
        })
    }
}

fn certificate(client: Client, file: impl Fn(String) -> PathBuf) -> ClientCertificate {
    match client {
        Client::Both(both) => ClientCertificate { certificate: file(both.clone()), key: file(both) },
        Client::Pair([certificate, key]) => {
            ClientCertificate { certificate: file(certificate), key: file(key) }
        }
    }
}

/// `/v2` is added where it is missing, unless the path is said to be right.
fn base(text: &str, override_path: bool) -> Result<Url, String> {
    let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&text).map_err(|error| error.to_string())?;
    if url.query().is_some() {
        return Err("has a query".into());
    }
    let path = url.path().trim_end_matches('/');
    let whole = if override_path || path.ends_with("/v2") { path.to_owned() } else { format!("{path}/v2") };
    Ok(url.with_path(&whole))
}

fn capabilities(names: &[String]) -> Result<Capabilities, String> {
    // an empty list is as good as none
    if names.is_empty() {
        return Ok(Capabilities::ALL);
    }
    let mut all = Capabilities::NONE;
    for name in names {
        match name.to_ascii_lowercase().as_str() {
            "pull" => all.pull = true,
            "resolve" => all.resolve = true,
            "push" => all.push = true,
            "referrers" => all.referrers = true,
            _ => return Err(format!("unknown capability {name:?}")),
        }
    }
    Ok(all)
}

fn headers(given: Headers) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, values) in given {
        let bad = || format!("header {name:?} cannot be sent");
        let key = HeaderName::try_from(&name).map_err(|_not_a_name| bad())?;
        for value in values.into_vec() {
            let mut value = HeaderValue::try_from(value).map_err(|_not_a_value| bad())?;
            value.set_sensitive(true);
            headers.append(key.clone(), value);
        }
    }
    Ok(headers)
}

/// A duration as Go writes it: `1m30s`, `500ms`, `1.5s`.
fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("invalid duration {text:?}");
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..end].parse().map_err(|_not_a_number| bad())?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(bad()),
        };
        rest = &rest[end..];
        total = Duration::try_from_secs_f64(number * unit)
            .ok()
            .and_then(|part| total.checked_add(part))
            .ok_or_else(bad)?;
    }
    if total.is_zero() { Err(bad()) } else { Ok(total) }
}

impl Host {
    /// The URLs to try: a host in clear for which the file has TLS settings is tried over TLS first, as containerd does.
    pub(super) fn bases(&self) -> Vec<Url> {
        let Some(base) = &self.base else { return Vec::new() };
        let ambiguous = base.origin().scheme == Scheme::Http && self.explicit_tls && base.origin().port != 80;
        if ambiguous { vec![base.over_tls(), base.clone()] } else { vec![base.clone()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Hosts {
        parse(text, Path::new("/d")).unwrap()
    }

    #[test]
    fn hosts_in_the_order_of_the_file() {
        let all = read(
            r#"
            server = "https://registry-1.docker.io"
            [host."https://z.example"]
            capabilities = ["pull", "Resolve"]
            [host."http://a.example:5000/v2/"]
            dial_timeout = "1m1.5s"
            [host."m.example/proxy/hub"]
            [host."https://o.example/api"]
            override_path = true
            "#,
        );
        let urls: Vec<String> = all.hosts.iter().flat_map(Host::bases).map(|base| base.full()).collect();
        assert_eq!(
            urls,
            [
                "https://z.example/v2",
                "http://a.example:5000/v2",
                "https://m.example/proxy/hub/v2",
                "https://o.example/api"
            ]
        );
        assert_eq!(
            all.hosts[0].capabilities,
            Capabilities { pull: true, resolve: true, ..Capabilities::NONE }
        );
        assert_eq!(all.hosts[1].capabilities, Capabilities::ALL);
        assert_eq!(all.hosts[1].dial, Some(Duration::from_millis(61_500)));
        assert_eq!(all.server.bases()[0].full(), "https://registry-1.docker.io/v2");
    }

    #[test]
    fn files_headers_and_tls() {
        let all = read(
            r#"
            ca = "ca.pem"
            client = [["c.pem", "/k.pem"], "both.pem"]
            [host."http://m.example:81"]
            ca = ["/a.pem", "b.pem"]
            client = "both.pem"
            skip_verify = true
            [host."http://m.example:81".header]
            Authorization = "Basic x"
            x-a = ["1", "2"]
            "#,
        );
        let host = &all.hosts[0];
        let urls: Vec<String> = host.bases().iter().map(Url::full).collect();
        assert_eq!(urls, ["https://m.example:81/v2", "http://m.example:81/v2"]);
        assert_eq!(host.tls.authorities, [Path::new("/a.pem"), Path::new("/d/b.pem")]);
        assert!(host.tls.skip_verify);
        assert_eq!(host.headers["authorization"], "Basic x");
        assert_eq!(host.headers.get_all("x-a").iter().count(), 2);
        assert!(!format!("{:?}", host.headers).contains("Basic"));
        let pair = |certificate: &str, key: &str| ClientCertificate {
            certificate: certificate.into(),
            key: key.into(),
        };
        assert_eq!(all.server.tls.clients, [pair("/d/c.pem", "/k.pem"), pair("/d/both.pem", "/d/both.pem")]);
        assert!(all.server.base.is_none());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, named) in [
            ("server = 5", "server"),
            ("skip_verfiy = true", "skip_verfiy"),
            ("[host.\"ftp://x\"]", "ftp://x"),
            ("[host.\"https://u:p@x\"]", "user name"),
            ("capabilities = [\"fly\"]", "fly"),
            ("dial_timeout = \"soon\"", "soon"),
            ("[header]\n\"a b\" = \"x\"", "a b"),
        ] {
            let error = parse(text, Path::new("/d")).unwrap_err().to_string();
            assert!(error.contains("/d/hosts.toml") && error.contains(named), "{error}");
        }
        for bad in ["", "1", "s", "1x", "-1s", "1..5s", "0s", "99999999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
