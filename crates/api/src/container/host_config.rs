//! What of a container depends on the host it runs on.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use std::collections::BTreeMap;

use crate::wire::null_if_empty;

use super::{Mount, PortMap, Resources};

wire! {
    /// `HostConfig`.
    #[serde(rename_all = "PascalCase")]
    pub struct HostConfig {
        #[serde(serialize_with = "null_if_empty")]
        pub binds: Vec<String>,
        #[serde(rename = "ContainerIDFile")]
        pub container_id_file: String,
        pub log_config: LogConfig,
        pub network_mode: String,
        pub port_bindings: PortMap,
        pub restart_policy: RestartPolicy,
        pub auto_remove: bool,
        pub volume_driver: String,
        #[serde(serialize_with = "null_if_empty")]
        pub volumes_from: Vec<String>,
        /// Height, width.
        pub console_size: [u64; 2],
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub annotations: BTreeMap<String, String>,
        #[serde(serialize_with = "null_if_empty")]
        pub cap_add: Vec<String>,
        #[serde(serialize_with = "null_if_empty")]
        pub cap_drop: Vec<String>,
        pub cgroupns_mode: String,
        pub dns: Vec<String>,
        pub dns_options: Vec<String>,
        pub dns_search: Vec<String>,
        #[serde(serialize_with = "null_if_empty")]
        pub extra_hosts: Vec<String>,
        #[serde(serialize_with = "null_if_empty")]
        pub group_add: Vec<String>,
        pub ipc_mode: String,
        pub cgroup: String,
        #[serde(serialize_with = "null_if_empty")]
        pub links: Vec<String>,
        pub oom_score_adj: i64,
        pub pid_mode: String,
        pub privileged: bool,
        pub publish_all_ports: bool,
        pub readonly_rootfs: bool,
        #[serde(serialize_with = "null_if_empty")]
        pub security_opt: Vec<String>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub storage_opt: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub tmpfs: BTreeMap<String, String>,
        #[serde(rename = "UTSMode")]
        pub uts_mode: String,
        pub userns_mode: String,
        pub shm_size: i64,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub sysctls: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub runtime: String,
        pub isolation: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub mounts: Vec<Mount>,
        /// `None` takes the default list; an empty list masks nothing.
        pub masked_paths: Option<Vec<String>>,
        /// `None` takes the default list; an empty list protects nothing.
        pub readonly_paths: Option<Vec<String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub init: Option<bool>,
        .. pub resources: Resources,
    }

    /// Where a container's output goes.
    #[serde(rename_all = "PascalCase")]
    pub struct LogConfig {
        #[serde(rename = "Type")]
        pub kind: String,
        pub config: BTreeMap<String, String>,
    }

    /// When a container is started again.
    #[serde(rename_all = "PascalCase")]
    pub struct RestartPolicy {
        pub name: String,
        pub maximum_retry_count: i64,
    }

    /// A host address and port; an empty port means any.
    #[serde(rename_all = "PascalCase")]
    pub struct PortBinding {
        pub host_ip: String,
        pub host_port: String,
    }
}
