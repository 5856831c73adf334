//! `cpu.*` (`scheduler/sched-bwc.rst`, `scheduler/sched-rt-group.rst`).

use rustix::io::Errno;

use super::super::dir::{Dir, field};
use super::super::{Controller, Cpu, CpuStats, Error, Limit, Result};

pub(super) fn apply(dir: Option<&Dir>, cpu: &Cpu) -> Result<()> {
    if *cpu == Cpu::default() {
        return Ok(());
    }
    let missing = Error::NoController { controller: Controller::Cpu, setting: "a limit of processor time" };
    let dir = dir.ok_or(missing)?;
    dir.write_some("cpu.rt_period_us", cpu.realtime_period)?;
    dir.write_some("cpu.rt_runtime_us", cpu.realtime_runtime)?;
    dir.write_some("cpu.shares", cpu.shares)?;
    bandwidth(dir, cpu)?;
    dir.write_some("cpu.idle", cpu.idle)
}

/// Period, quota and burst check one another at each write, so the order depends on what is there: a
/// burst larger than a new quota, and a quota larger than a new period's limit, are refused.
fn bandwidth(dir: &Dir, cpu: &Cpu) -> Result<()> {
    let quota = cpu.quota.map(|quota| match quota {
        Limit::Max => -1,
        Limit::At(micros) => i64::try_from(micros).unwrap_or(i64::MAX),
    });
    let lowers_burst =
        cpu.burst.is_some() && dir.number("cpu.cfs_burst_us")?.is_some_and(|now| cpu.burst < Some(now));
    if lowers_burst {
        dir.write_some("cpu.cfs_burst_us", cpu.burst)?;
    }
    let mut quota_left = quota;
    if let Some(period) = cpu.period {
        match dir.write("cpu.cfs_period_us", period) {
            Err(err) if err.errno() == Some(Errno::INVAL) && quota.is_some() => {
                dir.write_some("cpu.cfs_quota_us", quota_left.take())?;
                dir.write("cpu.cfs_period_us", period)?;
            }
            other => other?,
        }
    }
    dir.write_some("cpu.cfs_quota_us", quota_left)?;
    if lowers_burst { Ok(()) } else { dir.write_some("cpu.cfs_burst_us", cpu.burst) }
}

pub(super) fn stats(dir: &Dir, stats: &mut CpuStats) -> Result<()> {
    let Some(text) = dir.read_if_any("cpu.stat")? else { return Ok(()) };
    stats.periods = field(&text, "nr_periods").unwrap_or(0);
    stats.throttled_periods = field(&text, "nr_throttled").unwrap_or(0);
    stats.throttled_time = field(&text, "throttled_time").unwrap_or(0);
    Ok(())
}
