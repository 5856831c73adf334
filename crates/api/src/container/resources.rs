//! Limits; part of `HostConfig`, and what `update` changes.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use std::collections::BTreeMap;

use crate::wire::null_if_empty;

wire! {
    /// `Resources`. Zero means no limit of that kind; `None` that none was wished.
    #[serde(rename_all = "PascalCase")]
    pub struct Resources {
        pub cpu_shares: i64,
        pub memory: i64,
        pub nano_cpus: i64,
        pub cgroup_parent: String,
        pub blkio_weight: u16,
        pub blkio_weight_device: Vec<WeightDevice>,
        pub blkio_device_read_bps: Vec<ThrottleDevice>,
        pub blkio_device_write_bps: Vec<ThrottleDevice>,
        #[serde(rename = "BlkioDeviceReadIOps")]
        pub blkio_device_read_iops: Vec<ThrottleDevice>,
        #[serde(rename = "BlkioDeviceWriteIOps")]
        pub blkio_device_write_iops: Vec<ThrottleDevice>,
        pub cpu_period: i64,
        pub cpu_quota: i64,
        pub cpu_realtime_period: i64,
        pub cpu_realtime_runtime: i64,
        pub cpuset_cpus: String,
        pub cpuset_mems: String,
        pub devices: Vec<DeviceMapping>,
        #[serde(serialize_with = "null_if_empty")]
        pub device_cgroup_rules: Vec<String>,
        #[serde(serialize_with = "null_if_empty")]
        pub device_requests: Vec<DeviceRequest>,
        /// Deprecated: without effect since kernel 5.4.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub kernel_memory: Option<i64>,
        /// Deprecated: cgroup v1 only.
        #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "Option::is_none")]
        pub kernel_memory_tcp: Option<i64>,
        pub memory_reservation: i64,
        pub memory_swap: i64,
        pub memory_swappiness: Option<i64>,
        pub oom_kill_disable: Option<bool>,
        pub pids_limit: Option<i64>,
        pub ulimits: Vec<Ulimit>,
        pub cpu_count: i64,
        pub cpu_percent: i64,
        #[serde(rename = "IOMaximumIOps")]
        pub io_maximum_iops: u64,
        #[serde(rename = "IOMaximumBandwidth")]
        pub io_maximum_bandwidth: u64,
    }

    /// A weight for one block device.
    #[serde(rename_all = "PascalCase")]
    pub struct WeightDevice {
        pub path: String,
        pub weight: u16,
    }

    /// A rate for one block device: bytes or operations a second.
    #[serde(rename_all = "PascalCase")]
    pub struct ThrottleDevice {
        pub path: String,
        pub rate: u64,
    }

    /// A device of the host, given to the container.
    #[serde(rename_all = "PascalCase")]
    pub struct DeviceMapping {
        pub path_on_host: String,
        pub path_in_container: String,
        pub cgroup_permissions: String,
    }

    /// Devices by capability (`--gpus`, CDI).
    #[serde(rename_all = "PascalCase")]
    pub struct DeviceRequest {
        pub driver: String,
        pub count: i64,
        #[serde(rename = "DeviceIDs", serialize_with = "null_if_empty")]
        pub device_ids: Vec<String>,
        #[serde(serialize_with = "null_if_empty")]
        pub capabilities: Vec<Vec<String>>,
        pub options: BTreeMap<String, String>,
    }

    /// A resource limit of a process; -1 is unlimited.
    #[serde(rename_all = "PascalCase")]
    pub struct Ulimit {
        pub name: String,
        pub hard: i64,
        pub soft: i64,
    }
}
