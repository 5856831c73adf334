//! How a container meets this host: Docker's `HostConfig`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::mount::Mount;
use super::resources::Resources;

/// Docker's `HostConfig`: the half of a container's description that names this host.
///
/// Mode strings are kept as they were asked for (inspect shows them) and are parsed by [`crate::container::mode`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostConfig {
    /// Limits and devices.
    pub resources: Resources,
    /// `source:target[:options]`.
    pub binds: Vec<String>,
    /// `--mount`.
    pub mounts: Vec<Mount>,
    /// Target → tmpfs options.
    pub tmpfs: BTreeMap<String, String>,
    /// Volumes taken over from other containers, `name[:ro|rw]`.
    pub volumes_from: Vec<String>,
    /// Driver for volumes made on the way.
    pub volume_driver: String,
    /// File in which the client wrote the id (inspect only).
    pub container_id_file: String,
    /// Log driver and options.
    pub log_config: LogConfig,
    /// `default`, `bridge`, `none`, `host`, `container:NAME` or a network.
    pub network_mode: String,
    /// `80/tcp` → host addresses.
    pub port_bindings: BTreeMap<String, Vec<PortBinding>>,
    /// Publish every exposed port.
    pub publish_all_ports: bool,
    /// What follows an exit.
    pub restart_policy: RestartPolicy,
    /// Remove after exit.
    pub auto_remove: bool,
    /// Height and width of the first terminal.
    pub console_size: [u32; 2],
    /// Annotations for the runtime.
    pub annotations: BTreeMap<String, String>,
    /// Capabilities added.
    pub cap_add: Vec<String>,
    /// Capabilities dropped.
    pub cap_drop: Vec<String>,
    /// ``, `private` or `host`.
    pub cgroupns_mode: String,
    /// Name servers.
    pub dns: Vec<String>,
    /// Resolver options.
    pub dns_options: Vec<String>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// `name:address` lines for `/etc/hosts`.
    pub extra_hosts: Vec<String>,
    /// Additional groups.
    pub group_add: Vec<String>,
    /// ``, `none`, `private`, `shareable`, `host`, `container:NAME`.
    pub ipc_mode: String,
    /// Cgroup to use (Docker keeps it, and uses it nowhere).
    pub cgroup: String,
    /// Legacy links `name[:alias]`.
    pub links: Vec<String>,
    /// `/proc/PID/oom_score_adj`.
    pub oom_score_adj: i64,
    /// ``, `host`, `container:NAME`.
    pub pid_mode: String,
    /// Everything allowed.
    pub privileged: bool,
    /// The root file system is read-only.
    pub readonly_rootfs: bool,
    /// `seccomp=…`, `apparmor=…`, `label=…`, `no-new-privileges`, `systempaths=unconfined`.
    pub security_opt: Vec<String>,
    /// Storage driver options.
    pub storage_opt: BTreeMap<String, String>,
    /// `` or `host`.
    pub uts_mode: String,
    /// `` or `host`.
    pub userns_mode: String,
    /// Bytes of `/dev/shm`; 0 = 64 MiB.
    pub shm_size: i64,
    /// Kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Runtime's name; empty = the default.
    pub runtime: String,
    /// Windows only; only `` and `default` pass.
    pub isolation: String,
    /// An init as first process; `None` = the daemon's default.
    pub init: Option<bool>,
    /// Paths hidden; `None` = Docker's default.
    pub masked_paths: Option<Vec<String>>,
    /// Paths made read-only; `None` = Docker's default.
    pub readonly_paths: Option<Vec<String>>,
}

/// Log driver and its options.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// Driver (`json-file`, `none`, …); empty = the daemon's default.
    pub driver: String,
    /// Options.
    pub options: BTreeMap<String, String>,
}

/// One host address of a published port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct PortBinding {
    /// Host address; empty = all.
    pub host_ip: String,
    /// Port or range; empty = any free one.
    pub host_port: String,
}

/// When a container is started again by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// After a failure, at most this many times in a row (0 = no limit).
    OnFailure(u32),
    /// Always, also after the daemon starts.
    Always,
    /// Always, except when it was stopped by a person.
    UnlessStopped,
}

impl RestartPolicy {
    /// Docker's name of the policy.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::OnFailure(_) => "on-failure",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        }
    }

    /// `MaximumRetryCount`.
    #[must_use]
    pub fn maximum_retry_count(self) -> u32 {
        match self {
            Self::OnFailure(count) => count,
            _ => 0,
        }
    }
}
