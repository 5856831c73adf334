//! Volumes.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use std::collections::BTreeMap;

use crate::wire::{is_default, null_if_empty, null_if_empty_map};

wire! {
    /// A volume, as list, inspect and create answer.
    #[serde(rename_all = "PascalCase")]
    pub struct Volume {
        #[serde(skip_serializing_if = "String::is_empty")]
        pub created_at: String,
        pub driver: String,
        #[serde(serialize_with = "null_if_empty_map")]
        pub labels: BTreeMap<String, String>,
        pub mountpoint: String,
        pub name: String,
        #[serde(serialize_with = "null_if_empty_map")]
        pub options: BTreeMap<String, String>,
        pub scope: String,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub status: BTreeMap<String, serde_json::Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub usage_data: Option<UsageData>,
        /// Berth's own: it is never removed until that is taken back.
        #[serde(skip_serializing_if = "is_default")]
        pub protected: bool,
    }

    /// How much a volume holds, and for how many containers; -1 where not counted.
    #[serde(rename_all = "PascalCase")]
    pub struct UsageData {
        pub ref_count: i64,
        pub size: i64,
    }

    /// Body of `POST /volumes/create`.
    #[serde(rename_all = "PascalCase")]
    pub struct CreateRequest {
        pub name: String,
        pub driver: String,
        pub driver_opts: BTreeMap<String, String>,
        pub labels: BTreeMap<String, String>,
    }

    /// Answer of `GET /volumes`.
    #[serde(rename_all = "PascalCase")]
    pub struct ListResponse {
        pub volumes: Vec<Volume>,
        #[serde(serialize_with = "null_if_empty")]
        pub warnings: Vec<String>,
    }

    /// Answer of `POST /volumes/prune`.
    #[serde(rename_all = "PascalCase")]
    pub struct PruneResponse {
        pub volumes_deleted: Vec<String>,
        pub space_reclaimed: u64,
    }
}
