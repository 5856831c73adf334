//! Answer of `GET /system/df`.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use serde::{Deserialize, Serialize};

use crate::{container, image, volume};

wire! {
    /// What takes place on disk. The first group is the form since API 1.52, the second the one before.
    #[serde(rename_all = "PascalCase")]
    pub struct DiskUsage {
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_usage: Option<Usage<image::Summary>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub container_usage: Option<Usage<container::Summary>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub volume_usage: Option<Usage<volume::Volume>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub build_cache_usage: Option<Usage<BuildCache>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub layers_size: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub images: Option<Vec<image::Summary>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub containers: Option<Vec<container::Summary>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub volumes: Option<Vec<volume::Volume>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub build_cache: Option<Vec<BuildCache>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub builder_size: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub data_root: Option<DataRoot>,
    }

    /// Our own: what Docker does not count. With images, containers, volumes and the build cache these sums make up
    /// all blocks below the data root.
    #[serde(rename_all = "PascalCase")]
    pub struct DataRoot {
        pub path: String,
        pub log_size: i64,
        pub record_size: i64,
        pub total_size: i64,
    }

    /// One record of the build cache.
    #[serde(rename_all = "PascalCase")]
    pub struct BuildCache {
        #[serde(rename = "ID")]
        pub id: String,
        /// Before 1.42.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub parent: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub parents: Vec<String>,
        #[serde(rename = "Type")]
        pub kind: String,
        pub description: String,
        pub in_use: bool,
        pub shared: bool,
        pub size: i64,
        pub created_at: String,
        pub last_used_at: Option<String>,
        pub usage_count: i64,
    }
}

/// One kind of thing: how many, how many in use, bytes, bytes that could be freed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Usage<T> {
    pub active_count: i64,
    pub total_count: i64,
    pub reclaimable: i64,
    pub total_size: i64,
    /// Only with `verbose`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<T>,
}
