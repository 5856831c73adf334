//! Volumes of the `local` driver, and everything else that is mounted into a container.

mod bind;
mod claims;
mod copy;
mod event;
mod idmap;
mod image;
mod local;
mod plan;
mod propagation;
mod shared;
mod source;
mod store;
mod tmpfs;
mod verb;

pub(crate) use bind::{Binds, Handed, binds};
pub(crate) use claims::{Claim, Volumes, claim};
pub(crate) use copy::prepare;
pub(crate) use event::{mounted, unmounted};
pub(crate) use image::{images_of, is_image_of};
pub(crate) use plan::{clean_path, more, parse_mode, plan};
pub(crate) use shared::{Shared, shared};
pub(crate) use store::{leave, size, sweep};
pub(crate) use tmpfs::merge as merge_tmpfs;
pub use verb::{VolumePrune, VolumeRequest};

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Label of volumes that were made without a name.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// A volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    /// Name; 64 hex digits for an anonymous one.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Where its files are; with driver options, where they would be on other engines: here they are mounted into
    /// containers only.
    pub mountpoint: PathBuf,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Driver options: `type`, `device`, `o`.
    pub options: BTreeMap<String, String>,
    /// Made without a name.
    pub anonymous: bool,
    /// Never removed until that is taken back.
    #[serde(default)]
    pub protected: bool,
}

impl Volume {
    /// Whether the driver mounts something for it.
    pub(crate) fn is_device(&self) -> bool {
        self.options.contains_key("device")
    }
}

impl crate::Engine {
    /// All volumes. Reads their records.
    #[must_use]
    pub fn volume_list(&self) -> Vec<Volume> {
        store::list(&self.0.layout)
    }
}
