//! Registries to pull from and push to, each on a loopback port of its own: Debian's `docker-registry` and ours
//! behind one interface, what stands around them (a private authority, a token server, a proxy), one that
//! misbehaves on purpose, and the programs that copy images.

pub mod copiers;
pub mod engines;
pub mod faulty;
pub mod listener;
pub mod moto;
pub mod picture;
pub mod probe;
pub mod proxy;
pub mod server;
pub mod tls;
pub mod token;

pub use engines::Engine;
pub use faulty::{Fault, Faulty};
pub use moto::{Moto, Turn, Way};
pub use picture::{Packing, Picture, Style};
pub use probe::Probe;
pub use server::{Access, Kind, Registry, Wants};

use std::path::PathBuf;

/// Where a registry is, and what it wants of its clients.
#[derive(Debug, Clone)]
pub struct Site {
    /// Host and port, as they stand before a repository's name.
    pub address: String,
    /// If it speaks TLS: a folder as `certs.d` has them, with `ca.crt` and, if it wants a client's certificate,
    /// `client.cert` and `client.key`.
    pub certificates: Option<PathBuf>,
    /// Name and password.
    pub login: Option<(String, String)>,
}

impl Site {
    /// One without TLS that knows no users.
    pub fn open(address: String) -> Self {
        Self { address, certificates: None, login: None }
    }

    /// The full name of a repository, tag or digest in it.
    pub fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// `name:password`.
    pub fn credentials(&self) -> Option<String> {
        self.login.as_ref().map(|(name, password)| format!("{name}:{password}"))
    }
}

/// The user that registries know.
pub const USER: &str = "user";
/// The user's password.
pub const PASSWORD: &str = "open sesame";
/// The line of an htpasswd file for them (bcrypt, cost 5).
pub const HTPASSWD: &str = "user:$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n";

/// Bytes that do not compress and can be had again.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend((z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
