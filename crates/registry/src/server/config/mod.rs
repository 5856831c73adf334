//! The configuration: one TOML file. What it does not know is an error, so that nothing is believed to be set that is not.

mod auth;
mod gc;
mod quota;
mod retention;
mod s3;
mod upstream;
mod values;
mod watching;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use auth::{Auth, Htpasswd, Issue, Right, Rights, Tls, Token};
pub use gc::Gc;
pub use quota::Quota;
pub use retention::Retention;
pub use s3::{LEAST_PART, S3, Secret};
pub use upstream::Upstream;
pub use values::{Bytes, Seconds};
pub use watching::{Happening, Metrics, Webhook};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It is longer than any configuration.
    #[error("the configuration {} has more than {MAX} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is no TOML, has an unknown key, or a value of a wrong type. The line is named and not shown: there may be a
    /// secret in it.
    #[error("the configuration {}, line {line}: {reason}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// What.
        reason: String,
    },
    /// A value that makes no sense.
    #[error("the configuration {}: {reason}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Which, and why.
        reason: String,
    },
}

/// The most bytes of a configuration.
const MAX: u64 = 1 << 20;

/// All that can be set. See docs/registry.md.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the bytes are.
    pub storage: Storage,
    /// Where to listen, and how.
    pub http: Http,
    /// What may be uploaded.
    #[serde(default)]
    pub uploads: Uploads,
    /// Which manifests are taken.
    #[serde(default)]
    pub manifests: Manifests,
    /// When garbage is collected.
    #[serde(default)]
    pub gc: Gc,
    /// Which tags and manifests are kept.
    #[serde(default)]
    pub retention: Vec<Retention>,
    /// The registry that this one is a cache of.
    pub upstream: Option<Upstream>,
    /// How much there may be.
    #[serde(default)]
    pub quotas: Vec<Quota>,
    /// Where numbers are told.
    pub metrics: Option<Metrics>,
    /// Who is told what happens.
    #[serde(default)]
    pub webhooks: Vec<Webhook>,
    /// Who is let in.
    #[serde(default)]
    pub auth: Auth,
    /// What they may.
    #[serde(default)]
    pub rights: Vec<Rights>,
    /// The log.
    #[serde(default)]
    pub log: Log,
}

/// `[storage]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// The directory; relative to the configuration's.
    pub path: Option<PathBuf>,
    /// Or a bucket.
    pub s3: Option<S3>,
    /// Whether manifests, tags and blobs may be deleted by clients that have the right to.
    #[serde(default = "yes")]
    pub delete: bool,
}

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Address and port.
    pub listen: SocketAddr,
    /// Only over TLS.
    pub tls: Option<Tls>,
    /// A page for people at `/ui/`.
    #[serde(default)]
    pub page: bool,
    /// Connections at once; more wait.
    #[serde(default = "connections")]
    pub max_connections: usize,
    /// How long a client may neither send nor take a byte in the middle of a request.
    #[serde(default = "idle")]
    pub idle_timeout: Seconds,
    /// How long requests may take to end after SIGTERM.
    #[serde(default = "drain")]
    pub drain_timeout: Seconds,
}

/// `[uploads]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Uploads {
    /// The most bytes of one blob; none when not set.
    pub max_size: Option<Bytes>,
    /// An upload that got no byte for so long is given up.
    pub expire: Seconds,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { max_size: None, expire: Seconds::hours(7 * 24) }
    }
}

/// `[manifests]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Manifests {
    /// The most bytes of a manifest.
    pub max_size: Bytes,
    /// Take indexes of which some manifests are not here.
    pub sparse_indexes: bool,
}

impl Default for Manifests {
    fn default() -> Self {
        Self { max_size: Bytes(4 << 20), sparse_indexes: false }
    }
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The least severity: `error`, `warn`, `info`, `debug`.
    pub level: Level,
    /// One line for each request.
    pub requests: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: Level::Info, requests: true }
    }
}

/// How severe a line of the log is at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What failed.
    Error,
    /// And what is odd.
    Warn,
    /// And what happens.
    Info,
    /// And why.
    Debug,
}

fn yes() -> bool {
    true
}

fn connections() -> usize {
    4096
}

fn idle() -> Seconds {
    Seconds::minutes(1)
}

fn drain() -> Seconds {
    Seconds::of(30)
}

