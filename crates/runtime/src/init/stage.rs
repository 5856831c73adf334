//! Joining namespaces, in the process that may.
//!
//! Usually the first process joins by itself. Some cases need a process in between (the "stage"), which joins, makes
//! the first process as its maker's own child, and ends: what is joined must be joined with the host's rights, before
//! a new user namespace takes them away; the other new namespaces must belong to a user namespace that is joined; and
//! an ordinary user who is root of a user namespace can join another pid namespace, and never come back.
//! Time offsets can only be set while nobody lives in the new time namespace: the stage sets them, too.

use std::os::fd::{AsFd, BorrowedFd};

use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags};
use sys::process::{CloneOptions, Namespaces};

use super::enter;
use crate::create::may_leave_pid_namespace;
use crate::error::{Context, Error, Result};
use crate::job::Job;
use crate::link::{Link, Message};
use crate::plan::namespaces::Plan;

/// Whether the stage is needed.
///
/// # Errors
/// This process's own pid namespace can't be found.
pub(crate) fn needed(spec: &Spec, n: &Plan) -> Result<bool> {
    let beside_pid = n.joined.iter().any(|j| j.kind != Namespaces::PID);
    if n.joins(Namespaces::USER) || (n.new.contains(Namespaces::USER) && beside_pid) || has_offsets(spec) {
        return Ok(true);
    }
    Ok(n.joins(Namespaces::PID) && !may_leave_pid_namespace()?)
}

fn has_offsets(spec: &Spec) -> bool {
    let offsets = spec.linux().as_ref().and_then(|l| l.time_offsets().as_ref());
    offsets.is_some_and(|o| !o.is_empty())
}

/// The stage's life: it gets ready, makes the process that lives `child`, and tells over `words`. Returns its exit code.
///
/// The child has a link of its own: what it says may come before the word that it is born.
pub(crate) fn run<'a>(
    words: Link,
    ready: impl FnOnce() -> Result<CloneOptions<'a>>,
    child: impl FnOnce() -> i32,
) -> i32 {
    let mut words = Some(words);
    let made = ready().and_then(|options| {
        let in_child = &mut words;
        let cloned = sys::process::clone3(&options, move || {
            // the maker sees when the stage is gone
            *in_child = None;
            child()
        });
        cloned.step("clone3", "")
    });
    let (word, code) = match made {
        Ok(child) => (Message::Born(child.pid.as_raw_nonzero().get(), child.pidfd), 0),
        Err(error) => (Message::Failed(error), 1),
    };
    // the maker is gone if this fails, and nobody is left to tell
    let _ = words.map(|words| words.send(&word));
    code
}

/// For the first process of a container.
pub(crate) fn ready<'a>(job: &Job<'_>) -> Result<CloneOptions<'a>> {
    if let Some(directory) = job.options.cgroup.into {
        enter_cgroup(directory)?;
    }
    join_all(job)?;
    let mut new = job.namespaces.new.without(Namespaces::CGROUP);
    if has_offsets(job.options.spec) {
        sys::process::unshare(Namespaces::TIME).step("namespaces", "time")?;
        write_offsets(job)?;
        new = new.without(Namespaces::TIME); // children are born into it
    }
    Ok(CloneOptions { namespaces: new, cgroup: None, sibling: true })
}

/// For a further process in a container's pid namespace, which joins the others by itself.
pub(crate) fn ready_beside<'a>(job: &enter::Job<'a>) -> Result<CloneOptions<'a>> {
    let target = job.options.target.pidfd;
    sys::process::join_namespaces(target, Namespaces::PID).step("join namespace", "pid")?;
    Ok(CloneOptions { cgroup: job.options.cgroup.into, sibling: true, ..CloneOptions::default() })
}

/// Enters the v2 cgroup itself, so that its child is born there: in a user namespace that is joined, `CLONE_INTO_CGROUP`
/// is not allowed any more.
fn enter_cgroup(directory: BorrowedFd<'_>) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file =
        rustix::fs::openat(directory, "cgroup.procs", flags, Mode::empty()).step("cgroup", "cgroup.procs")?;
    rustix::io::retry_on_intr(|| rustix::io::write(&file, b"0")).step("cgroup", "cgroup.procs").map(drop)
}

/// Joins everything, the user namespace last: the others need the host's rights.
fn join_all(job: &Job<'_>) -> Result<()> {
    let joined = &job.namespaces.joined;
    for j in joined.iter().filter(|j| j.kind != Namespaces::USER) {
        sys::process::join_namespaces(&j.fd, j.kind).step("join namespace", j.path.display())?;
    }
    for j in joined.iter().filter(|j| j.kind == Namespaces::USER) {
        sys::process::join_namespaces(&j.fd, j.kind).step("join namespace", j.path.display())?;
        super::identity::become_root_here()?;
    }
    Ok(())
}

fn write_offsets(job: &Job<'_>) -> Result<()> {
    let linux = job.options.spec.linux().as_ref();
    let offsets = linux.and_then(|l| l.time_offsets().as_ref());
    let mut text = String::new();
    for (clock, offset) in offsets.into_iter().flatten() {
        if clock != "monotonic" && clock != "boottime" {
            return Err(Error::invalid("time offsets", format!("{clock}: no such clock")));
        }
        let line = format!("{clock} {} {}\n", offset.secs().unwrap_or(0), offset.nanosecs().unwrap_or(0));
        text.push_str(&line);
    }
    std::fs::write("/proc/self/timens_offsets", text).step("time offsets", "/proc/self/timens_offsets")
}

/// In the first process: joins what no stage has joined for it (its pid namespace is the maker's doing).
pub(super) fn join(job: &Job<'_>) -> Result<()> {
    if job.staged {
        return Ok(());
    }
    for j in job.namespaces.joined.iter().filter(|j| j.kind != Namespaces::PID) {
        sys::process::join_namespaces(j.fd.as_fd(), j.kind).step("join namespace", j.path.display())?;
    }
    Ok(())
}
