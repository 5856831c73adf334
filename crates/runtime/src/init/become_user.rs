//! Giving up root: the bounding set while that is still allowed, then groups and user, then the capability sets.

use rustix::process::{Gid, Uid};
use sys::Errno;

use crate::error::{Context, Error, Result};
use crate::plan::process::Plan;

/// Becomes the process's user with exactly its capabilities.
pub(super) fn run(process: &Plan<'_>) -> Result<()> {
    // what can't be granted is left out: also what this very process lacks
    let have = sys::caps::permitted().step("capabilities", "")?;
    let caps = process.caps.within(have);
    sys::caps::limit_bounding(process.caps.bounding).step("capabilities", "bounding set")?;
    sys::caps::keep_over_setuid(true).step("capabilities", "keep")?;
    groups(process)?;
    let gid = Gid::from_raw(process.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).step("setgid", process.gid)?;
    let uid = Uid::from_raw(process.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).step("setuid", process.uid)?;
    sys::caps::keep_over_setuid(false).step("capabilities", "keep")?;
    sys::caps::set(&caps).step("capabilities", "")?;
    sys::caps::set_ambient(caps.ambient).step("capabilities", "ambient set")?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(process.umask));
    Ok(())
}

/// Exactly the additional groups that were asked for: none of the runtime's own stay.
fn groups(process: &Plan<'_>) -> Result<()> {
    let groups: Vec<Gid> = process.groups.iter().map(|g| Gid::from_raw(*g)).collect();
    match rustix::thread::set_thread_groups(&groups) {
        // an unprivileged user namespace may deny setgroups; then there are none to be had
        Err(Errno::PERM) if groups.is_empty() => Ok(()),
        Err(errno) => Err(Error::errno("setgroups", format!("{:?}", process.groups), errno)),
        Ok(()) => Ok(()),
    }
}
