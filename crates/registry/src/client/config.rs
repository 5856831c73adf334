//! What a [`Client`](super::Client) is told once: whom to ask instead, whom to trust, how long to wait.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::endpoint::{InsecureRegistries, Mirror};
use super::limits::SEGMENT;
use super::net::Proxies;

/// How a client reaches registries. [`Config::default`] asks every registry itself, over TLS, trusting the machine's
/// authorities, without a proxy.
#[derive(Clone, Debug)]
pub struct Config {
    /// `User-Agent` of every request.
    pub user_agent: String,
    /// `--registry-mirror`: asked before Docker Hub, for pulls only, in order.
    pub mirrors: Vec<Mirror>,
    /// `--insecure-registry`: certificates are not checked, and HTTP is used where there is no TLS.
    pub insecure: InsecureRegistries,
    /// Directories with one directory for each registry (`<host>[:port]/`), the first that has it counts:
    /// containerd's `hosts.toml`, or Docker's `*.crt`, `*.cert` with `*.key`.
    pub certs_d: Vec<PathBuf>,
    /// The file with the authorities that are trusted everywhere; `None`: the machine's own.
    pub authorities: Option<PathBuf>,
    /// Proxies; see [`Proxies::from_environment`].
    pub proxies: Proxies,
    /// How long to wait for what.
    pub time: Time,
    /// How often to try again.
    pub retry: Retry,
    /// Connections for one large blob.
    pub connections: usize,
    /// Size of the pieces that a large blob is fetched in over several connections, in bytes.
    pub segment: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            user_agent: concat!("berth/", env!("CARGO_PKG_VERSION")).into(),
            mirrors: Vec::new(),
            insecure: InsecureRegistries::default(),
            certs_d: Vec::new(),
            authorities: None,
            proxies: Proxies::default(),
            time: Time::default(),
            retry: Retry::default(),
            connections: 4,
            segment: SEGMENT,
        }
    }
}

/// Patience. There is no limit on the whole of a transfer: only on how long it may stand still.
#[derive(Clone, Copy, Debug)]
pub struct Time {
    /// For one address to take a connection.
    pub connect: Duration,
    /// For the TLS handshake, or a proxy's consent.
    pub handshake: Duration,
    /// From the end of a request to the head of its answer; at the end of an upload longer by what a registry may need
    /// to hash and move so many bytes.
    pub head: Duration,
    /// Transfers must move at least [`Time::stall_bytes`] in each such span in which we wait for the other side.
    pub stall: Duration,
    /// See [`Time::stall`].
    pub stall_bytes: u64,
}

impl Default for Time {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            stall_bytes: 4096,
        }
    }
}

/// How often a request is made before its error is final, and how long to wait between two attempts: exponentially
/// longer, by chance up to a half shorter, and at least as long as `Retry-After` says.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Attempts in all, at least one (`--max-download-attempts`). Transfers that move on begin to count anew.
    pub attempts: u32,
    /// The first wait.
    pub base: Duration,
    /// The longest wait.
    pub cap: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 5, base: Duration::from_millis(500), cap: Duration::from_secs(30) }
    }
}

/// Who the user is at one registry. They are given to that registry and to the token server it names, and to nobody
/// else: no mirror, no storage that it redirects to.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// Nobody.
    #[default]
    Anonymous,
    /// A user and a password.
    Basic {
        /// The user.
        username: String,
        /// The password, or an access token in its place.
        password: String,
    },
    /// A refresh token, which a token server gave at a login.
    IdentityToken(String),
    /// A bearer token for the registry itself.
    RegistryToken(String),
}

/// Without the secrets.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Basic { username, .. } => write!(f, "Basic({username:?})"),
            Self::IdentityToken(_) => f.write_str("IdentityToken"),
            Self::RegistryToken(_) => f.write_str("RegistryToken"),
        }
    }
}
