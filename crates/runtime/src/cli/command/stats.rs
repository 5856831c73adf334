//! A cgroup's numbers in runc's JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sys::cgroup::{BlockIoEntry, MemoryPart, Stats};

/// The `data` of a `stats` event.
pub(super) fn value(stats: &Stats) -> Value {
    json!({
        "cpu": cpu(stats),
        "memory": memory(stats),
        "pids": { "current": stats.pids.current, "limit": stats.pids.limit.unwrap_or(0) },
        "blkio": {
            "ioServiceBytesRecursive": block(&stats.block_io.service_bytes),
            "ioServicedRecursive": block(&stats.block_io.serviced),
        },
        "hugetlb": hugepages(stats),
        "intel_rdt": {},
        "network_interfaces": null,
    })
}

fn cpu(stats: &Stats) -> Value {
    let cpu = &stats.cpu;
    json!({
        "usage": { "total": cpu.usage, "percpu": cpu.per_cpu, "kernel": cpu.kernel, "user": cpu.user },
        "throttling": {
            "periods": cpu.periods, "throttledPeriods": cpu.throttled_periods, "throttledTime": cpu.throttled_time,
        },
    })
}

fn part(usage: u64, max: Option<u64>, limit: Option<u64>, failures: u64) -> Value {
    json!({ "usage": usage, "max": max.unwrap_or(0), "limit": limit.unwrap_or(u64::MAX), "failcnt": failures })
}

fn memory(stats: &Stats) -> Value {
    let memory = &stats.memory;
    let other = |p: &Option<MemoryPart>| match p {
        Some(p) => part(p.usage, p.max_usage, p.limit, p.fail_count),
        None => part(0, None, Some(0), 0),
    };
    json!({
        "cache": memory.cache(),
        "usage": part(memory.usage, memory.max_usage, memory.limit, memory.fail_count),
        "swap": other(&memory.swap),
        "kernel": other(&memory.kernel),
        "kernelTCP": other(&memory.kernel_tcp),
        "raw": memory.detail,
    })
}

fn block(entries: &[BlockIoEntry]) -> Vec<Value> {
    entries
        .iter()
        .map(|e| json!({ "major": e.major, "minor": e.minor, "op": e.op, "value": e.value }))
        .collect()
}

fn hugepages(stats: &Stats) -> Map<String, Value> {
    let one = |h: &sys::cgroup::HugepageStats| json!({ "usage": h.usage, "max": h.max_usage.unwrap_or(0), "failcnt": h.fail_count });
    let all: BTreeMap<_, _> = stats.hugepages.iter().map(|(size, h)| (size.clone(), one(h))).collect();
    all.into_iter().collect()
}