impl Config {
    /// Reads a file. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// [`ConfigError`], naming file, line and key.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Read { path: path.into(), source };
        let absolute = std::path::absolute(path).map_err(failed)?;
        if fs::metadata(&absolute).map_err(failed)?.len() > MAX {
            return Err(ConfigError::TooLarge { path: path.into() });
        }
        let text = fs::read_to_string(&absolute).map_err(failed)?;
        Self::parse(&text, &absolute)
    }

    /// Reads the text of the file `path`.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            ConfigError::Toml { path: path.into(), line, reason: error.message().into() }
        })?;
        let base = path.parent().unwrap_or(Path::new("/"));
        config.storage.path.iter_mut().for_each(|path| *path = base.join(&path));
        config.storage.s3.iter_mut().for_each(|s3| s3.anchor(base));
        config.auth.anchor(base);
        if let Some(upstream) = &mut config.upstream {
            upstream.anchor(base);
            config.retention.extend(upstream.expiry());
        }
        config.webhooks.iter_mut().for_each(|webhook| webhook.anchor(base));
        if let Some(tls) = &mut config.http.tls {
            tls.anchor(base);
        }
        config.check().map_err(|reason| ConfigError::Value { path: path.into(), reason })?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if self.storage.path.is_some() == self.storage.s3.is_some() {
            return Err("the storage is either storage.path or [storage.s3]".into());
        }
        self.storage.s3.iter().try_for_each(S3::check)?;
        if self.http.max_connections == 0 {
            return Err("http.max_connections must be at least 1".into());
        }
        if self.http.page && self.auth.token.is_some() && self.auth.htpasswd.is_none() {
            return Err("http.page without auth.htpasswd: a browser can't get tokens".into());
        }
        if self.manifests.max_size.0 < 1024 || self.manifests.max_size.0 > oci::manifest::MAX_DOCUMENT {
            return Err(format!(
                "manifests.max_size must be between 1024 and {} bytes",
                oci::manifest::MAX_DOCUMENT
            ));
        }
        if !self.retention.is_empty() && !self.storage.delete {
            return Err("[[retention]] deletes, and storage.delete is false".into());
        }
        self.retention.iter().try_for_each(Retention::check)?;
        self.upstream.iter().try_for_each(Upstream::check)?;
        self.quotas.iter().try_for_each(Quota::check)?;
        self.webhooks.iter().try_for_each(Webhook::check)?;
        self.auth.check(&self.rights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/berth/registry.toml")).map_err(|error| error.to_string())
    }

    const LEAST: &str = "[storage]\npath = 'data'\n[http]\nlisten = '127.0.0.1:5000'\n";

    #[test]
    fn two_values_are_enough() {
        let config = parse(LEAST).unwrap();
        assert_eq!(config.storage.path.as_deref(), Some(Path::new("/etc/berth/data")));
        assert_eq!(config.http.listen.port(), 5000);
        assert!(config.storage.delete);
    }

    #[test]
    fn unknown_keys_are_named() {
        let error = parse(&format!("{LEAST}adress = 1\n")).unwrap_err();
        assert!(error.contains("adress") && error.contains("/etc/berth/registry.toml"), "{error}");
        let error = parse(&format!("{LEAST}[htp]\nx = 1\n")).unwrap_err();
        assert!(error.contains("htp"), "{error}");
        let error = parse("[storage]\npath = 'data'\n").unwrap_err();
        assert!(error.contains("http"), "{error}");
    }

    #[test]
    fn a_bucket_is_checked_and_its_secrets_are_not_shown() {
        let with = |more: &str| {
            parse(&format!("[http]\nlisten = '127.0.0.1:0'\n[storage.s3]\nbucket = 'images'\n{more}\n"))
        };
        let config = with("region = 'eu-west-1'\ncredentials = 'keys'").unwrap().storage.s3.unwrap();
        assert_eq!(config.endpoint(), "https://s3.eu-west-1.amazonaws.com");
        assert_eq!(config.credentials.as_deref(), Some(Path::new("/etc/berth/keys")));
        let config = with("access_key_id = 'AKIA'\nsecret_access_key = 'hush'").unwrap();
        assert!(!format!("{config:?}").contains("hush"));
        for (text, word) in [
            ("access_key_id = 'AKIA'", "secret_access_key"),
            ("access_key_id = 'A'\nsecret_access_key = 'hush'\ncredentials = 'x'", "exclude"),
            ("session_token = 'hush'", "session_token"),
            ("prefix = '/x'", "prefix"),
            ("prefix = 'a/../b'", "prefix"),
            ("bucket_ = 1", "bucket_"),
            ("endpoint = 'ftp://x'", "endpoint"),
            ("endpoint = 'https://x/y'", "endpoint"),
            ("part_size = '1MiB'", "part_size"),
            ("buffers = '6MiB'", "buffers"),
            ("redirect_expire = '8d'", "redirect_expire"),
            ("secret_acess_key = 'hush'", "line 5: unknown field `secret_acess_key`"),
            ("[storage]\npath = 'x'", "either"),
        ] {
            let error = with(text).unwrap_err();
            assert!(error.contains(word) && !error.contains("hush"), "{error}");
        }
        let error = parse("[http]\nlisten = '127.0.0.1:0'\n[storage]\n").unwrap_err();
        assert!(error.contains("[storage.s3]"), "{error}");
        let error = parse(&format!("{LEAST}[storage.s3]\nbucket = 'x'\n")).unwrap_err();
        assert!(error.contains("either"), "{error}");
    }

    #[test]
    fn values_are_checked() {
        for (text, word) in [
            ("max_connections = 0", "max_connections"),
            ("idle_timeout = 'soon'", "soon"),
            ("[manifests]\nmax_size = '1'", "max_size"),
            ("[log]\nlevel = 'loud'", "loud"),
            ("[[rights]]\nusers = ['*']\nrepositories = ['**']\nactions = ['pull']", "nobody is asked"),
            ("[auth.token]\nservice = 's'\nissuer = 'i'", "auth.token.realm"),
            ("[auth.token]\nservice = 's'\nissuer = 'i'\nrealm = 'x'", "whose tokens"),
            ("[gc]\ngrace = '0s'", "0s"),
            ("[[retention]]\nrepositories = []", "repositories"),
            ("[[retention]]\nrepositories = ['**']\nkeep_lats = 1", "keep_lats"),
            ("[[webhooks]]\nurl = 'ftp://x/'", "ftp"),
            ("[[webhooks]]\nurl = 'http://x/'\nattempts = 0", "attempts"),
            ("[[quotas]]\nrepositories = ['**']", "bytes"),
            ("[[quotas]]\nrepositories = []\nbytes = 1", "repositories"),
            ("[upstream]\nregistry = 'https://x/'", "upstream.registry"),
            ("[upstream]\nregistry = 'x.test'\nusername = 'u'", "upstream.password"),
            ("[gc]\nintervall = '1h'", "intervall"),
            ("[auth.htpaswd]\npath = 'x'", "htpaswd"),
        ] {
            let error = parse(&format!("{LEAST}{text}\n")).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
