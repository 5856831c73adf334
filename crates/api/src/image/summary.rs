//! One line of `GET /images/json`.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use std::collections::BTreeMap;

use crate::wire::null_if_empty_map;

use super::{Descriptor, Platform};

wire! {
    /// An image in a list; -1 where not counted.
    #[serde(rename_all = "PascalCase")]
    pub struct Summary {
        pub containers: i64,
        /// Seconds since the epoch.
        pub created: i64,
        pub id: String,
        #[serde(serialize_with = "null_if_empty_map")]
        pub labels: BTreeMap<String, String>,
        pub parent_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub descriptor: Option<Descriptor>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub manifests: Vec<ManifestSummary>,
        pub repo_digests: Vec<String>,
        pub repo_tags: Vec<String>,
        pub shared_size: i64,
        pub size: i64,
        /// Before API 1.44.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub virtual_size: Option<i64>,
    }

    /// One manifest of an image.
    #[serde(rename_all = "PascalCase")]
    pub struct ManifestSummary {
        #[serde(rename = "ID")]
        pub id: String,
        pub descriptor: Descriptor,
        pub available: bool,
        pub kind: String,
        pub size: ManifestSize,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_data: Option<ImageData>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub attestation_data: Option<AttestationData>,
    }

    /// A manifest that says something about another.
    #[serde(rename_all = "PascalCase")]
    pub struct AttestationData {
        /// Digest of that one.
        #[serde(rename = "For")]
        pub about: String,
    }

    /// Bytes of a manifest's content, and in all.
    #[serde(rename_all = "PascalCase")]
    pub struct ManifestSize {
        pub content: i64,
        pub total: i64,
    }

    /// A manifest that is an image.
    #[serde(rename_all = "PascalCase")]
    pub struct ImageData {
        pub platform: Platform,
        pub containers: Vec<String>,
        pub size: ImageSize,
    }

    /// Bytes of the unpacked image.
    #[serde(rename_all = "PascalCase")]
    pub struct ImageSize {
        pub unpacked: i64,
    }
}
