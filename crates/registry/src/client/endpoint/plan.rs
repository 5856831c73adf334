//! From a registry's name to the endpoints that are asked, in order.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::HeaderMap;

use super::hosts::{self, Host, Hosts};
use super::{Capabilities, Endpoint, InsecureRegistries, Mirror, certs};
use crate::client::error::{Error, Result};
use crate::client::limits::MAX_CONFIG_FILE;
use crate::client::net::{Authorities, Tls, TlsFiles};
use crate::client::url::{Origin, Scheme, Url, parse_authority};

/// Where Docker Hub's API is.
const HUB: &str = "registry-1.docker.io";
/// How long a mirror that could not be reached is left alone.
const DOWN: Duration = Duration::from_secs(30);
/// Where Docker Hub's search is.
const HUB_INDEX: &str = "index.docker.io";
/// TLS settings that are remembered.
const MAX_TLS: usize = 256;

/// Where registries without a directory of their own are configured.
const DEFAULT: &str = "_default";

/// Knows the configuration, and what insecure registries were last heard to speak.
pub(crate) struct Planner {
    mirrors: Vec<Mirror>,
    insecure: InsecureRegistries,
    certs_d: Vec<PathBuf>,
    spoken: Mutex<HashMap<String, Scheme>>,
    /// Mirrors that could not be reached, and when.
    down: Mutex<HashMap<Origin, Instant>>,
    tls: Mutex<HashMap<TlsKey, Arc<Tls>>>,
}

/// The files by name, and which content of theirs was read.
type TlsKey = (TlsFiles, Vec<(u64, u64, i64, i64)>);

impl Planner {
    pub(crate) fn new(mirrors: Vec<Mirror>, insecure: InsecureRegistries, certs_d: Vec<PathBuf>) -> Self {
        Self {
            mirrors,
            insecure,
            certs_d,
            spoken: Mutex::default(),
            down: Mutex::default(),
            tls: Mutex::default(),
        }
    }

    /// Whom to ask for `domain` (`docker.io`, `localhost:5000`), in order; files are read anew.
    pub(crate) async fn endpoints(&self, domain: &str, authorities: &Authorities) -> Result<Vec<Endpoint>> {
        let mut all = Vec::new();
        let directory = self.directory(domain);
        let hosts = directory.as_deref().map(read_hosts).transpose()?.flatten();
        if domain == oci::DEFAULT_DOMAIN {
            for Mirror(url) in &self.mirrors {
                all.push(self.mirror(url, authorities).await?);
            }
        }
        let Some(hosts) = hosts else {
            let files = directory.as_deref().map(certs::read).transpose()?.unwrap_or_default();
            all.extend(self.itself(domain, Host { tls: files, ..Host::default() }, authorities).await?);
            return Ok(all);
        };
        for host in &hosts.hosts {
            all.extend(self.host(domain, host, true, authorities)?);
        }
        match hosts.server.base {
            Some(_) => all.extend(self.host(domain, &hosts.server, false, authorities)?),
            None => all.extend(self.itself(domain, hosts.server, authorities).await?),
        }
        Ok(all)
    }

    /// Where the registry's name leads, by Docker's rules.
    async fn itself(&self, domain: &str, said: Host, authorities: &Authorities) -> Result<Vec<Endpoint>> {
        let bad = |error| Error::config(domain, error);
        let origin = parse_authority(Scheme::Https, host_of(domain)).map_err(bad)?;
        let in_clear = parse_authority(Scheme::Http, host_of(domain)).map_err(bad)?;
        let insecure = self.insecure.covers(domain, &origin.host).await;
        let mut files = said.tls;
        files.skip_verify |= insecure;
        let tls = self.tls(files, authorities)?;
        let endpoint = |origin: Origin| Endpoint {
            base: Url::root(origin).with_path("/v2"),
            tls: Arc::clone(&tls),
            headers: said.headers.clone(),
            capabilities: said.capabilities,
            mirror: false,
            own: true,
            namespace: None,
            insecure,
            probing: false,
            dial: said.dial,
        };
        Ok(match (insecure, self.spoken(domain)) {
            (false, _) | (true, Some(Scheme::Https)) => vec![endpoint(origin)],
            (true, None) => vec![Endpoint { probing: true, ..endpoint(origin) }, endpoint(in_clear)],
            (true, Some(Scheme::Http)) => vec![endpoint(in_clear), endpoint(origin)],
        })
    }

    /// A host of `hosts.toml`; as a mirror, it is told which registry it is asked for.
    fn host(
        &self,
        domain: &str,
        host: &Host,
        mirror: bool,
        authorities: &Authorities,
    ) -> Result<Vec<Endpoint>> {
        let tls = self.tls(host.tls.clone(), authorities)?;
        let endpoint = |base: Url| {
            let named = base.origin().authority() == host_of(domain);
            Endpoint {
                tls: Arc::clone(&tls),
                headers: host.headers.clone(),
                capabilities: host.capabilities,
                mirror,
                own: named || !mirror,
                namespace: (!named).then(|| domain.to_owned()),
                insecure: host.tls.skip_verify,
                probing: false,
                dial: host.dial,
                base,
            }
        };
        Ok(host.bases().into_iter().map(endpoint).collect())
    }

    async fn mirror(&self, url: &Url, authorities: &Authorities) -> Result<Endpoint> {
        let authority = url.origin().authority();
        let insecure = self.insecure.covers(&authority, &url.origin().host).await;
        let directory = self.directory(&authority);
        let mut files = directory.as_deref().map(certs::read).transpose()?.unwrap_or_default();
        files.skip_verify = insecure;
        Ok(Endpoint {
            base: url.with_path("/v2"),
            tls: self.tls(files, authorities)?,
            headers: HeaderMap::new(),
            capabilities: Capabilities::READ,
            mirror: true,
            own: false,
            namespace: None,
            insecure,
            probing: false,
            dial: None,
        })
    }

