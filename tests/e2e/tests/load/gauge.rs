//! What processes have: memory, descriptors, threads.

use std::path::Path;

use anyhow::{Context, Result};

/// Kibibytes of the field `name` in a file of `/proc`.
fn kib(path: &str, name: &str) -> Result<u64> {
    let text = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let line = line.with_context(|| format!("{path} has no {name}"))?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Proportional set size of a process, KiB.
pub(crate) fn pss(pid: u32) -> Result<u64> {
    kib(&format!("/proc/{pid}/smaps_rollup"), "Pss")
}

/// What a process has written to, KiB. Unlike [`pss`] it does not grow when others that share its program end.
pub(crate) fn own(pid: u32) -> Result<u64> {
    kib(&format!("/proc/{pid}/smaps_rollup"), "Pss_Anon")
}

/// What the kernel has for itself on the whole machine, KiB: tables that can't be given back, stacks, page tables.
pub(crate) fn kernel() -> Result<u64> {
    ["SUnreclaim", "KernelStack", "PageTables", "Percpu"]
        .into_iter()
        .map(|name| kib("/proc/meminfo", name))
        .sum()
}

/// The shims of a daemon, by its folder.
pub(crate) fn shims(root: &Path) -> Result<Vec<u32>> {
    let found = e2e::leaks::processes(root)?;
    let of_shim = found.iter().filter(|line| line.contains("berth-shim"));
    Ok(of_shim.filter_map(|line| line.split(' ').next()?.parse().ok()).collect())
}

/// Entries of a directory of a process: `fd`, `task`.
pub(crate) fn entries(pid: u32, what: &str) -> Result<usize> {
    let path = format!("/proc/{pid}/{what}");
    Ok(std::fs::read_dir(&path).with_context(|| path)?.count())
}

/// The least of some figures: what a machine that is at work beside this makes of a time is more, never less.
pub(crate) fn least(values: Vec<f64>) -> f64 {
    values.into_iter().fold(f64::INFINITY, f64::min)
}
