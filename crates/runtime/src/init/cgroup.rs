//! Getting into the control groups.
//!
//! On v1 the process itself, with its one thread, writes `0` into each `tasks` file: the kernel then takes no lock that
//! waits for an RCU grace period (8–11 ms). The new cgroup namespace comes after that, because its root is where the
//! process is when it is made.

use sys::process::Namespaces;

use crate::CgroupEntry;
use crate::error::{Context, Error, Result};

/// Enters, and makes the cgroup namespace when `new` has one.
pub(super) fn enter(entry: &CgroupEntry<'_>, new: Namespaces) -> Result<()> {
    sys::cgroup::attach_self(entry.attach)
        .map_err(|(index, errno)| Error::errno("cgroup", format!("hierarchy {index}"), errno))?;
    if new.contains(Namespaces::CGROUP) {
        sys::process::unshare(Namespaces::CGROUP).step("namespaces", "cgroup")?;
    }
    Ok(())
}
