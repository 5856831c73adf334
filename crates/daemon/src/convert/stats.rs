//! What a container uses, in the fields that Docker has for each version of cgroups.

use std::collections::BTreeMap;

use api::container as wire;
use engine::container::{CpuSample, Sample, Stats, Traffic};
use sys::cgroup::BlockIoEntry;

use super::time;

/// Lines of `memory.stat` that Docker passes on from cgroup v1, those of the group alone; each has a `total_` one.
const V1_MEMORY: [&str; 16] = [
    "active_anon",
    "active_file",
    "cache",
    "dirty",
    "inactive_anon",
    "inactive_file",
    "mapped_file",
    "pgfault",
    "pgmajfault",
    "pgpgin",
    "pgpgout",
    "rss",
    "rss_huge",
    "unevictable",
    "writeback",
    "hierarchical_memory_limit",
];

/// Lines of `memory.stat` that Docker passes on from cgroup v2.
const V2_MEMORY: [&str; 31] = [
    "active_anon",
    "active_file",
    "anon",
    "anon_thp",
    "file",
    "file_dirty",
    "file_mapped",
    "file_writeback",
    "inactive_anon",
    "inactive_file",
    "kernel_stack",
    "pgactivate",
    "pgdeactivate",
    "pgfault",
    "pglazyfree",
    "pglazyfreed",
    "pgmajfault",
    "pgrefill",
    "pgscan",
    "pgsteal",
    "shmem",
    "slab",
    "slab_reclaimable",
    "slab_unreclaimable",
    "sock",
    "thp_collapse_alloc",
    "thp_fault_alloc",
    "unevictable",
    "workingset_activate",
    "workingset_nodereclaim",
    "workingset_refault",
];

/// A reading; of a container that does not run only the name.
pub(crate) fn stats(stats: &Stats) -> wire::StatsResponse {
    let mut answer = wire::StatsResponse {
        name: format!("/{}", stats.container.name),
        id: stats.container.id.clone(),
        os_type: "linux".to_owned(),
        read: time::rfc3339(None),
        preread: time::rfc3339(None),
        ..wire::StatsResponse::default()
    };
    if let Some(previous) = &stats.previous {
        answer.preread = time::rfc3339(Some(previous.read));
        answer.precpu_stats = cpu(previous);
    }
    if let Some(sample) = &stats.sample {
        answer.read = time::rfc3339(Some(sample.cpu.read));
        answer.cpu_stats = cpu(&sample.cpu);
        answer.memory_stats = memory(sample);
        answer.pids_stats = pids(sample);
        answer.blkio_stats = block_io(sample);
        answer.networks =
            sample.networks.iter().map(|(name, traffic)| (name.clone(), network(traffic))).collect();
    }
    answer
}

fn cpu(sample: &CpuSample) -> wire::CpuStats {
    let usage = &sample.usage;
    wire::CpuStats {
        cpu_usage: wire::CpuUsage {
            total_usage: usage.usage,
            percpu_usage: usage.per_cpu.clone(),
            usage_in_kernelmode: usage.kernel,
            usage_in_usermode: usage.user,
        },
        system_cpu_usage: sample.machine,
        online_cpus: sample.online,
        throttling_data: wire::ThrottlingData {
            periods: usage.periods,
            throttled_periods: usage.throttled_periods,
            throttled_time: usage.throttled_time,
        },
    }
}

fn memory(sample: &Sample) -> wire::MemoryStats {
    let memory = &sample.memory;
    let detail = |key: &str| memory.detail.get(key).copied().unwrap_or_default();
    let mut kinds = BTreeMap::new();
    if sample.cgroup_v2 {
        kinds.extend(V2_MEMORY.iter().map(|key| ((*key).to_owned(), detail(key))));
    } else {
        let totals =
            V1_MEMORY.iter().filter(|key| !key.starts_with("hierarchical")).map(|key| format!("total_{key}"));
        let own = V1_MEMORY.iter().map(|key| (*key).to_owned());
        let keys = own.chain(totals).chain(["hierarchical_memsw_limit".to_owned()]);
        kinds.extend(keys.map(|key| (key.clone(), detail(&key))));
    }
    wire::MemoryStats {
        usage: memory.usage,
        max_usage: memory.max_usage.filter(|_| !sample.cgroup_v2).unwrap_or_default(),
        stats: kinds,
        failcnt: if sample.cgroup_v2 { 0 } else { memory.fail_count },
        // an unlimited container can have what the machine has
        limit: memory.limit.map_or(sample.machine_memory, |limit| limit.min(sample.machine_memory)),
    }
}

fn pids(sample: &Sample) -> wire::PidsStats {
    // as Docker: what v2 calls "max" is the largest number, v1 has none
    let unlimited = if sample.cgroup_v2 { u64::MAX } else { 0 };
    wire::PidsStats { current: sample.pids.current, limit: sample.pids.limit.unwrap_or(unlimited) }
}

/// On v2 Docker shows bytes alone, under names in lower case, and null for none; the lists that no kernel fills any
/// more are empty on v1.
fn block_io(sample: &Sample) -> wire::BlkioStats {
    let block_io = &sample.block_io;
    if sample.cgroup_v2 {
        let shown = block_io.service_bytes.iter().filter(|entry| entry.op != "Discard");
        let bytes = shown.map(|one| wire::BlkioEntry { op: one.op.to_lowercase(), ..entry(one) });
        let bytes: Vec<_> = bytes.collect();
        return wire::BlkioStats {
            io_service_bytes_recursive: Some(bytes).filter(|bytes| !bytes.is_empty()),
            ..wire::BlkioStats::default()
        };
    }
    wire::BlkioStats {
        io_service_bytes_recursive: Some(block_io.service_bytes.iter().map(entry).collect()),
        io_serviced_recursive: Some(block_io.serviced.iter().map(entry).collect()),
        io_queue_recursive: Some(Vec::new()),
        io_service_time_recursive: Some(Vec::new()),
        io_wait_time_recursive: Some(Vec::new()),
        io_merged_recursive: Some(Vec::new()),
        io_time_recursive: Some(Vec::new()),
        sectors_recursive: Some(Vec::new()),
    }
}

fn entry(entry: &BlockIoEntry) -> wire::BlkioEntry {
    wire::BlkioEntry {
        major: u64::from(entry.major),
        minor: u64::from(entry.minor),
        op: entry.op.clone(),
        value: entry.value,
    }
}

fn network(traffic: &Traffic) -> wire::NetworkStats {
    wire::NetworkStats {
        rx_bytes: traffic.rx_bytes,
        rx_packets: traffic.rx_packets,
        rx_errors: traffic.rx_errors,
        rx_dropped: traffic.rx_dropped,
        tx_bytes: traffic.tx_bytes,
        tx_packets: traffic.tx_packets,
        tx_errors: traffic.tx_errors,
        tx_dropped: traffic.tx_dropped,
    }
}
