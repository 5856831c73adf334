//! `memory.*` (`admin-guide/cgroup-v1/memory.rst`).

use super::super::dir::{Dir, field, fields};
use super::super::{Controller, Error, Limit, Memory, MemoryPart, MemoryStats, Result};

const LIMIT: &str = "memory.limit_in_bytes";
const SWAP_LIMIT: &str = "memory.memsw.limit_in_bytes";

pub(super) fn apply(dir: Option<&Dir>, memory: &Memory) -> Result<()> {
    if *memory == (Memory { check_before_update: memory.check_before_update, ..Memory::default() }) {
        return Ok(());
    }
    let missing = Error::NoController { controller: Controller::Memory, setting: "a memory limit" };
    let dir = dir.ok_or(missing)?;
    check_use(dir, memory)?;
    limits(dir, memory)?;
    dir.write_some("memory.soft_limit_in_bytes", memory.reservation.map(signed))?;
    dir.write_some("memory.kmem.tcp.limit_in_bytes", memory.kernel_tcp.map(signed))?;
    dir.write_some("memory.swappiness", memory.swappiness)?;
    if memory.disable_oom_killer { dir.write("memory.oom_control", 1) } else { Ok(()) }
}

/// Limit and memory+swap limit: the kernel refuses a memory limit above the sum's, at every moment. So
/// the sum goes first when it grows, and last when it shrinks.
fn limits(dir: &Dir, memory: &Memory) -> Result<()> {
    let (limit, mut swap) = (memory.limit.map(signed), memory.swap.map(signed));
    if limit == Some(-1) && swap.is_none() && dir.has(SWAP_LIMIT) {
        // Unlimited memory under a limited sum is impossible.
        swap = Some(-1);
    }
    if swap.is_some() && !dir.has(SWAP_LIMIT) {
        let reason = "the kernel does not account swap (boot with swapaccount=1)";
        // "Unlimited" is what such a kernel does anyway.
        return match swap {
            Some(-1) => dir.write_some(LIMIT, limit),
            _ => Err(Error::Unsupported { setting: "memory and swap limit".to_owned(), reason }),
        };
    }
    let Some(sum) = swap else { return dir.write_some(LIMIT, limit) };
    let now = dir.number(SWAP_LIMIT)?.unwrap_or(u64::MAX);
    let grows = u64::try_from(sum).map_or(true, |sum| sum >= now);
    if grows {
        dir.write(SWAP_LIMIT, sum)?;
        dir.write_some(LIMIT, limit)
    } else {
        dir.write_some(LIMIT, limit)?;
        dir.write(SWAP_LIMIT, sum)
    }
}

/// Refuses, when asked to, a limit that would make the kernel kill processes at once.
fn check_use(dir: &Dir, memory: &Memory) -> Result<()> {
    let Some(Limit::At(limit)) = memory.limit.filter(|_| memory.check_before_update) else { return Ok(()) };
    let usage = dir.number("memory.usage_in_bytes")?.unwrap_or(0);
    if limit < usage {
        return Err(Error::MemoryInUse { limit: i64::try_from(limit).unwrap_or(i64::MAX), usage });
    }
    Ok(())
}

fn signed(limit: Limit) -> i64 {
    match limit {
        Limit::Max => -1,
        Limit::At(bytes) => i64::try_from(bytes).unwrap_or(i64::MAX),
    }
}

/// v1 spells "unlimited" as the largest multiple of the page size, which differs by architecture.
const UNLIMITED_FROM: u64 = i64::MAX as u64 & !0xffff;

pub(super) fn stats(dir: &Dir) -> Result<MemoryStats> {
    let whole = part(dir, "memory")?.unwrap_or_default();
    let detail = dir.read("memory.stat")?;
    let oom = dir.read_if_any("memory.oom_control")?.unwrap_or_default();
    Ok(MemoryStats {
        usage: whole.usage,
        max_usage: whole.max_usage,
        limit: whole.limit,
        fail_count: whole.fail_count,
        swap: part(dir, "memory.memsw")?,
        swap_is_sum: true,
        kernel: part(dir, "memory.kmem")?,
        kernel_tcp: part(dir, "memory.kmem.tcp")?,
        detail: fields(&detail).map(|(key, value)| (key.to_owned(), value)).collect(),
        oom_kills: field(&oom, "oom_kill").unwrap_or(0),
        hierarchical: dir.number("memory.use_hierarchy")? == Some(1),
        pressure: None,
    })
}

/// What is in use now, its kinds, and the limit.
pub(super) fn usage(dir: &Dir) -> Result<MemoryStats> {
    let whole = part(dir, "memory")?.unwrap_or_default();
    let detail = dir.read("memory.stat")?;
    Ok(MemoryStats {
        usage: whole.usage,
        max_usage: whole.max_usage,
        limit: whole.limit,
        fail_count: whole.fail_count,
        detail: fields(&detail).map(|(key, value)| (key.to_owned(), value)).collect(),
        ..MemoryStats::default()
    })
}

fn part(dir: &Dir, prefix: &str) -> Result<Option<MemoryPart>> {
    let Some(usage) = dir.number(&format!("{prefix}.usage_in_bytes"))? else { return Ok(None) };
    let limit = dir.number(&format!("{prefix}.limit_in_bytes"))?.filter(|&limit| limit < UNLIMITED_FROM);
    let max_usage = dir.number(&format!("{prefix}.max_usage_in_bytes"))?;
    let fail_count = dir.number(&format!("{prefix}.failcnt"))?.unwrap_or(0);
    Ok(Some(MemoryPart { usage, max_usage, limit, fail_count }))
}
