//! The container's first process, from its birth to its program. This file is the table of contents; each step is a
//! file that says why it is done like that.

mod become_user;
mod cgroup;
mod cwd;
mod filesystem;
mod gate;
mod hostname;
mod identity;
mod keyring;
mod labels;
mod limits;
mod program;
mod seccomp;
mod stdio;
mod tail;

pub(crate) mod enter;
pub(crate) mod stage;

use std::convert::Infallible;
use std::os::fd::OwnedFd;

use sys::path::Root;
use sys::process::Namespaces;

use self::tail::Tail;
use crate::error::{Context, Error, Result};
use crate::hooks;
use crate::job::Job;
use crate::link::{Link, Message};

/// What the steps find out and later ones need.
pub(crate) struct State {
    /// This process's number outside, once told.
    pid: i32,
    /// The container's root directory, before it is the root.
    root: Root,
    /// The container's own procfs mount, wherever it has been attached.
    proc: Option<OwnedFd>,
    /// Label files, opened while the host's procfs is there.
    labels: labels::Labels,
    /// The program's side of the terminal.
    tty: Option<OwnedFd>,
}

/// Runs the first process; returns its exit code only when a step failed.
pub(crate) fn run(job: &Job<'_>, link: Link) -> i32 {
    let mut link = link;
    let Err(error) = steps(job, &mut link);
    gate::fail(&link, error)
}

/// All steps, in their order.
fn steps(job: &Job<'_>, link: &mut Link) -> Result<Infallible> {
    sys::signal::reset().step("signals", "")?;
    let pid = if job.waits_for_go() { wait_for_go(link)? } else { 0 };
    let labels = labels::open(&job.process)?;
    limits::oom_score(&job.process, job.in_user_namespace())?;
    stage::join(job)?;
    cgroup::enter(&job.options.cgroup, job.namespaces.new)?;
    identity::become_root(job)?;
    sys::process::new_session().step("setsid", "")?;
    network(job)?;
    hostname::set(job.options.spec)?;

    let mut state = State { pid, root: filesystem::root::attach(job)?, proc: None, labels, tty: None };
    hooks_of_the_runtime(job, link)?;
    if job.namespaces.new.contains(Namespaces::MOUNT) {
        filesystem::build(job, &mut state, link)?;
    } else {
        filesystem::root::change_without_mounts(&state)?;
    }
    if job.options.new_keyring {
        state.labels.around_keyring(|| keyring::join(job.options.id))?;
    }
    program(job, state, link)
}

/// From here on nothing of the host is reachable, and privileges go.
fn program(job: &Job<'_>, state: State, link: &mut Link) -> Result<Infallible> {
    let options = job.options;
    let tail = Tail {
        process: &job.process,
        spec: options.spec,
        stdio: &options.stdio,
        seccomp: options.seccomp,
        preserve_fds: options.preserve_fds,
    };
    let State { pid, root, proc, labels, tty } = state;
    let found = tail.prepare(tty.as_ref(), link)?;
    gate::parent_death(options.parent_death_signal, link)?;
    // their descriptors are closed with all the others
    std::mem::forget((root, proc, tty));
    gate::close_inherited(link, options.start_socket, &labels, options.preserve_fds)?;
    gate::wait(options.start_socket, link)?;
    hooks::run("startContainer", &job.hooks.start, || hooks::state(options, "created", pid))?;
    Err(tail.become_program(&found, &labels, link))
}

fn wait_for_go(link: &Link) -> Result<i32> {
    match link.recv()? {
        Some(Message::Go(pid)) => Ok(pid),
        _ => Err(Error::text("wait", "the runtime has ended")),
    }
}

/// A new network namespace has a loopback interface that is down.
fn network(job: &Job<'_>) -> Result<()> {
    if job.namespaces.new.contains(Namespaces::NET) {
        sys::net::loopback_up().step("network", "lo")?;
    }
    Ok(())
}

/// `prestart` and `createRuntime` run when the namespaces exist and before the root changes.
fn hooks_of_the_runtime(job: &Job<'_>, link: &Link) -> Result<()> {
    if job.hooks.runtime.is_empty() {
        return Ok(());
    }
    link.send(&Message::HooksDue)?;
    match link.recv()? {
        Some(Message::HooksDone) => Ok(()),
        _ => Err(Error::text("hooks", "the runtime has ended")),
    }
}
