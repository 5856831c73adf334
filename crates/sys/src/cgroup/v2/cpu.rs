//! `cpu.*` (`cgroup-v2.rst`, "CPU").

use super::super::dir::{Dir, field};
use super::super::{Controller, Cpu, CpuStats, Error, Pressure, Result};
use super::tree::Group;

pub(super) fn apply(group: &Group<'_>, cpu: &Cpu) -> Result<()> {
    if *cpu == Cpu::default() {
        return Ok(());
    }
    if cpu.realtime_period.is_some() || cpu.realtime_runtime.is_some() {
        let reason = "cgroup v2 has no real-time limits";
        return Err(Error::Unsupported { setting: "real-time processor time".to_owned(), reason });
    }
    let dir = group.need(Controller::Cpu, "a limit of processor time")?;
    dir.write_some("cpu.idle", cpu.idle)?;
    // The weight of an idle group is fixed.
    if cpu.idle != Some(1) {
        dir.write_some("cpu.weight", cpu.shares.map(weight))?;
    }
    bandwidth(dir, cpu)
}

/// A burst above the quota is refused at each write, so it goes first when it shrinks.
fn bandwidth(dir: &Dir, cpu: &Cpu) -> Result<()> {
    let lowers_burst =
        cpu.burst.is_some() && dir.number("cpu.max.burst")?.is_some_and(|now| cpu.burst < Some(now));
    if lowers_burst {
        dir.write_some("cpu.max.burst", cpu.burst)?;
    }
    match (cpu.quota, cpu.period) {
        (None, None) => {}
        (Some(quota), None) => dir.write("cpu.max", quota)?,
        (Some(quota), Some(period)) => dir.write("cpu.max", format_args!("{quota} {period}"))?,
        (None, Some(period)) => {
            let now = dir.read("cpu.max")?;
            let quota = now.split_whitespace().next().unwrap_or("max");
            dir.write("cpu.max", format_args!("{quota} {period}"))?;
        }
    }
    if lowers_burst { Ok(()) } else { dir.write_some("cpu.max.burst", cpu.burst) }
}

/// v1's shares (2–262,144, normal 1,024) as v2's weight (1–10,000, normal 100): the curve through the
/// three points (2, 1), (1024, 100) and (262144, 10000) on logarithmic scales, which keeps normal normal.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped"
)]
fn weight(shares: u64) -> u64 {
    let log = (shares.clamp(2, 262_144) as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    (10_f64.powf(exponent).ceil() as u64).clamp(1, 10_000)
}

pub(super) fn stats(dir: &Dir) -> Result<CpuStats> {
    let pressure = dir.read_if_any("cpu.pressure")?.as_deref().map(Pressure::parse);
    Ok(CpuStats { pressure, ..usage(dir)? })
}

pub(super) fn usage(dir: &Dir) -> Result<CpuStats> {
    const NANOS: u64 = 1000;
    let text = dir.read("cpu.stat")?;
    let value = |key| field(&text, key).unwrap_or(0);
    Ok(CpuStats {
        usage: value("usage_usec").saturating_mul(NANOS),
        user: value("user_usec").saturating_mul(NANOS),
        kernel: value("system_usec").saturating_mul(NANOS),
        per_cpu: Vec::new(),
        periods: value("nr_periods"),
        throttled_periods: value("nr_throttled"),
        throttled_time: value("throttled_usec").saturating_mul(NANOS),
        pressure: None,
    })
}

#[cfg(test)]
mod tests {
    use super::weight;

    #[test]
    fn normal_stays_normal_and_the_ends_meet() {
        assert_eq!((weight(0), weight(2), weight(1024), weight(262_144)), (1, 1, 100, 10_000));
        assert_eq!(weight(u64::MAX), 10_000);
        assert!(weight(512) < 100 && weight(2048) > 100);
        assert!((2..5000).all(|shares| weight(shares) <= weight(shares + 1)));
    }
}
