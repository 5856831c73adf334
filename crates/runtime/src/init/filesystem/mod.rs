//! The container's mount namespace: its root attached, everything on it mounted by descriptor, and the root changed.

mod cgroup_view;
pub(super) mod console;
mod devices;
mod masks;
mod mounts;
pub(super) mod root;
mod sysctl;
mod target;

use super::{State, cwd};
use crate::Stdio;
use crate::error::Result;
use crate::hooks;
use crate::job::Job;
use crate::link::Link;

/// The mount namespace: table, devices, terminal, masks, and the change of root.
pub(super) fn build(job: &Job<'_>, state: &mut State, link: &Link) -> Result<()> {
    rustix::process::umask(rustix::fs::Mode::empty());
    mounts::all(job, state)?;
    cwd::create(job.process.cwd, &state.root)?;
    devices::all(job, state)?;
    if let Stdio::Terminal(size) = job.options.stdio {
        let size = size.or(job.process.size);
        state.tty = Some(console::open(&state.root, size, link)?);
        console::bind(&state.root, state.tty.as_ref())?;
    }
    sysctl::write(job.options.spec, state)?;
    masks::read_only_paths(job.options.spec, state)?;
    masks::masked_paths(job, state)?;
    hooks_of_the_container(job, state)?;
    root::change(job, state)
}

fn hooks_of_the_container(job: &Job<'_>, state: &State) -> Result<()> {
    hooks::run("createContainer", &job.hooks.container, || hooks::state(job.options, "creating", state.pid))
}
