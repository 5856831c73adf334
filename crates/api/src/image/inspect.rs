//! Answer of `GET /images/{name}/json`.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use std::collections::BTreeMap;

use crate::container::Config;
use crate::wire::is_default;

use super::{Descriptor, ManifestSummary};

wire! {
    /// Everything about one image.
    #[serde(rename_all = "PascalCase")]
    pub struct InspectResponse {
        pub id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub descriptor: Option<Descriptor>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub manifests: Vec<ManifestSummary>,
        pub repo_tags: Vec<String>,
        pub repo_digests: Vec<String>,
        /// Before API 1.48 always written, since then only when set.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub parent: Option<String>,
        pub comment: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub created: String,
        /// Before API 1.45.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub container: Option<String>,
        /// Before API 1.45.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub container_config: Option<Config>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub docker_version: Option<String>,
        pub author: String,
        /// The image's configuration as it is in the image: which fields it has depends on the API version.
        pub config: serde_json::Value,
        pub architecture: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub variant: String,
        pub os: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub os_version: String,
        pub size: i64,
        /// Before API 1.44.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub virtual_size: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub graph_driver: Option<DriverData>,
        #[serde(rename = "RootFS")]
        pub root_fs: RootFs,
        pub metadata: Metadata,
    }

    /// The layers.
    #[serde(rename_all = "PascalCase")]
    pub struct RootFs {
        #[serde(rename = "Type")]
        pub kind: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub layers: Vec<String>,
    }

    /// What the host knows about an image beside the image.
    #[serde(rename_all = "PascalCase")]
    pub struct Metadata {
        #[serde(skip_serializing_if = "String::is_empty")]
        pub last_tag_time: String,
    }

    /// The storage driver, and what it says about one thing.
    #[serde(rename_all = "PascalCase")]
    pub struct DriverData {
        pub data: Option<BTreeMap<String, String>>,
        pub name: String,
    }

    /// Where a container's root file system is, for image-store backed daemons.
    #[serde(rename_all = "PascalCase")]
    pub struct Storage {
        #[serde(rename = "RootFS", skip_serializing_if = "is_default")]
        pub root_fs: Option<RootFsStorage>,
    }

    /// The kind of root file system.
    #[serde(rename_all = "PascalCase")]
    pub struct RootFsStorage {
        #[serde(skip_serializing_if = "is_default")]
        pub snapshot: Option<Snapshot>,
    }

    /// A snapshot.
    #[serde(rename_all = "PascalCase")]
    pub struct Snapshot {
        pub name: String,
    }
}
