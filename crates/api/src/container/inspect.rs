//! Answer of `GET /containers/{id}/json`.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use crate::image::{Descriptor, DriverData, Storage};

use super::{Config, Health, HostConfig, MountPoint, NetworkSettings};

wire! {
    /// Everything about one container.
    #[serde(rename_all = "PascalCase")]
    pub struct InspectResponse {
        pub id: String,
        pub created: String,
        pub path: String,
        pub args: Vec<String>,
        pub state: State,
        pub image: String,
        pub resolv_conf_path: String,
        pub hostname_path: String,
        pub hosts_path: String,
        pub log_path: String,
        pub name: String,
        pub restart_count: i64,
        pub driver: String,
        pub platform: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_manifest_descriptor: Option<Descriptor>,
        pub mount_label: String,
        pub process_label: String,
        pub app_armor_profile: String,
        #[serde(rename = "ExecIDs")]
        pub exec_ids: Option<Vec<String>>,
        pub host_config: HostConfig,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub graph_driver: Option<DriverData>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub storage: Option<Storage>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub size_rw: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub size_root_fs: Option<i64>,
        pub mounts: Vec<MountPoint>,
        pub config: Config,
        pub network_settings: NetworkSettings,
    }

    /// What a container is doing.
    #[serde(rename_all = "PascalCase")]
    pub struct State {
        pub status: String,
        pub running: bool,
        pub paused: bool,
        pub restarting: bool,
        #[serde(rename = "OOMKilled")]
        pub oom_killed: bool,
        pub dead: bool,
        pub pid: i64,
        pub exit_code: i64,
        pub error: String,
        pub started_at: String,
        pub finished_at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub health: Option<Health>,
    }
}
