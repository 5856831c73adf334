//! Where this crate keeps its records.
//!
//! ```text
//! <data>/network/          0700
//!     networks.json        identity of the default networks, subnet of the bridge
//!     user/<id>.json       a network that a person made
//!     wireguard.json       0600: this machine's key, once networks are shared
//! ```

use std::path::{Path, PathBuf};

/// The record of networks.
pub(crate) fn networks(data_dir: &Path) -> PathBuf {
    data_dir.join("networks.json")
}

/// Where it is written before it is renamed into place.
pub(crate) fn networks_new(data_dir: &Path) -> PathBuf {
    data_dir.join("networks.json.new")
}

/// This machine's WireGuard key.
pub(crate) const WIREGUARD: &str = "wireguard.json";

/// The directory of the networks that persons made.
pub(crate) fn user(data_dir: &Path) -> PathBuf {
    data_dir.join("user")
}

/// Name of a network's record in there.
pub(crate) fn definition(id: &str) -> String {
    format!("{id}.json")
}

/// The id in such a name; `None` for what is no record, such as one that was being written.
pub(crate) fn id_of(name: &str) -> Option<&str> {
    let id = name.strip_suffix(".json")?;
    (id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}
