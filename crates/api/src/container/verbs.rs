//! Bodies and answers of the smaller verbs.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use crate::wire::null_if_empty;

use super::{Resources, RestartPolicy};

wire! {
    /// Body of `POST /containers/{id}/update`.
    #[serde(rename_all = "PascalCase")]
    pub struct UpdateRequest {
        pub restart_policy: RestartPolicy,
        .. pub resources: Resources,
    }

    /// Answer of `POST /containers/{id}/update`.
    #[serde(rename_all = "PascalCase")]
    pub struct UpdateResponse {
        #[serde(serialize_with = "null_if_empty")]
        pub warnings: Vec<String>,
    }

    /// Answer of `POST /containers/{id}/wait`.
    #[serde(rename_all = "PascalCase")]
    pub struct WaitResponse {
        #[serde(skip_serializing_if = "Option::is_none")]
        pub error: Option<WaitError>,
        pub status_code: i64,
    }

    /// Why waiting failed.
    #[serde(rename_all = "PascalCase")]
    pub struct WaitError {
        pub message: String,
    }

    /// Answer of `GET /containers/{id}/top`.
    #[serde(rename_all = "PascalCase")]
    pub struct TopResponse {
        pub processes: Vec<Vec<String>>,
        pub titles: Vec<String>,
    }

    /// One path of `GET /containers/{id}/changes`: 0 modified, 1 added, 2 deleted.
    #[serde(rename_all = "PascalCase")]
    pub struct ChangeItem {
        pub kind: u8,
        pub path: String,
    }

    /// Answer of `POST /containers/prune`.
    #[serde(rename_all = "PascalCase")]
    pub struct PruneResponse {
        #[serde(serialize_with = "null_if_empty")]
        pub containers_deleted: Vec<String>,
        pub space_reclaimed: u64,
    }

    /// Content of the `X-Docker-Container-Path-Stat` header (base64 of this JSON).
    pub struct PathStat {
        pub name: String,
        pub size: i64,
        /// Go's `os.FileMode` bits.
        pub mode: u32,
        pub mtime: String,
        #[serde(rename = "linkTarget")]
        pub link_target: String,
    }
}
