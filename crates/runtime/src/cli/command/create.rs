//! `create` and `run`.

use anyhow::{Context as _, Result};
use runtime::Running;

use super::launch::{self, BUNDLE, CONSOLE, Launched, NO_KEYRING, NO_PIVOT, PID_FILE, PRESERVE};
use super::{Command, Outcome, delete, state};
use crate::cli::args::{Parsed, switch};
use crate::cli::global::Global;
use crate::cli::{foreground, limits, sealed};

pub(super) const CREATE: Command = Command {
    name: "create",
    usage: "ID",
    help: "make a container that waits for its start",
    flags: &[BUNDLE, CONSOLE, PID_FILE, NO_PIVOT, NO_KEYRING, PRESERVE],
    interspersed: true,
    run: create,
};

pub(super) const RUN: Command = Command {
    name: "run",
    usage: "ID",
    help: "make a container and start it",
    flags: &[
        BUNDLE,
        CONSOLE,
        PID_FILE,
        NO_PIVOT,
        NO_KEYRING,
        PRESERVE,
        switch("detach", "d", "don't wait for its end"),
        switch("keep", "", "don't delete the container when it has ended"),
        switch("no-subreaper", "", "don't become the parent of orphaned processes"),
    ],
    interspersed: true,
    run,
};

fn create(global: &Global, parsed: &Parsed) -> Outcome {
    sealed::ensure()?;
    let launched = launch::launch(global, parsed, true, true)
        .context("create failed: unable to start container process")?;
    let sent = notify(&launched, launched.created.notify.as_ref());
    if let Err(error) = sent {
        launch::end(&launched.created);
        let _ = delete::remove(&launched.directory, launched.cgroup.as_ref());
        return Err(error.into());
    }
    // the first process waits at the socket; it outlives this program
    Ok(0)
}

fn notify(launched: &Launched, fd: Option<&std::os::fd::OwnedFd>) -> Result<()> {
    let pid = launched.created.pid.as_raw_nonzero().get();
    let state = serde_json::from_str(&state::for_hooks(
        &launched.spec,
        &launched.id,
        &launched.bundle,
        "creating",
        pid,
    ))?;
    limits::notify(launched.filter.as_ref(), fd, &state, pid)
}

fn run(global: &Global, parsed: &Parsed) -> Outcome {
    sealed::ensure()?;
    let detached = parsed.has("detach");
    let signals = if detached { None } else { Some(foreground::catch_signals()?) };
    if !detached && !parsed.has("no-subreaper") {
        sys::process::become_subreaper()?;
    }
    let launched = launch::launch(global, parsed, false, detached)
        .context("run failed: unable to start container process")?;
    let Launched { id, created, directory, spec, bundle, filter, cgroup } = launched;
    let pid = created.pid.as_raw_nonzero().get();
    let pidfd = sys::fd::dup_above(&created.pidfd, 3)?;
    let started = created.start().map_err(anyhow::Error::from).and_then(|running| {
        let state = || state::for_hooks(&spec, &id, &bundle, "running", pid);
        limits::notify(filter.as_ref(), running.notify.as_ref(), &serde_json::from_str(&state())?, pid)?;
        runtime::poststart(&spec, state)?;
        Ok(running)
    });
    let ended = match (started, signals) {
        (Ok(_), None) => return Ok(0),
        (Ok(Running { pidfd, console, .. }), Some(signals)) => foreground::wait(&signals, &pidfd, console),
        (Err(error), _) => {
            let _ = sys::signal::send(&pidfd, sys::signal::Signal::KILL);
            let _ = sys::process::wait(&pidfd);
            Err(error.context("run failed: unable to start container process"))
        }
    };
    if ended.is_ok() && parsed.has("keep") {
        return Ok(ended?);
    }
    let removed = delete::remove(&directory, cgroup.as_ref());
    delete::poststop(global, &spec, &id, &bundle);
    let code = ended?;
    removed?;
    Ok(code)
}
