//! What is mounted into a container: asked for (`Mount`) and settled (`MountPoint`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Kind of a mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A host path.
    #[default]
    Bind,
    /// A named or anonymous volume.
    Volume,
    /// Memory.
    Tmpfs,
    /// A part of an image.
    Image,
    /// A Windows pipe.
    Npipe,
    /// A Swarm CSI volume.
    Cluster,
}

impl MountKind {
    /// Docker's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Volume => "volume",
            Self::Tmpfs => "tmpfs",
            Self::Image => "image",
            Self::Npipe => "npipe",
            Self::Cluster => "cluster",
        }
    }
}

/// `--mount`, as asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// Kind.
    pub kind: MountKind,
    /// Host path or volume name; empty = anonymous volume.
    pub source: String,
    /// Absolute path inside.
    pub target: String,
    /// Read-only.
    pub read_only: bool,
    /// `default`, `consistent`, `cached`, `delegated` (kept for inspect).
    pub consistency: String,
    /// Bind only.
    pub bind: Option<BindOptions>,
    /// Volume only.
    pub volume: Option<VolumeOptions>,
    /// Image only.
    pub image: Option<ImageOptions>,
    /// Tmpfs only.
    pub tmpfs: Option<TmpfsOptions>,
    /// Bind and volume only: the ids of its files are mapped (`container`, or `uids=…;gids=…`); empty = as they are.
    pub id_map: String,
}

/// Options of a bind mount.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BindOptions {
    /// `private`, `rprivate`, `shared`, `rshared`, `slave`, `rslave`; empty = rprivate.
    pub propagation: String,
    /// Leave out what is mounted beneath.
    pub non_recursive: bool,
    /// Make the source when it is missing.
    pub create_mountpoint: bool,
    /// Read-only leaves mounts beneath writable.
    pub read_only_non_recursive: bool,
    /// Fail when mounts beneath can't be made read-only.
    pub read_only_force_recursive: bool,
}

/// Options of a volume mount.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeOptions {
    /// Don't copy the image's files into a new volume.
    pub no_copy: bool,
    /// Labels of a volume made on the way.
    pub labels: BTreeMap<String, String>,
    /// Driver of a volume made on the way; empty = local.
    pub driver: String,
    /// Its options.
    pub driver_options: BTreeMap<String, String>,
    /// Directory in the volume.
    pub subpath: String,
}

/// Options of an image mount.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageOptions {
    /// Directory or file in the image.
    pub subpath: String,
}

/// Options of a tmpfs mount.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TmpfsOptions {
    /// Bytes; 0 = the kernel's default.
    pub size_bytes: i64,
    /// Mode bits; 0 = 1777.
    pub mode: u32,
    /// More options, each one or two words.
    pub options: Vec<Vec<String>>,
}

/// A mount of a created container, as inspect shows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MountPoint {
    /// Kind.
    pub kind: MountKind,
    /// Volume name; empty for binds.
    pub name: String,
    /// Path on the host.
    pub source: String,
    /// Path inside.
    pub destination: String,
    /// Volume driver.
    pub driver: String,
    /// Options as typed (`ro,z`).
    pub mode: String,
    /// Writable.
    pub rw: bool,
    /// Propagation.
    pub propagation: String,
    /// Made for this container without a name: `rm -v` removes it.
    #[serde(default)]
    pub anonymous: bool,
    /// Don't copy the image's files into a new volume.
    #[serde(default)]
    pub no_copy: bool,
    /// Directory in the volume, or anything in the image.
    #[serde(default)]
    pub subpath: String,
    /// Leave out what is mounted beneath.
    #[serde(default)]
    pub non_recursive: bool,
    /// Read-only leaves mounts beneath writable.
    #[serde(default)]
    pub read_only_non_recursive: bool,
    /// A missing source is an error; otherwise it is made.
    #[serde(default)]
    pub must_exist: bool,
    /// The volume has driver options: its files are on a mount of their own.
    #[serde(default)]
    pub device: bool,
    /// Id of the image that is shown.
    #[serde(default)]
    pub image_id: String,
    /// Options of a tmpfs, with commas between.
    #[serde(default)]
    pub tmpfs: String,
    /// Mapping of ids (`uids=…;gids=…`); empty = none.
    #[serde(default)]
    pub id_map: String,
}
