//! How registries are reached: what the daemon is told of them.

use std::path::PathBuf;
use std::time::Duration;

use registry::client::{InsecureRegistries, Mirror, Proxies};

use crate::error::{Error, Result};

/// Layers that one pull fetches at a time, when nobody says (`--max-concurrent-downloads`).
const DOWNLOADS: usize = 3;
/// Layers that one push sends at a time, when nobody says (`--max-concurrent-uploads`).
const UPLOADS: usize = 5;
/// Attempts at each layer, when nobody says (`--max-download-attempts`).
const ATTEMPTS: u32 = 5;

/// Everything that concerns registries; all of it may change while the engine runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryConfig {
    /// `--registry-mirror`: asked before Docker Hub, in order.
    pub mirrors: Vec<String>,
    /// `--insecure-registry`: hosts, hosts with ports and networks (CIDR).
    pub insecure: Vec<String>,
    /// `--allow-nondistributable-artifacts`: hosts that foreign layers are pushed to; hosts and networks.
    pub nondistributable: Vec<String>,
    /// `--max-concurrent-downloads`; 0 = no limit.
    pub max_downloads: usize,
    /// `--max-concurrent-uploads`; 0 = no limit.
    pub max_uploads: usize,
    /// `--max-download-attempts`.
    pub max_attempts: u32,
    /// `--http-proxy`; empty = the environment's.
    pub http_proxy: String,
    /// `--https-proxy`; empty = the environment's.
    pub https_proxy: String,
    /// `--no-proxy`; empty = the environment's.
    pub no_proxy: String,
    /// Directories of `hosts.toml`, certificates and keys by registry; the first that knows a registry counts.
    pub certificates: Vec<PathBuf>,
    /// How long a registry may be silent, or send next to nothing; none = the client's own limits.
    pub patience: Option<Duration>,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            mirrors: Vec::new(),
            insecure: Vec::new(),
            nondistributable: Vec::new(),
            max_downloads: DOWNLOADS,
            max_uploads: UPLOADS,
            max_attempts: ATTEMPTS,
            http_proxy: String::new(),
            https_proxy: String::new(),
            no_proxy: String::new(),
            certificates: ["/etc/berth/certs.d", "/etc/docker/certs.d"].map(PathBuf::from).to_vec(),
            patience: None,
        }
    }
}

impl RegistryConfig {
    /// What the client is made of.
    ///
    /// # Errors
    /// A mirror, a registry or a proxy is malformed.
    pub(super) fn client(&self) -> Result<registry::client::Config> {
        let failed = |error: registry::client::Error| super::failed(error, super::Doing::Opening);
        let mirrors = self.mirrors.iter().map(|text| Mirror::parse(text));
        let mut config = registry::client::Config {
            mirrors: mirrors.collect::<Result<_, _>>().map_err(failed)?,
            insecure: InsecureRegistries::parse(self.insecure.iter().map(String::as_str)).map_err(failed)?,
            certs_d: self.certificates.clone(),
            proxies: self.proxies()?,
            ..registry::client::Config::default()
        };
        config.retry.attempts = self.max_attempts;
        if let Some(patience) = self.patience {
            (config.time.head, config.time.stall) = (patience, patience);
        }
        Ok(config)
    }

    /// Whether everything can be understood.
    ///
    /// # Errors
    /// Names what can't.
    pub fn check(&self) -> Result<()> {
        InsecureRegistries::parse(self.nondistributable.iter().map(String::as_str))
            .map_err(|error| super::failed(error, super::Doing::Opening))?;
        self.client().map(drop)
    }
}

/// The variables that an option stands for, in Go's order.
const PROXY_VARIABLES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

impl RegistryConfig {
    /// An option, else the environment.
    fn proxy_value(&self, name: &str) -> Option<String> {
        let [http, https, no] = PROXY_VARIABLES;
        let option = match name {
            _ if name == http => &self.http_proxy,
            _ if name == https => &self.https_proxy,
            _ if name == no => &self.no_proxy,
            _ => "",
        };
        match option.is_empty() {
            // one that is empty says nothing: the other spelling may
            true => std::env::var(name).ok().filter(|value| !value.is_empty()),
            false => Some(option.to_owned()),
        }
    }

    fn proxies(&self) -> Result<Proxies> {
        Proxies::from_values(|name| self.proxy_value(name))
            .map_err(|error| Error::bad_parameter(format!("invalid proxy: {error}")))
    }

    /// With the proxies that are in effect, and without their passwords.
    pub(super) fn shown(&self) -> Self {
        let value = |name: &str| {
            let either = self.proxy_value(name).or_else(|| self.proxy_value(&name.to_ascii_lowercase()));
            masked(&either.unwrap_or_default())
        };
        let [http_proxy, https_proxy, no_proxy] = PROXY_VARIABLES.map(value);
        Self { http_proxy, https_proxy, no_proxy, ..self.clone() }
    }

    /// Whether foreign layers are pushed to a registry.
    pub(crate) fn takes_foreign(&self, domain: &str) -> bool {
        let host = domain.rsplit_once(':').map_or(domain, |(host, _)| host).trim_matches(['[', ']']);
        let address = host.parse::<std::net::IpAddr>().ok();
        self.nondistributable.iter().any(|one| {
            let within = |net: ipnet::IpNet| address.is_some_and(|address| net.contains(&address));
            one == domain || one == host || one.parse().is_ok_and(within)
        })
    }
}

/// `http://user:password@proxy` as `http://xxxxx:xxxxx@proxy`, as Docker shows it.
fn masked(proxy: &str) -> String {
    match proxy.split_once("://").map(|(scheme, rest)| (scheme, rest.rsplit_once('@'))) {
        Some((scheme, Some((_, place)))) => format!("{scheme}://xxxxx:xxxxx@{place}"),
        _ => proxy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |change: fn(&mut RegistryConfig)| {
            let mut config = RegistryConfig::default();
            change(&mut config);
            config.check().err().map(|error| error.to_string())
        };
        assert_eq!(refused(|_| {}), None);
        assert!(refused(|c| c.mirrors = vec!["ftp://m".into()]).unwrap().contains("ftp://m"));
        assert!(refused(|c| c.insecure = vec!["a b".into()]).unwrap().contains("a b"));
        assert!(refused(|c| c.nondistributable = vec!["a b".into()]).unwrap().contains("a b"));
        assert!(refused(|c| c.http_proxy = "x://y".into()).is_some());
    }

    #[test]
    fn passwords_of_proxies_are_not_shown() {
        assert_eq!(masked("http://u:p@h:1"), "http://xxxxx:xxxxx@h:1");
        assert_eq!(masked("http://h:1"), "http://h:1");
    }

    #[test]
    fn registries_that_take_foreign_layers() {
        let nondistributable = vec!["r.example".into(), "10.0.0.0/8".into(), "s.example:5000".into()];
        let config = RegistryConfig { nondistributable, ..RegistryConfig::default() };
        for (domain, taken) in [
            ("r.example:5000", true),
            ("10.1.1.1:5000", true),
            ("s.example:5000", true),
            ("s.example", false),
        ] {
            assert_eq!(config.takes_foreign(domain), taken, "{domain}");
        }
    }
}
