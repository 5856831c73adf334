//! Interleaved timing, and memory as the kernel accounts it.

use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// One line of the report.
pub(super) struct Row {
    pub(super) work: String,
    pub(super) ours: f64,
    pub(super) peer: String,
    pub(super) theirs: f64,
    pub(super) unit: &'static str,
    /// More is better.
    pub(super) rate: bool,
}

impl Row {
    pub(super) fn new(work: &str, unit: &'static str, ours: f64, peer: &str, theirs: f64) -> Self {
        Self { work: work.to_owned(), ours, peer: peer.to_owned(), theirs, unit, rate: false }
    }

    /// A figure of which more is better.
    pub(super) fn rate(work: &str, unit: &'static str, ours: f64, peer: &str, theirs: f64) -> Self {
        Self { rate: true, ..Self::new(work, unit, ours, peer, theirs) }
    }

    /// How many times better ours is; none where that means nothing.
    pub(super) fn ratio(&self) -> Option<f64> {
        let (more, less) = if self.rate { (self.ours, self.theirs) } else { (self.theirs, self.ours) };
        (less > 0.0).then_some(more / less)
    }
}

/// How often each side is measured.
pub(super) const RUNS: usize = 15;

/// Runs `ours` and `theirs` in turn, after one round that does not count; gives the medians in milliseconds.
pub(super) fn in_turn(
    mut ours: impl FnMut() -> Result<f64>,
    mut theirs: impl FnMut() -> Result<f64>,
    runs: usize,
) -> Result<(f64, f64)> {
    ours()?;
    theirs()?;
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..runs {
        times.0.push(ours()?);
        times.1.push(theirs()?);
    }
    Ok((median(times.0), median(times.1)))
}

/// As [`in_turn`] for any number of sides.
pub(super) fn together(sides: &mut [&mut dyn FnMut() -> Result<f64>], runs: usize) -> Result<Vec<f64>> {
    let mut figures = vec![Vec::new(); sides.len()];
    for run in 0..=runs {
        for (side, figures) in sides.iter_mut().zip(&mut figures) {
            let figure = side()?;
            if run > 0 {
                figures.push(figure);
            }
        }
    }
    Ok(figures.into_iter().map(median).collect())
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs `command` to its end; gives milliseconds. Its output is thrown away, its failure is ours.
pub(super) fn time(mut command: Command) -> Result<f64> {
    // Not a pipe: what a created container inherits would keep it open.
    let errors = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors.try_clone()?);
    let start = Instant::now();
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    let took = start.elapsed().as_secs_f64() * 1e3;
    if !status.success() {
        let mut said = String::new();
        (&errors).rewind()?;
        (&errors).read_to_string(&mut said)?;
        bail!("{command:?} ended with {status}: {}", said.trim());
    }
    Ok(took)
}

/// Proportional set size of a process in MiB (proc_pid_smaps(5)).
pub(super) fn pss(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("smaps_rollup has no Pss")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

/// Processes below `ancestor` whose name is `name`; with no ancestor, whose command line holds `marker`.
pub(super) fn processes(name: &str, marker: &str) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command);
            let program =
                command.split('\0').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
            program == name && command.contains(marker)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(super::median(vec![3.0, 1.0, 2.0]), 2.0);
    }
}
