//! `cpuset.*` (`cgroup-v2.rst`, "Cpuset").

use super::super::{Controller, Cpuset, Result};
use super::tree::Group;

pub(super) fn apply(group: &Group<'_>, cpuset: &Cpuset) -> Result<()> {
    if cpuset.cpus.is_none() && cpuset.mems.is_none() {
        return Ok(());
    }
    let dir = group.need(Controller::Cpuset, "cpuset")?;
    dir.write_some("cpuset.cpus", cpuset.cpus.as_ref())?;
    dir.write_some("cpuset.mems", cpuset.mems.as_ref())
}
