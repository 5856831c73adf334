//! `cpuacct.*` (`admin-guide/cgroup-v1/cpuacct.rst`): accounting only, there is nothing to set.

use super::super::dir::Dir;
use super::super::{CpuStats, Result};

pub(super) fn stats(dir: &Dir, stats: &mut CpuStats) -> Result<()> {
    stats.usage = dir.number("cpuacct.usage")?.unwrap_or(0);
    stats.user = dir.number("cpuacct.usage_user")?.unwrap_or(0);
    stats.kernel = dir.number("cpuacct.usage_sys")?.unwrap_or(0);
    let per_cpu = dir.read_if_any("cpuacct.usage_percpu")?.unwrap_or_default();
    stats.per_cpu = per_cpu.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    Ok(())
}
