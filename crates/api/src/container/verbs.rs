//! Bodies and answers of the smaller verbs.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::wire::null_if_empty;

use super::{Mount, PortMap, Resources, RestartPolicy};

wire! {
    /// Body of `POST /containers/{id}/update`.
    #[serde(rename_all = "PascalCase")]
    pub struct UpdateRequest {
        pub restart_policy: RestartPolicy,
        /// Ports to publish. This field and those below are Berth's own: Docker's clients never send them.
        #[serde(skip_serializing_if = "PortMap::is_empty")]
        pub publish: PortMap,
        /// `80[/tcp]`, `8080:80[/tcp]` or `127.0.0.1:8080:80[/tcp]`.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub publish_remove: Vec<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub mounts: Vec<Mount>,
        /// Paths in the container.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub mounts_remove: Vec<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub env: Vec<String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub env_remove: Vec<String>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub labels: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub labels_remove: Vec<String>,
        .. pub resources: Resources,
    }

    /// Answer of `POST /containers/{id}/update`.
    #[serde(rename_all = "PascalCase")]
    pub struct UpdateResponse {
        #[serde(serialize_with = "null_if_empty")]
        pub warnings: Vec<String>,
    }

    /// Body of `POST /containers/{id}/checkpoints`.
    #[serde(rename_all = "PascalCase")]
    pub struct CheckpointRequest {
        #[serde(rename = "CheckpointID")]
        pub checkpoint_id: String,
        pub checkpoint_dir: String,
        pub exit: bool,
    }

    /// One of `GET /containers/{id}/checkpoints`.
    #[serde(rename_all = "PascalCase")]
    pub struct Checkpoint {
        pub name: String,
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

impl PathStat {
    /// The header's value.
    ///
    /// # Errors
    /// Never for what a path can be.
    pub fn encode(&self) -> serde_json::Result<String> {
        Ok(STANDARD.encode(serde_json::to_vec(self)?))
    }

    /// Reads the header's value.
    ///
    /// # Errors
    /// It is no base64, or no such object in it.
    pub fn decode(header: &str) -> Result<Self, String> {
        let json = STANDARD.decode(header).map_err(|error| error.to_string())?;
        serde_json::from_slice(&json).map_err(|error| error.to_string())
    }
}