    /// Where a registry's search is: Docker Hub's has a host of its own, unless a file says where Docker Hub is.
    pub(crate) fn search(&self, domain: &str, endpoint: &Endpoint) -> Endpoint {
        let mut endpoint = endpoint.clone();
        if domain == oci::DEFAULT_DOMAIN && endpoint.origin().host == HUB {
            endpoint.base = Url::root(Origin { host: HUB_INDEX.into(), ..endpoint.origin().clone() });
        }
        endpoint.namespace = None;
        endpoint
    }

    /// An insecure registry has answered: the next request goes the same way first.
    pub(crate) fn heard(&self, domain: &str, endpoint: &Endpoint) {
        if endpoint.insecure && !endpoint.mirror {
            self.lock_spoken().insert(domain.into(), endpoint.origin().scheme);
        }
    }

    /// A mirror cannot be reached: for a while, nobody waits for it.
    pub(crate) fn unreachable(&self, mirror: &Endpoint) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        down.retain(|_, since| since.elapsed() < DOWN);
        down.insert(mirror.origin().clone(), Instant::now());
    }

    /// Is it worth asking?
    pub(crate) fn is_up(&self, endpoint: &Endpoint) -> bool {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        !endpoint.mirror || down.get(endpoint.origin()).is_none_or(|since| since.elapsed() >= DOWN)
    }

    fn spoken(&self, domain: &str) -> Option<Scheme> {
        self.lock_spoken().get(domain).copied()
    }

    fn lock_spoken(&self) -> std::sync::MutexGuard<'_, HashMap<String, Scheme>> {
        self.spoken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What lies in a server's own directory, whatever it serves; nothing if there is none.
    ///
    /// # Errors
    /// As [`certs::read`].
    pub(crate) fn files(&self, authority: &str) -> Result<TlsFiles> {
        let directory = self.own_directory(authority);
        Ok(directory.as_deref().map(certs::read).transpose()?.unwrap_or_default())
    }

    /// The directory with a registry's configuration: its own in the first place that has one, else `_default`.
    fn directory(&self, authority: &str) -> Option<PathBuf> {
        self.own_directory(authority).or_else(|| self.find(DEFAULT))
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        self.certs_d.iter().map(|root| root.join(name)).find(|path| path.is_dir())
    }

    fn own_directory(&self, authority: &str) -> Option<PathBuf> {
        // a name that could lead out of the directory is no registry's
        let is_plain = !authority.is_empty() && !authority.starts_with('.') && !authority.contains('/');
        let own = match authority.rsplit_once(':') {
            Some((host, port)) => vec![format!("{host}_{port}_"), authority.to_owned()],
            None => vec![authority.to_owned()],
        };
        own.iter().filter(|_| is_plain).find_map(|name| self.find(name))
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

/// The host that a registry's name leads to.
fn host_of(domain: &str) -> &str {
    if domain == oci::DEFAULT_DOMAIN { HUB } else { domain }
}

/// What `hosts.toml` says, if there is one with something in it.
fn read_hosts(directory: &Path) -> Result<Option<Hosts>> {
    let path = directory.join(hosts::FILE);
    let text = match sys::file::read_bounded(&path, MAX_CONFIG_FILE) {
        Ok(text) if text.is_empty() => return Ok(None),
        Ok(text) => text,
        Err(error) if certs::is_absent(&error) => return Ok(None),
        Err(error) => return Err(Error::config(path.display(), error)),
    };
    let text = String::from_utf8(text).map_err(|error| Error::config(path.display(), error))?;
    hosts::parse(&text, directory).map(Some)
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

    #[tokio::test]
    async fn hosts_of_the_file_come_before_the_server() {
        let root = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let write = |root: &tempfile::TempDir, name: &str, text: &str| {
            let directory = root.path().join(name);
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("hosts.toml"), text).unwrap();
        };
        write(&root, "docker.io", "[host.\"https://m.example\"]\n[host.\"https://registry-1.docker.io\"]\n");
        write(&root, "reg.example_5000_", "server = \"http://inside.example\"\n");
        write(&root, "_default", "[host.\"https://all.example\"]\n");
        write(&other, "quay.io", "server = \"https://quay.io\"\n");
        let places = vec![root.path().to_owned(), other.path().to_owned()];
        let planner = Planner::new(Vec::new(), InsecureRegistries::default(), places);
        assert_eq!(
            plan(&planner, "docker.io").await,
            [
                "mirror https://m.example/v2/a/tags/list?ns=docker.io",
                "mirror https://registry-1.docker.io/v2/a/tags/list",
                "itself https://registry-1.docker.io/v2/a/tags/list",
            ]
        );
        let endpoints = planner.endpoints("docker.io", &Authorities::new(None)).await.unwrap();
        assert_eq!(endpoints.iter().map(|endpoint| endpoint.own).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(
            plan(&planner, "reg.example:5000").await,
            ["itself http://inside.example/v2/a/tags/list?ns=reg.example%3A5000"]
        );
        assert_eq!(plan(&planner, "quay.io").await, ["itself https://quay.io/v2/a/tags/list"]);
        assert_eq!(
            plan(&planner, "any.example").await,
            [
                "mirror https://all.example/v2/a/tags/list?ns=any.example",
                "itself https://any.example/v2/a/tags/list"
            ]
        );
        write(&root, "docker.io", "nonsense");
        let error = planner.endpoints("docker.io", &Authorities::new(None)).await.unwrap_err().to_string();
        assert!(error.contains("docker.io/hosts.toml"), "{error}");
    }
}
