//! `delete`.

use std::path::Path;

use anyhow::{Result, bail};
use oci_spec::runtime::Spec;
use rustix::event::{PollFd, PollFlags, Timespec};
use sys::cgroup::Cgroup;
use sys::signal::Signal;

use super::{Command, Outcome, kill, state};
use crate::cli::args::{Parsed, switch};
use crate::cli::container::{Container, Directory, Status};
use crate::cli::global::Global;

/// How long a killed process may take to end.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

pub(super) const COMMAND: Command = Command {
    name: "delete",
    usage: "ID",
    help: "remove what a stopped container has left",
    flags: &[switch("force", "f", "kill it first if it runs; no error if there is none")],
    interspersed: true,
    run,
};

fn run(global: &Global, parsed: &Parsed) -> Outcome {
    let force = parsed.has("force");
    let container = match Container::load(&global.root, parsed.id()?) {
        Ok(container) => container,
        Err(_) if force => {
            // half of one, made by a program that was killed
            if let Ok(directory) = Directory::open(&global.root, parsed.id()?) {
                directory.remove()?;
            }
            return Ok(0);
        }
        Err(error) => return Err(error.into()),
    };
    match container.status() {
        Status::Stopped => {}
        Status::Created => end(&container)?,
        Status::Running | Status::Paused if force => end(&container)?,
        status => {
            let id = &container.state.id;
            return Err(anyhow::anyhow!(
                "cannot delete container {id} that is not stopped: {}",
                status.name()
            )
            .into());
        }
    }
    let spec = container.spec().ok();
    remove(&container.directory, container.cgroup()?.as_ref())?;
    if let Some(spec) = spec {
        poststop(global, &spec, &container.state.id, &container.state.bundle);
    }
    Ok(0)
}

/// Runs the `poststop` hooks. The container is gone: one that fails is a warning (runtime specification, "Lifecycle").
pub(super) fn poststop(global: &Global, spec: &Spec, id: &str, bundle: &Path) {
    if let Err(error) = runtime::poststop(spec, || state::for_hooks(spec, id, bundle, "stopped", 0)) {
        global.log.warning(&error.to_string());
    }
}

/// Kills the first process and waits for its end.
fn end(container: &Container) -> Result<()> {
    let Some(process) = container.process() else { return Ok(()) };
    // It may end by itself between the look and the signal: that is what was wanted.
    if let Err(error) = kill::kill(container, Signal::KILL, false)
        && container.status() != Status::Stopped
    {
        return Err(error);
    }
    let mut poll = [PollFd::new(&process.pidfd, PollFlags::IN)];
    let ended = rustix::io::retry_on_intr(|| rustix::event::poll(&mut poll, Some(&PATIENCE)))?;
    if ended == 0 {
        bail!("container init still running");
    }
    Ok(())
}

/// Removes cgroup and directory; processes that are left are killed.
pub(super) fn remove(directory: &Directory, cgroup: Option<&Cgroup>) -> Result<()> {
    if let Some(cgroup) = cgroup {
        if !cgroup.procs().is_ok_and(|p| p.is_empty()) {
            cgroup.kill()?;
        }
        cgroup.remove()?;
    }
    directory.remove()
}
