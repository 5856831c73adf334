//! A further process in a running container: joins its namespaces in one call and takes the same last steps.

use std::convert::Infallible;

use sys::path::Root;
use sys::process::Namespaces;

use super::filesystem::console;
use super::tail::Tail;
use super::{cgroup, gate, identity, labels, limits};
use crate::error::{Context, Result};
use crate::link::Link;
use crate::plan::process::Plan;
use crate::{ExecOptions, Stdio};

/// What the child needs.
pub(crate) struct Job<'a> {
    pub(crate) options: &'a ExecOptions<'a>,
    pub(crate) process: Plan<'a>,
    /// What to join; the pid namespace is the maker's doing.
    pub(crate) namespaces: Namespaces,
}

/// Runs it; returns its exit code only when a step failed.
pub(crate) fn run(job: &Job<'_>, link: Link) -> i32 {
    let Err(error) = steps(job, &link);
    gate::fail(&link, error)
}

fn steps(job: &Job<'_>, link: &Link) -> Result<Infallible> {
    let options = job.options;
    sys::signal::reset().step("signals", "")?;
    let mut labels = labels::open(&job.process)?;
    let in_user_namespace = job.namespaces.contains(Namespaces::USER);
    limits::oom_score(&job.process, in_user_namespace)?;
    let [before, after] = &job.process.affinity;
    run_on(before.as_ref())?;
    cgroup::enter(&options.cgroup, Namespaces::NONE)?;
    run_on(after.as_ref())?;
    if !job.namespaces.is_empty() {
        let what = format!("of process {}", options.target.pid.as_raw_nonzero());
        sys::process::join_namespaces(options.target.pidfd, job.namespaces).step("join namespaces", what)?;
    }
    if in_user_namespace {
        identity::become_root_here()?;
    }
    sys::process::new_session().step("setsid", "")?;
    labels.around_keyring(super::keyring::join_anonymous)?;
    let tty = match options.stdio {
        Stdio::Terminal(size) => {
            let root = Root::open_in_root("/").step("console", "/")?;
            Some(console::open(&root, size.or(job.process.size), link)?)
        }
        _ => None,
    };
    let tail = Tail {
        process: &job.process,
        spec: options.spec,
        stdio: &options.stdio,
        seccomp: options.seccomp,
        preserve_fds: options.preserve_fds,
    };
    let found = tail.prepare(tty.as_ref(), link)?;
    gate::parent_death(options.parent_death_signal, link)?;
    Err(tail.become_program(&found, &labels, link))
}

/// The processors that `execCPUAffinity` names.
fn run_on(processors: Option<&rustix::thread::CpuSet>) -> Result<()> {
    match processors {
        Some(set) => rustix::thread::sched_setaffinity(None, set).step("execCPUAffinity", ""),
        None => Ok(()),
    }
}
