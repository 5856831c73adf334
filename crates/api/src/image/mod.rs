//! Images: what is answered.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

mod inspect;
mod summary;
mod verify;

use std::collections::BTreeMap;

use crate::wire::{is_default, null_if_empty};

pub use inspect::{DriverData, InspectResponse, Metadata, RootFs, RootFsStorage, Snapshot, Storage};
pub use summary::{AttestationData, ImageData, ImageSize, ManifestSize, ManifestSummary, Summary};
pub use verify::{VerifiedName, VerifiedSignature, VerifyResponse};

wire! {
    /// A line of `GET /images/{name}/history`.
    #[serde(rename_all = "PascalCase")]
    pub struct HistoryItem {
        pub id: String,
        /// Seconds since the epoch.
        pub created: i64,
        pub created_by: String,
        #[serde(serialize_with = "null_if_empty")]
        pub tags: Vec<String>,
        pub size: i64,
        pub comment: String,
    }

    /// A line of `DELETE /images/{name}`: one of the two is set.
    #[serde(rename_all = "PascalCase")]
    pub struct DeleteItem {
        #[serde(skip_serializing_if = "String::is_empty")]
        pub untagged: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub deleted: String,
    }

    /// Answer of `POST /images/prune`.
    #[serde(rename_all = "PascalCase")]
    pub struct PruneResponse {
        #[serde(serialize_with = "null_if_empty")]
        pub images_deleted: Vec<DeleteItem>,
        pub space_reclaimed: u64,
    }

    /// Answer of `POST /build/prune`.
    #[serde(rename_all = "PascalCase")]
    pub struct BuildPruneResponse {
        #[serde(serialize_with = "null_if_empty")]
        pub caches_deleted: Vec<String>,
        pub space_reclaimed: u64,
    }

    /// An OCI content descriptor.
    #[serde(rename_all = "camelCase")]
    pub struct Descriptor {
        pub media_type: String,
        pub digest: String,
        pub size: i64,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub urls: Vec<String>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub annotations: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub data: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub platform: Option<Platform>,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub artifact_type: String,
    }

    /// An OCI platform.
    pub struct Platform {
        pub architecture: String,
        pub os: String,
        #[serde(rename = "os.version", skip_serializing_if = "String::is_empty")]
        pub os_version: String,
        #[serde(rename = "os.features", skip_serializing_if = "is_default")]
        pub os_features: Vec<String>,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub variant: String,
    }

    /// An entry of `GET /images/{name}/attestations`.
    #[serde(rename_all = "PascalCase")]
    pub struct AttestationStatement {
        pub descriptor: Descriptor,
        pub predicate_type: String,
        /// The in-toto statement, if it was asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub statement: Option<serde_json::Value>,
    }

    /// A line of `GET /images/search`.
    pub struct SearchResult {
        pub star_count: i64,
        pub is_official: bool,
        pub name: String,
        /// Always false since API 1.44: no registry tells.
        pub is_automated: bool,
        pub description: String,
    }

    /// Answer of `GET /distribution/{name}/json`.
    #[serde(rename_all = "PascalCase")]
    pub struct DistributionInspect {
        pub descriptor: Descriptor,
        pub platforms: Vec<Platform>,
    }

    /// What ends a push, for programs (`aux`).
    #[serde(rename_all = "PascalCase")]
    pub struct PushResult {
        pub tag: String,
        pub digest: String,
        pub size: i64,
    }

    /// What a push has done other than asked (`aux`).
    #[serde(rename_all = "camelCase")]
    pub struct PushedInstead {
        pub manifest_pushed_instead_of_index: bool,
        pub original_index: Descriptor,
        pub selected_manifest: Descriptor,
    }

    /// Answer of `POST /commit`.
    #[serde(rename_all = "PascalCase")]
    pub struct IdResponse {
        pub id: String,
    }
}
