//! Answer of `GET /info`.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use std::collections::BTreeMap;

use crate::wire::{is_default, null_if_empty};

wire! {
    /// What the daemon is, has, and may.
    #[serde(rename_all = "PascalCase")]
    pub struct Info {
        #[serde(rename = "ID")]
        pub id: String,
        pub containers: i64,
        pub containers_running: i64,
        pub containers_paused: i64,
        pub containers_stopped: i64,
        pub images: i64,
        pub driver: String,
        pub driver_status: Vec<Vec<String>>,
        pub plugins: PluginsInfo,
        pub memory_limit: bool,
        pub swap_limit: bool,
        /// Before API 1.42.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub kernel_memory: Option<bool>,
        /// Before API 1.42.
        #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "Option::is_none")]
        pub kernel_memory_tcp: Option<bool>,
        pub cpu_cfs_period: bool,
        pub cpu_cfs_quota: bool,
        #[serde(rename = "CPUShares")]
        pub cpu_shares: bool,
        #[serde(rename = "CPUSet")]
        pub cpu_set: bool,
        pub pids_limit: bool,
        #[serde(rename = "IPv4Forwarding")]
        pub ipv4_forwarding: bool,
        /// Before API 1.50.
        #[serde(rename = "BridgeNfIptables", skip_serializing_if = "Option::is_none")]
        pub bridge_nf_iptables: Option<bool>,
        /// Before API 1.50.
        #[serde(rename = "BridgeNfIp6tables", skip_serializing_if = "Option::is_none")]
        pub bridge_nf_ip6tables: Option<bool>,
        pub debug: bool,
        pub n_fd: i64,
        pub oom_kill_disable: bool,
        pub n_goroutines: i64,
        pub system_time: String,
        pub logging_driver: String,
        pub cgroup_driver: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub cgroup_version: String,
        pub n_events_listener: i64,
        pub kernel_version: String,
        pub operating_system: String,
        #[serde(rename = "OSVersion")]
        pub os_version: String,
        #[serde(rename = "OSType")]
        pub os_type: String,
        pub architecture: String,
        pub index_server_address: String,
        pub registry_config: RegistryConfig,
        #[serde(rename = "NCPU")]
        pub n_cpu: i64,
        pub mem_total: i64,
        pub generic_resources: Option<Vec<serde_json::Value>>,
        pub docker_root_dir: String,
        pub http_proxy: String,
        pub https_proxy: String,
        pub no_proxy: String,
        pub name: String,
        pub labels: Vec<String>,
        pub experimental_build: bool,
        pub server_version: String,
        pub runtimes: BTreeMap<String, Runtime>,
        pub default_runtime: String,
        /// Before API 1.42.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub cluster_store: String,
        /// Before API 1.42.
        #[serde(skip_serializing_if = "String::is_empty")]
        pub cluster_advertise: String,
        pub swarm: SwarmInfo,
        pub live_restore_enabled: bool,
        pub isolation: String,
        pub init_binary: String,
        pub containerd_commit: Commit,
        pub runc_commit: Commit,
        pub init_commit: Commit,
        pub security_options: Vec<String>,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub product_license: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub default_address_pools: Vec<AddressPool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub firewall_backend: Option<FirewallInfo>,
        #[serde(rename = "CDISpecDirs")]
        pub cdi_spec_dirs: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub containerd: Option<ContainerdInfo>,
        #[serde(serialize_with = "null_if_empty")]
        pub warnings: Vec<String>,
    }

    /// Names of the drivers there are.
    #[serde(rename_all = "PascalCase")]
    pub struct PluginsInfo {
        pub volume: Vec<String>,
        pub network: Vec<String>,
        pub authorization: Option<Vec<String>>,
        pub log: Vec<String>,
    }

    /// How registries are spoken to.
    #[serde(rename_all = "PascalCase")]
    pub struct RegistryConfig {
        /// Before API 1.49.
        #[serde(rename = "AllowNondistributableArtifactsCIDRs", skip_serializing_if = "Option::is_none")]
        pub allow_nondistributable_artifacts_cidrs: Option<Vec<String>>,
        /// Before API 1.49.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub allow_nondistributable_artifacts_hostnames: Option<Vec<String>>,
        #[serde(rename = "InsecureRegistryCIDRs")]
        pub insecure_registry_cidrs: Vec<String>,
        pub index_configs: BTreeMap<String, IndexInfo>,
        pub mirrors: Vec<String>,
    }

    /// One registry.
    #[serde(rename_all = "PascalCase")]
    pub struct IndexInfo {
        pub name: String,
        pub mirrors: Vec<String>,
        pub secure: bool,
        pub official: bool,
    }

    /// An OCI runtime.
    pub struct Runtime {
        pub path: String,
        #[serde(rename = "runtimeArgs", skip_serializing_if = "Vec::is_empty")]
        pub runtime_args: Vec<String>,
        #[serde(skip_serializing_if = "is_default")]
        pub status: BTreeMap<String, String>,
    }

    /// The (absent) swarm: always inactive.
    #[serde(rename_all = "PascalCase")]
    pub struct SwarmInfo {
        #[serde(rename = "NodeID")]
        pub node_id: String,
        pub node_addr: String,
        pub local_node_state: String,
        pub control_available: bool,
        pub error: String,
        pub remote_managers: Option<Vec<serde_json::Value>>,
    }

    /// The version of a program.
    #[serde(rename_all = "PascalCase")]
    pub struct Commit {
        #[serde(rename = "ID")]
        pub id: String,
        /// Before API 1.49.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub expected: Option<String>,
    }

    /// A range that networks are cut from.
    #[serde(rename_all = "PascalCase")]
    pub struct AddressPool {
        pub base: String,
        pub size: i64,
    }

    /// What filters packets.
    #[serde(rename_all = "PascalCase")]
    pub struct FirewallInfo {
        pub driver: String,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub info: Vec<Vec<String>>,
    }

    /// A containerd that the daemon uses.
    #[serde(rename_all = "PascalCase")]
    pub struct ContainerdInfo {
        #[serde(skip_serializing_if = "String::is_empty")]
        pub address: String,
        pub namespaces: ContainerdNamespaces,
    }

    /// Namespaces in that containerd.
    #[serde(rename_all = "PascalCase")]
    pub struct ContainerdNamespaces {
        pub containers: String,
        pub plugins: String,
    }
}
