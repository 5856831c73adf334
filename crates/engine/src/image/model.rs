//! The nouns of images.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::container::ContainerConfig;
use crate::filters::Filters;

/// An image, as inspect shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// `sha256:` and 64 hex digits: digest of the image's configuration.
    pub id: String,
    /// `name:tag`, familiar form.
    pub repo_tags: Vec<String>,
    /// `name@sha256:…`, familiar form.
    pub repo_digests: Vec<String>,
    /// Id of the parent, for images built here.
    pub parent: String,
    /// Comment.
    pub comment: String,
    /// When it was made; `None` when it does not say.
    pub created: Option<Timestamp>,
    /// Author.
    pub author: String,
    /// What its containers run by default.
    pub config: ContainerConfig,
    /// `amd64`, …
    pub architecture: String,
    /// `v8`, …
    pub variant: String,
    /// `linux`.
    pub os: String,
    /// OS version.
    pub os_version: String,
    /// Bytes of all layers, unpacked.
    pub size: u64,
    /// diffIDs of its layers, lowest first.
    pub layers: Vec<String>,
    /// Storage driver.
    pub storage_driver: String,
    /// Where its layers lie, by the driver's names for it (inspect only).
    pub directories: BTreeMap<String, String>,
    /// When a tag was last put on it.
    pub last_tagged: Option<Timestamp>,
    /// Containers that use it (list only).
    pub containers: usize,
    /// Bytes shared with other images, if it was asked for (list only).
    pub shared: Option<u64>,
}

/// Which images are wanted.
#[derive(Debug, Clone, Default)]
pub struct ImageListOptions {
    /// Intermediate images too.
    pub all: bool,
    /// Work out how much each shares with others.
    pub shared_size: bool,
    /// `before dangling label reference since until`.
    pub filters: Filters,
}

/// One step of an image's making.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// Image's id, or `<missing>`.
    pub id: String,
    /// When.
    pub created: Option<Timestamp>,
    /// By which command.
    pub created_by: String,
    /// Tags of that image.
    pub tags: Vec<String>,
    /// Bytes it added.
    pub size: u64,
    /// Comment.
    pub comment: String,
}

/// What a removal did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A reference is gone.
    Untagged(String),
    /// An image or layer is gone.
    Deleted(String),
}

/// A step of load, import, pull or push.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// A plain sentence (`Loaded image: alpine:3.20`), without the line's end.
    Message(String),
    /// A layer moves on.
    Layer {
        /// Short id.
        id: String,
        /// `Loading layer`, `Extracting`, …
        status: String,
        /// Bytes done.
        current: u64,
        /// Bytes in all; 0 = unknown.
        total: u64,
    },
    /// Something with a name is done (`latest: Pulling from library/alpine`).
    Step {
        /// Tag or reference.
        id: String,
        /// What is done.
        status: String,
    },
    /// Of an index, not all is here and in the registry: the manifest of this image alone was pushed.
    PushedInstead {
        /// The index that the image came with.
        index: Box<oci::Descriptor>,
        /// What was pushed.
        manifest: Box<oci::Descriptor>,
    },
    /// What a push came to, for programs.
    Pushed {
        /// Tag.
        tag: String,
        /// Digest of the manifest.
        digest: String,
        /// Bytes of the manifest.
        size: u64,
        /// What it is.
        media_type: String,
    },
}

/// Where `import` has its archive from.
pub enum ImportSource {
    /// The client sends it.
    Client(crate::Reader),
    /// An `http` or `https` URL; one without a scheme is `http`, as in Docker.
    Url(String),
}

/// What `import` makes of a root file system.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// `repository`; empty = no tag.
    pub repository: String,
    /// Tag; empty = `latest`.
    pub tag: String,
    /// Comment; empty = `Imported from -` (or the URL).
    pub message: String,
    /// Dockerfile instructions on its configuration.
    pub changes: Vec<String>,
    /// `os[/arch[/variant]]`; empty = the host's.
    pub platform: String,
}

/// Labels and counts of images for `system df`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImageUsage {
    /// Bytes that are only this image's.
    pub unique: u64,
    /// Bytes shared with others.
    pub shared: u64,
    /// Annotation of the manifest.
    pub annotations: BTreeMap<String, String>,
}
