//! Limits, as Docker spells them. 0 (or empty) = not set, unless said otherwise.

use serde::{Deserialize, Serialize};

/// Limits and devices of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Relative CPU weight (default 1024).
    pub cpu_shares: i64,
    /// Memory, bytes.
    pub memory: i64,
    /// Soft limit, bytes.
    pub memory_reservation: i64,
    /// Memory + swap, bytes; -1 = unlimited swap.
    pub memory_swap: i64,
    /// 0–100.
    pub memory_swappiness: Option<i64>,
    /// Kernel memory, bytes (gone from the kernel; refused).
    pub kernel_memory: i64,
    /// Kernel TCP buffers, bytes.
    pub kernel_memory_tcp: i64,
    /// CPUs × 10⁹.
    pub nano_cpus: i64,
    /// CFS period, µs.
    pub cpu_period: i64,
    /// CFS quota, µs.
    pub cpu_quota: i64,
    /// Real-time period, µs.
    pub cpu_realtime_period: i64,
    /// Real-time runtime, µs.
    pub cpu_realtime_runtime: i64,
    /// CPUs, `0-3,5`.
    pub cpuset_cpus: String,
    /// Memory nodes.
    pub cpuset_mems: String,
    /// Cgroup above the container's.
    pub cgroup_parent: String,
    /// 10–1000.
    pub blkio_weight: u16,
    /// Weights of devices.
    pub blkio_weight_device: Vec<WeightDevice>,
    /// Bytes a second read.
    pub blkio_device_read_bps: Vec<ThrottleDevice>,
    /// Bytes a second written.
    pub blkio_device_write_bps: Vec<ThrottleDevice>,
    /// Reads a second.
    pub blkio_device_read_iops: Vec<ThrottleDevice>,
    /// Writes a second.
    pub blkio_device_write_iops: Vec<ThrottleDevice>,
    /// Host devices inside.
    pub devices: Vec<DeviceMapping>,
    /// `c 1:3 rwm`.
    pub device_cgroup_rules: Vec<String>,
    /// Devices asked of a driver (`--gpus`).
    pub device_requests: Vec<DeviceRequest>,
    /// No OOM killer.
    pub oom_kill_disable: Option<bool>,
    /// Processes; 0 or -1 = unlimited.
    pub pids_limit: Option<i64>,
    /// Resource limits of the process.
    pub ulimits: Vec<Ulimit>,
}

/// Weight of one block device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightDevice {
    /// Device node on the host.
    pub path: String,
    /// 10–1000.
    pub weight: u16,
}

/// Rate of one block device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThrottleDevice {
    /// Device node on the host.
    pub path: String,
    /// Per second.
    pub rate: u64,
}

/// A host device inside the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceMapping {
    /// On the host; may be a directory of devices.
    pub path_on_host: String,
    /// Inside.
    pub path_in_container: String,
    /// Some of `rwm`.
    pub cgroup_permissions: String,
}

/// Devices asked of a driver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRequest {
    /// Driver (`nvidia`, `cdi`).
    pub driver: String,
    /// How many; -1 = all.
    pub count: i64,
    /// Which.
    pub device_ids: Vec<String>,
    /// What they must be able to do.
    pub capabilities: Vec<Vec<String>>,
}

/// One resource limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// `nofile`, `core`, …
    pub name: String,
    /// Soft; -1 = unlimited.
    pub soft: i64,
    /// Hard; -1 = unlimited.
    pub hard: i64,
}
