//! Volumes of the `local` driver.

mod bind;
mod copy;
mod plan;
mod store;
mod verb;

pub(crate) use bind::binds;
pub(crate) use copy::prepare;
pub(crate) use plan::{more, plan};
pub(crate) use store::{ensure, leave, size};
pub use verb::VolumeRequest;

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
    /// All volumes. Reads their records.
    #[must_use]
    pub fn volume_list(&self) -> Vec<Volume> {
        store::list(&self.0.layout)
    }
}
