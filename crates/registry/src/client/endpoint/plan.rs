//! From a registry's name to the endpoints that are asked, in order.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::header::HeaderMap;

use super::{Capabilities, Endpoint, InsecureRegistries, Mirror, certs};
use crate::client::error::{Error, Result};
use crate::client::net::{Authorities, Tls, TlsFiles};
use crate::client::url::{Origin, Scheme, Url, parse_authority};

/// Where Docker Hub's API is.
const HUB: &str = "registry-1.docker.io";
/// TLS settings that are remembered.
const MAX_TLS: usize = 256;

/// Knows the configuration, and what insecure registries were last heard to speak.
pub(crate) struct Planner {
    mirrors: Vec<Mirror>,
    insecure: InsecureRegistries,
    certs_d: Vec<PathBuf>,
    spoken: Mutex<HashMap<String, Scheme>>,
    tls: Mutex<HashMap<TlsKey, Arc<Tls>>>,
}

/// The files by name, and which content of theirs was read.
type TlsKey = (TlsFiles, Vec<(u64, u64, i64, i64)>);

impl Planner {
    pub(crate) fn new(mirrors: Vec<Mirror>, insecure: InsecureRegistries, certs_d: Vec<PathBuf>) -> Self {
        Self { mirrors, insecure, certs_d, spoken: Mutex::default(), tls: Mutex::default() }
    }

    /// Whom to ask for `domain` (`docker.io`, `localhost:5000`), in order; files are read anew.
    pub(crate) async fn endpoints(&self, domain: &str, authorities: &Authorities) -> Result<Vec<Endpoint>> {
        let mut all = Vec::new();
        let hub = domain == oci::DEFAULT_DOMAIN;
        if hub {
            for Mirror(url) in &self.mirrors {
                all.extend(self.mirror(url, authorities).await?);
            }
        }
        let host = if hub { HUB } else { domain };
        let origin = parse_authority(Scheme::Https, host).map_err(|error| Error::config(domain, error))?;
        let insecure = self.insecure.covers(domain, &origin.host).await;
        let tls = self.tls(self.files(domain, insecure)?, authorities)?;
        let endpoint = |origin: Origin| Endpoint {
            base: Url::root(origin).with_path("/v2"),
            tls: Arc::clone(&tls),
            headers: HeaderMap::new(),
            capabilities: Capabilities::ALL,
            mirror: false,
            namespace: None,
            insecure,
        };
        let in_clear = || parse_authority(Scheme::Http, host).map_err(|error| Error::config(domain, error));
        match (insecure, self.spoken(domain)) {
            (false, _) | (true, Some(Scheme::Https)) => all.push(endpoint(origin)),
            (true, None) => all.extend([endpoint(origin), endpoint(in_clear()?)]),
            (true, Some(Scheme::Http)) => all.extend([endpoint(in_clear()?), endpoint(origin)]),
        }
        Ok(all)
    }

    async fn mirror(&self, url: &Url, authorities: &Authorities) -> Result<Option<Endpoint>> {
        let authority = url.origin().authority();
        let insecure = self.insecure.covers(&authority, &url.origin().host).await;
        Ok(Some(Endpoint {
            base: url.with_path("/v2"),
            tls: self.tls(self.files(&authority, insecure)?, authorities)?,
            headers: HeaderMap::new(),
            capabilities: Capabilities::READ,
            mirror: true,
            namespace: None,
            insecure,
        }))
    }

    /// An insecure registry has answered: the next request goes the same way first.
    pub(crate) fn heard(&self, domain: &str, endpoint: &Endpoint) {
        if endpoint.insecure && !endpoint.mirror {
            self.lock_spoken().insert(domain.into(), endpoint.origin().scheme);
        }
    }

    fn spoken(&self, domain: &str) -> Option<Scheme> {
        self.lock_spoken().get(domain).copied()
    }

    fn lock_spoken(&self) -> std::sync::MutexGuard<'_, HashMap<String, Scheme>> {
        self.spoken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self, authority: &str, insecure: bool) -> Result<TlsFiles> {
        // a name that could lead out of the directory is no registry's
        let is_plain = !authority.is_empty() && !authority.starts_with('.') && !authority.contains('/');
        let directory = self.certs_d.iter().map(|root| root.join(authority)).find(|path| path.is_dir());
        let mut files = match directory.filter(|_| is_plain) {
            Some(directory) => certs::read(&directory)?,
            None => TlsFiles::default(),
        };
        files.skip_verify = insecure;
        Ok(files)
    }

    /// The same settings for the same files, so that connections are shared between requests.
    fn tls(&self, files: TlsFiles, authorities: &Authorities) -> Result<Arc<Tls>> {
        let paths = files.authorities.iter();
        let paths = paths.chain(files.clients.iter().flat_map(|client| [&client.certificate, &client.key]));
        let mut stamps = Vec::new();
        for path in paths {
            let meta = std::fs::metadata(path).map_err(|error| Error::config(path.display(), error))?;
            stamps.push((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()));
        }
        let key = (files, stamps);
        let lock = || self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&key) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(Tls::new(&key.0, authorities)?);
        let mut all = lock();
        if all.len() >= MAX_TLS {
            all.clear();
        }
        all.insert(key, Arc::clone(&made));
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn plan(planner: &Planner, domain: &str) -> Vec<String> {
        let endpoints = planner.endpoints(domain, &Authorities::new(None)).await.unwrap();
        endpoints
            .iter()
            .map(|endpoint| {
                let kind = if endpoint.mirror { "mirror" } else { "itself" };
                format!("{kind} {}", endpoint.url("/a/tags/list").full())
            })
            .collect()
    }

    #[tokio::test]
    async fn the_hub_has_mirrors_and_another_name() {
        let mirrors = vec![Mirror::parse("https://m.example").unwrap()];
        let planner = Planner::new(mirrors, InsecureRegistries::default(), Vec::new());
        assert_eq!(
            plan(&planner, "docker.io").await,
            ["mirror https://m.example/v2/a/tags/list", "itself https://registry-1.docker.io/v2/a/tags/list"]
        );
        assert_eq!(plan(&planner, "quay.io").await, ["itself https://quay.io/v2/a/tags/list"]);
    }

    #[tokio::test]
    async fn insecure_registries_are_tried_both_ways_until_one_is_heard() {
        let planner = Planner::new(Vec::new(), InsecureRegistries::default(), Vec::new());
        let both =
            ["itself https://localhost:5000/v2/a/tags/list", "itself http://localhost:5000/v2/a/tags/list"];
        assert_eq!(plan(&planner, "localhost:5000").await, both);
        let endpoints = planner.endpoints("localhost:5000", &Authorities::new(None)).await.unwrap();
        planner.heard("localhost:5000", &endpoints[1]);
        assert_eq!(plan(&planner, "localhost:5000").await, [both[1], both[0]]);
        planner.heard("localhost:5000", &endpoints[0]);
        assert_eq!(plan(&planner, "localhost:5000").await, [both[0]]);
        // ports that a scheme implies
        assert_eq!(plan(&planner, "127.0.0.1").await[1], "itself http://127.0.0.1/v2/a/tags/list");
    }
}
