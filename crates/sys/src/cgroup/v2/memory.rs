//! `memory.*` (`cgroup-v2.rst`, "Memory").

use super::super::dir::{Dir, field, fields};
use super::super::{Controller, Error, Limit, Memory, MemoryPart, MemoryStats, Pressure, Result};
use super::tree::Group;

pub(super) fn apply(group: &Group<'_>, memory: &Memory) -> Result<()> {
    refuse_v1_only(memory)?;
    if memory.limit.is_none() && memory.swap.is_none() && memory.reservation.is_none() {
        return Ok(());
    }
    let dir = group.need(Controller::Memory, "a memory limit")?;
    check_use(dir, memory)?;
    if let Some(swap) = swap_alone(dir, memory)? {
        // A kernel without swap accounting has no such file; there "none" and "any" need no limit.
        if dir.has("memory.swap.max") || !matches!(swap, Limit::Max | Limit::At(0)) {
            dir.write("memory.swap.max", swap)?;
        }
    }
    dir.write_some("memory.max", memory.limit)?;
    dir.write_some("memory.low", memory.reservation)
}

fn refuse_v1_only(memory: &Memory) -> Result<()> {
    let given = [
        (memory.swappiness.is_some(), "memory swappiness"),
        (memory.disable_oom_killer, "disabling the out-of-memory killer"),
        (memory.kernel_tcp.is_some(), "a limit of TCP buffer memory"),
    ];
    match given.into_iter().find(|(is_given, _)| *is_given) {
        Some((_, setting)) => {
            Err(Error::Unsupported { setting: setting.to_owned(), reason: "cgroup v2 has no such setting" })
        }
        None => Ok(()),
    }
}

/// The limit of swap alone: v1 counts memory and swap together, v2 apart.
fn swap_alone(dir: &Dir, memory: &Memory) -> Result<Option<Limit>> {
    let Some(Limit::At(sum)) = memory.swap else { return Ok(memory.swap) };
    let limit = match memory.limit {
        Some(Limit::At(limit)) => limit,
        Some(Limit::Max) => return Err(no_limit()),
        // An update of the sum alone is about the limit that is there.
        None => dir.number("memory.max")?.filter(|&limit| limit != u64::MAX).ok_or_else(no_limit)?,
    };
    let below = Error::Unsupported {
        setting: "memory and swap limit".to_owned(),
        reason: "is below the memory limit",
    };
    sum.checked_sub(limit).map(|swap| Some(Limit::At(swap))).ok_or(below)
}

fn no_limit() -> Error {
    Error::Unsupported { setting: "memory and swap limit".to_owned(), reason: "needs a memory limit too" }
}

fn check_use(dir: &Dir, memory: &Memory) -> Result<()> {
    let Some(Limit::At(limit)) = memory.limit.filter(|_| memory.check_before_update) else { return Ok(()) };
    let usage = dir.number("memory.current")?.unwrap_or(0);
    if limit < usage {
        return Err(Error::MemoryInUse { limit: i64::try_from(limit).unwrap_or(i64::MAX), usage });
    }
    Ok(())
}

pub(super) fn stats(dir: &Dir) -> Result<MemoryStats> {
    let Some(whole) = part(dir, "memory")? else { return Ok(MemoryStats::default()) };
    let detail = dir.read("memory.stat")?;
    let events = dir.read_if_any("memory.events")?.unwrap_or_default();
    Ok(MemoryStats {
        usage: whole.usage,
        max_usage: whole.max_usage,
        limit: whole.limit,
        fail_count: field(&events, "max").unwrap_or(0),
        swap: part(dir, "memory.swap")?,
        swap_is_sum: false,
        kernel: field(&detail, "kernel").map(|usage| MemoryPart { usage, ..MemoryPart::default() }),
        kernel_tcp: None,
        detail: fields(&detail).map(|(key, value)| (key.to_owned(), value)).collect(),
        oom_kills: field(&events, "oom_kill").unwrap_or(0),
        hierarchical: true,
        pressure: dir.read_if_any("memory.pressure")?.as_deref().map(Pressure::parse),
    })
}

/// What is in use now, its kinds, and the limit.
pub(super) fn usage(dir: &Dir) -> Result<MemoryStats> {
    let Some(usage) = dir.number("memory.current")? else { return Ok(MemoryStats::default()) };
    let detail = dir.read("memory.stat")?;
    Ok(MemoryStats {
        usage,
        limit: dir.number("memory.max")?.filter(|&limit| limit != u64::MAX),
        detail: fields(&detail).map(|(key, value)| (key.to_owned(), value)).collect(),
        hierarchical: true,
        ..MemoryStats::default()
    })
}

fn part(dir: &Dir, prefix: &str) -> Result<Option<MemoryPart>> {
    let Some(usage) = dir.number(&format!("{prefix}.current"))? else { return Ok(None) };
    let limit = dir.number(&format!("{prefix}.max"))?.filter(|&limit| limit != u64::MAX);
    let max_usage = dir.number(&format!("{prefix}.peak"))?;
    let events = dir.read_if_any(&format!("{prefix}.events"))?.unwrap_or_default();
    Ok(Some(MemoryPart { usage, max_usage, limit, fail_count: field(&events, "max").unwrap_or(0) }))
}
