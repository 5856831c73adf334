//! `start`.

use anyhow::{Context as _, bail};

use super::{Command, Outcome, state};
use crate::cli::args::Parsed;
use crate::cli::container::{Container, Status};
use crate::cli::global::Global;
use crate::cli::limits;

pub(super) const COMMAND: Command = Command {
    name: "start",
    usage: "ID",
    help: "let a created container run",
    flags: &[],
    interspersed: true,
    run,
};

fn run(global: &Global, parsed: &Parsed) -> Outcome {
    let container = Container::load(&global.root, parsed.id()?)?;
    match container.status() {
        Status::Created => {}
        Status::Stopped => return Err(anyhow::anyhow!("cannot start a container that has stopped").into()),
        Status::Running | Status::Paused => {
            return Err(anyhow::anyhow!("cannot start an already running container").into());
        }
    }
    let spec = container.spec()?;
    let socket = container.directory.connect()?;
    let notify = runtime::start(socket).context("start failed: unable to start container process")?;
    let record = &container.state;
    let text = || state::for_hooks(&spec, &record.id, &record.bundle, "running", record.pid);
    if notify.is_some() {
        let filter = limits::filter(&spec)?;
        limits::notify(
            filter.as_ref(),
            notify.as_ref(),
            &serde_json::from_str(&text()).map_err(anyhow::Error::from)?,
            record.pid,
        )?;
    }
    let hooks = runtime::poststart(&spec, text);
    if let Err(error) = hooks {
        if let Some(process) = container.process() {
            let _ = sys::signal::send(&process.pidfd, sys::signal::Signal::KILL);
        }
        let failed = || -> anyhow::Result<u8> { bail!("start failed: {error}") };
        return Ok(failed()?);
    }
    Ok(0)
}
