//! Hooks: programs of the host that are told the container's state and may take their time, but no longer than they
//! are given.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use oci_spec::runtime::Hook;
use rustix::event::{PollFd, PollFlags, Timespec};
use sys::process::{Child, Exit};
use sys::signal::Signal;
use sys::spawn::Command as Program;

use crate::CreateOptions;
use crate::error::{Context, Error, Result};

/// How much of a failed hook's output an error quotes, in bytes.
const MAX_OUTPUT: u64 = 2048;

/// The state that hooks read (runtime specification, "State").
pub(crate) fn state(options: &CreateOptions<'_>, status: &str, pid: i32) -> String {
    let bundle = options.bundle.display().to_string();
    state_json(options.spec, options.id, &bundle, status, pid)
}

/// The same from its parts.
pub(crate) fn state_json(
    spec: &oci_spec::runtime::Spec,
    id: &str,
    bundle: &str,
    status: &str,
    pid: i32,
) -> String {
    let mut state = serde_json::json!({
        "ociVersion": spec.version(), "id": id, "status": status, "bundle": bundle,
    });
    if pid != 0 {
        state["pid"] = pid.into();
    }
    if let Some(annotations) = spec.annotations() {
        state["annotations"] = serde_json::json!(annotations);
    }
    state.to_string()
}

/// Runs the hooks in order; the first one that fails ends it.
pub(crate) fn run(place: &str, hooks: &[&Hook], state: impl FnOnce() -> String) -> Result<()> {
    if hooks.is_empty() {
        return Ok(());
    }
    let state = state();
    hooks.iter().try_for_each(|hook| one(place, hook, &state))
}

/// A file in memory; a hook that doesn't read its input, or writes a lot, blocks nobody.
fn memory(name: &str, content: &[u8]) -> std::io::Result<std::fs::File> {
    let fd = rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(content)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn one(place: &str, hook: &Hook, state: &str) -> Result<()> {
    let step = format!("{place} hook");
    let path = hook.path();
    let what = || path.display().to_string();
    let input = memory("state", state.as_bytes()).step(&step, what())?;
    let mut output = memory("output", b"").step(&step, what())?;
    let args = hook.args().as_deref().unwrap_or(&[]);
    let first = args.first().map_or(path.as_os_str(), std::ffi::OsStr::new);
    let mut command = Program::new(path, first).step(&step, what())?;
    for arg in args.iter().skip(1) {
        command.arg(arg).step(&step, what())?;
    }
    for assignment in hook.env().iter().flatten() {
        command.env(assignment).step(&step, what())?;
    }
    command.map(input.as_fd(), 0).map(output.as_fd(), 1).map(output.as_fd(), 2);
    let child = command.spawn().step(&step, what())?;
    let limit =
        hook.timeout().and_then(|t| u64::try_from(t).ok()).filter(|t| *t > 0).map(Duration::from_secs);
    let exit = wait(&child, limit).map_err(|e| Error { step: step.clone(), ..e })?;
    if exit == Some(Exit::Code(0)) {
        return Ok(());
    }
    let mut text = Vec::new();
    output.seek(SeekFrom::Start(0)).step(&step, what())?;
    output.take(MAX_OUTPUT).read_to_end(&mut text).step(&step, what())?;
    let said = String::from_utf8_lossy(&text);
    let how = exit.map_or_else(|| "took longer than its timeout".to_owned(), describe);
    Err(Error::text(step, format!("{}: {how}: {}", what(), said.trim_end())))
}

fn describe(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit status {code}"),
        Exit::Signal { signal, .. } => format!("killed by {signal}"),
    }
}

/// Its end; `None` when it had to be killed because its time was over.
fn wait(child: &Child, limit: Option<Duration>) -> Result<Option<Exit>> {
    let time = limit.map(|l| Timespec { tv_sec: l.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: 0 });
    let mut poll = [PollFd::new(&child.pidfd, PollFlags::IN)];
    let ended =
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut poll, time.as_ref())).step("wait", "")?;
    if ended == 0 {
        // it may have ended just now
        let _ = sys::signal::send(&child.pidfd, Signal::KILL);
    }
    let exit = child.wait().step("wait", "")?;
    Ok((ended != 0).then_some(exit))
}
