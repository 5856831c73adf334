//! `pids.*` (`cgroup-v2.rst`, "PID").

use super::super::dir::Dir;
use super::super::{Controller, Limit, PidsStats, Result};
use super::tree::Group;

pub(super) fn apply(group: &Group<'_>, limit: Option<Limit>) -> Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    group.need(Controller::Pids, "a limit of processes")?.write("pids.max", limit)
}

pub(super) fn stats(dir: &Dir) -> Result<PidsStats> {
    let limit = dir.number("pids.max")?.filter(|&limit| limit != u64::MAX);
    Ok(PidsStats { current: dir.number("pids.current")?.unwrap_or(0), limit })
}
