//! In a new user namespace: becoming its root, so that the capabilities there count and new files have an owner.

use sys::process::Namespaces;

use crate::error::{Context, Result};
use crate::job::Job;

/// Becomes uid 0 and gid 0 of the container's user namespace, if it has one.
pub(super) fn become_root(job: &Job<'_>) -> Result<()> {
    if job.namespaces.new.contains(Namespaces::USER) { become_root_here() } else { Ok(()) }
}

/// Becomes uid 0 and gid 0 of the user namespace that this process is in.
pub(super) fn become_root_here() -> Result<()> {
    use rustix::process::{Gid, Uid};
    // where setgroups is denied (an unprivileged mapping) the groups stay as they are
    let _ = rustix::thread::set_thread_groups(&[]);
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).step("setgid", "0")?;
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).step("setuid", "0")
}
