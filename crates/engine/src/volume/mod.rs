//! Volumes of the `local` driver.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    /// Name; 64 hex digits for an anonymous one.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Where its files are.
    pub mountpoint: PathBuf,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Made without a name.
    pub anonymous: bool,
}

impl crate::Engine {
    /// All volumes.
    #[must_use]
    pub fn volume_list(&self) -> Vec<Volume> {
        Vec::new()
    }
}
