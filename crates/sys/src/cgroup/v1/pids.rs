//! `pids.*` (`admin-guide/cgroup-v1/pids.rst`).

use super::super::dir::Dir;
use super::super::{Controller, Error, Limit, PidsStats, Result};

pub(super) fn apply(dir: Option<&Dir>, limit: Option<Limit>) -> Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    let missing = Error::NoController { controller: Controller::Pids, setting: "a limit of processes" };
    dir.ok_or(missing)?.write("pids.max", limit)
}

pub(super) fn stats(dir: &Dir) -> Result<PidsStats> {
    let limit = dir.number("pids.max")?.filter(|&limit| limit != u64::MAX);
    Ok(PidsStats { current: dir.number("pids.current")?.unwrap_or(0), limit })
}
