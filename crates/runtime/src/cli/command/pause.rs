//! `pause` and `resume`.

use anyhow::anyhow;

use super::{Command, Outcome};
use crate::cli::args::Parsed;
use crate::cli::container::{Container, Status};
use crate::cli::global::Global;

pub(super) const PAUSE: Command = Command {
    name: "pause",
    usage: "ID",
    help: "stop all processes of a container until resume",
    flags: &[],
    interspersed: true,
    run: pause,
};

pub(super) const RESUME: Command = Command {
    name: "resume",
    usage: "ID",
    help: "let the processes of a paused container run again",
    flags: &[],
    interspersed: true,
    run: resume,
};

fn pause(global: &Global, parsed: &Parsed) -> Outcome {
    let container = Container::load(&global.root, parsed.id()?)?;
    match container.status() {
        Status::Running | Status::Created => container.need_cgroup()?.freeze()?,
        Status::Paused => {}
        Status::Stopped => return Err(anyhow!("container not running").into()),
    }
    Ok(0)
}

fn resume(global: &Global, parsed: &Parsed) -> Outcome {
    let container = Container::load(&global.root, parsed.id()?)?;
    if container.status() != Status::Paused {
        return Err(anyhow!("container not paused").into());
    }
    container.need_cgroup()?.thaw()?;
    Ok(0)
}
