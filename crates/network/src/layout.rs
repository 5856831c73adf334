//! Where this crate keeps its records.
//!
//! ```text
//! <data>/network/          0700
//!     networks.json        identity of the default networks, subnet of the bridge
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
