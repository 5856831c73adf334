//! What `GET /containers/{id}/stats` streams.
#![expect(missing_docs, reason = "the fields are the Engine API's, documented in its reference")]

use std::collections::BTreeMap;

use crate::wire::is_default;

wire! {
    /// One sample, with the CPU part of the one before it.
    pub struct StatsResponse {
        pub name: String,
        pub id: String,
        #[serde(skip_serializing_if = "String::is_empty")]
        pub os_type: String,
        pub read: String,
        pub preread: String,
        pub pids_stats: PidsStats,
        pub blkio_stats: BlkioStats,
        pub num_procs: u32,
        pub storage_stats: StorageStats,
        pub cpu_stats: CpuStats,
        pub precpu_stats: CpuStats,
        pub memory_stats: MemoryStats,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub networks: BTreeMap<String, NetworkStats>,
    }

    /// Tasks.
    pub struct PidsStats {
        #[serde(skip_serializing_if = "is_default")]
        pub current: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub limit: u64,
    }

    /// Block I/O; only the first list is kept on cgroup v2.
    pub struct BlkioStats {
        pub io_service_bytes_recursive: Option<Vec<BlkioEntry>>,
        pub io_serviced_recursive: Option<Vec<BlkioEntry>>,
        pub io_queue_recursive: Option<Vec<BlkioEntry>>,
        pub io_service_time_recursive: Option<Vec<BlkioEntry>>,
        pub io_wait_time_recursive: Option<Vec<BlkioEntry>>,
        pub io_merged_recursive: Option<Vec<BlkioEntry>>,
        pub io_time_recursive: Option<Vec<BlkioEntry>>,
        pub sectors_recursive: Option<Vec<BlkioEntry>>,
    }

    /// A counter of one device and operation.
    pub struct BlkioEntry {
        pub major: u64,
        pub minor: u64,
        pub op: String,
        pub value: u64,
    }

    /// Windows' storage counters: always empty here, but clients read the object.
    pub struct StorageStats {
        #[serde(skip_serializing_if = "is_default")]
        pub read_count_normalized: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub read_size_bytes: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub write_count_normalized: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub write_size_bytes: u64,
    }

    /// CPU time.
    pub struct CpuStats {
        pub cpu_usage: CpuUsage,
        #[serde(skip_serializing_if = "is_default")]
        pub system_cpu_usage: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub online_cpus: u32,
        pub throttling_data: ThrottlingData,
    }

    /// CPU time in nanoseconds.
    pub struct CpuUsage {
        pub total_usage: u64,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub percpu_usage: Vec<u64>,
        pub usage_in_kernelmode: u64,
        pub usage_in_usermode: u64,
    }

    /// How often the quota held the container back.
    pub struct ThrottlingData {
        pub periods: u64,
        pub throttled_periods: u64,
        pub throttled_time: u64,
    }

    /// Memory in bytes.
    pub struct MemoryStats {
        #[serde(skip_serializing_if = "is_default")]
        pub usage: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub max_usage: u64,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub stats: BTreeMap<String, u64>,
        #[serde(skip_serializing_if = "is_default")]
        pub failcnt: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub limit: u64,
    }

    /// Counters of one interface.
    pub struct NetworkStats {
        pub rx_bytes: u64,
        pub rx_packets: u64,
        pub rx_errors: u64,
        pub rx_dropped: u64,
        pub tx_bytes: u64,
        pub tx_packets: u64,
        pub tx_errors: u64,
        pub tx_dropped: u64,
    }
}
