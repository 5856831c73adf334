//! The nouns of `version`, `info` and `system df`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::build::CacheUsage;
use crate::config::{CgroupDriver, Runtime};
use crate::container::Container;
use crate::image::Image;
use crate::registry::RegistryConfig;
use crate::volume::Volume;

/// What the engine is and where it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// Berth's version.
    pub version: String,
    /// Commit it was built from, or empty.
    pub git_commit: String,
    /// When it was built, or empty.
    pub build_time: String,
    /// `linux`.
    pub os: String,
    /// Go's name of the architecture (`amd64`).
    pub arch: String,
    /// `uname -r`.
    pub kernel: String,
}

/// The engine's state in numbers and names.
#[derive(Debug, Clone)]
pub struct Info {
    /// Stable id of this data root.
    pub id: String,
    /// Containers by status.
    pub running: usize,
    /// Frozen ones.
    pub paused: usize,
    /// All others.
    pub stopped: usize,
    /// Images.
    pub images: usize,
    /// Storage driver.
    pub storage_driver: String,
    /// Its properties, in order.
    pub driver_status: Vec<(String, String)>,
    /// Data root.
    pub data_root: String,
    /// Memory limits work.
    pub memory_limit: bool,
    /// Swap limits work.
    pub swap_limit: bool,
    /// CPU period and quota work.
    pub cpu_cfs: bool,
    /// CPU shares work.
    pub cpu_shares: bool,
    /// CPU sets work.
    pub cpu_set: bool,
    /// Process limits work.
    pub pids_limit: bool,
    /// Oom-kill-disable works (v1 only).
    pub oom_kill_disable: bool,
    /// Firewall rules are made.
    pub firewall: bool,
    /// Packets that a bridge passes go through the firewall: of IPv4, of IPv6.
    pub bridge_firewall: (bool, bool),
    /// Packets are forwarded.
    pub ipv4_forwarding: bool,
    /// Debug logging.
    pub debug: bool,
    /// Open file descriptors.
    pub fds: usize,
    /// Tokio tasks.
    pub tasks: usize,
    /// Listeners to events.
    pub events_listeners: usize,
    /// Log drivers.
    pub log_drivers: Vec<String>,
    /// Default log driver.
    pub default_log_driver: String,
    /// Volume drivers.
    pub volume_drivers: Vec<String>,
    /// Network drivers.
    pub network_drivers: Vec<String>,
    /// The store that networks are shared in, and where others reach this host.
    pub cluster: Option<(String, String)>,
    /// Who makes cgroups.
    pub cgroup_driver: CgroupDriver,
    /// 1 or 2.
    pub cgroup_version: u8,
    /// `uname -r`.
    pub kernel: String,
    /// `PRETTY_NAME` of the host.
    pub operating_system: String,
    /// `VERSION_ID` of the host.
    pub os_version: String,
    /// `uname -m`.
    pub machine: String,
    /// CPUs.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Host name.
    pub name: String,
    /// Where specifications of devices are looked for.
    pub cdi_directories: Vec<std::path::PathBuf>,
    /// The engine's labels.
    pub labels: Vec<String>,
    /// Runtimes by name.
    pub runtimes: BTreeMap<String, Runtime>,
    /// Default runtime.
    pub default_runtime: String,
    /// How registries are reached, with the proxies that are in effect.
    pub registries: RegistryConfig,
    /// `name=seccomp,profile=builtin`, `name=cgroupns`, …
    pub security_options: Vec<String>,
    /// The init's program.
    pub init_binary: String,
    /// What works not as it should.
    pub warnings: Vec<String>,
}

/// What takes space on the disk: bytes of allocated blocks, as `du` counts. Every block below the data root is in
/// exactly one of the sums, so that they make up [`DiskUsage::total`].
#[derive(Debug, Clone, Default)]
pub struct DiskUsage {
    /// All layers and images, each once.
    pub images_size: u64,
    /// What would come free if all images without a container went.
    pub images_reclaimable: u64,
    /// Images.
    pub images: Vec<ImageUsage>,
    /// Containers.
    pub containers: Vec<ContainerUsage>,
    /// Volumes.
    pub volumes: Vec<VolumeUsage>,
    /// The build cache.
    pub build_cache: CacheUsage,
    /// Everything else: records, indexes, networks, the directories around it all.
    pub records: u64,
}

/// What an image takes.
#[derive(Debug, Clone)]
pub struct ImageUsage {
    /// The image.
    pub image: Arc<Image>,
    /// All of it.
    pub size: u64,
    /// The part that other images have, too.
    pub shared: u64,
}

/// What a container takes.
#[derive(Debug, Clone)]
pub struct ContainerUsage {
    /// The container.
    pub container: Arc<Container>,
    /// What it has written to its root.
    pub written: u64,
    /// Its whole root, with its image.
    pub root: u64,
    /// Its logs.
    pub logs: u64,
}

/// What a volume takes.
#[derive(Debug, Clone)]
pub struct VolumeUsage {
    /// The volume.
    pub volume: Volume,
    /// Its files.
    pub size: u64,
    /// How many containers have it.
    pub users: usize,
}

impl DiskUsage {
    /// All logs.
    #[must_use]
    pub fn logs(&self) -> u64 {
        self.containers.iter().map(|one| one.logs).sum()
    }

    /// The whole data root.
    #[must_use]
    pub fn total(&self) -> u64 {
        let written: u64 = self.containers.iter().map(|one| one.written).sum();
        let volumes: u64 = self.volumes.iter().map(|one| one.size).sum();
        self.images_size + written + self.logs() + volumes + self.build_cache.total + self.records
    }
}
