//! `kill`.

use anyhow::{Result, anyhow, bail};
use oci_spec::runtime::LinuxNamespaceType;
use sys::Errno;
use sys::signal::Signal;

use super::{Command, Outcome};
use crate::cli::args::{Parsed, switch};
use crate::cli::container::{Container, Status};
use crate::cli::global::Global;

pub(super) const COMMAND: Command = Command {
    name: "kill",
    usage: "ID [SIGNAL]",
    help: "send a signal (default SIGTERM) to a container",
    flags: &[switch("all", "a", "to all its processes")],
    interspersed: true,
    run,
};

fn run(global: &Global, parsed: &Parsed) -> Outcome {
    let (id, signal) = match parsed.words.as_slice() {
        [id] => (id, Signal::TERM),
        [id, signal] => (id, signal.parse().map_err(anyhow::Error::from)?),
        _ => return Err(anyhow!("kill needs a container id and at most one signal").into()),
    };
    let container = Container::load(&global.root, id)?;
    kill(&container, signal, parsed.has("all"))?;
    Ok(0)
}

/// Sends a signal to the first process, or to all.
pub(super) fn kill(container: &Container, signal: Signal, all: bool) -> Result<()> {
    let shared_pids = !has_own_pids(container);
    let status = container.status();
    if status == Status::Stopped {
        // processes of a shared pid namespace outlive the first one
        if all || (shared_pids && signal == Signal::KILL) {
            return signal_all(container, signal);
        }
        bail!("container not running");
    }
    if all || (shared_pids && signal == Signal::KILL) {
        signal_all(container, signal)?;
    } else {
        match sys::signal::send(&container.need_process()?.pidfd, signal) {
            Ok(()) => {}
            Err(Errno::SRCH) => bail!("container not running"),
            Err(e) => return Err(anyhow!("unable to signal init: {}", std::io::Error::from(e))),
        }
    }
    if signal == Signal::KILL && status == Status::Paused {
        // a frozen process dies when it thaws
        if let Some(cgroup) = container.cgroup()? {
            cgroup.thaw()?;
        }
    }
    Ok(())
}

fn has_own_pids(container: &Container) -> bool {
    let Ok(spec) = container.spec() else { return true };
    let list = spec.linux().as_ref().and_then(|l| l.namespaces().clone()).unwrap_or_default();
    list.iter().any(|n| n.typ() == LinuxNamespaceType::Pid && n.path().is_none())
}

fn signal_all(container: &Container, signal: Signal) -> Result<()> {
    let Some(cgroup) = container.cgroup()? else {
        return match container.process() {
            Some(process) => Ok(sys::signal::send(&process.pidfd, signal)?),
            None => bail!("container not running"),
        };
    };
    if signal == Signal::KILL {
        return Ok(cgroup.kill()?);
    }
    for pid in cgroup.procs()? {
        let Some(pid) = sys::Pid::from_raw(pid) else { continue };
        match sys::signal::kill(pid, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}
