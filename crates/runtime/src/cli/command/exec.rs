//! `exec`.

use std::os::fd::AsFd;

use anyhow::{Context as _, Result, anyhow, bail};
use oci_spec::runtime::{Capability, LinuxCapabilities, Process, Spec};
use runtime::{CgroupEntry, ExecOptions, Filter, Stdio, Target};
use sys::cgroup::{Cgroup, CgroupPath};

use super::launch::{self, CONSOLE, PID_FILE, PRESERVE};
use super::{Command, Outcome};
use crate::cli::args::{Parsed, option, switch};
use crate::cli::container::{Container, MAX_CONFIG, Status};
use crate::cli::global::Global;
use crate::cli::{Failure, console, foreground, limits, sealed};

/// What runc exits with when the process could not be started.
const NOT_STARTED: u8 = 255;

pub(super) const COMMAND: Command = Command {
    name: "exec",
    usage: "ID COMMAND [ARG...]  |  --process FILE ID",
    help: "run a further process in a container",
    flags: &[
        CONSOLE,
        PID_FILE,
        PRESERVE,
        option("cwd", "", "DIR", "working directory"),
        option("env", "e", "NAME=VALUE", "environment; may be repeated"),
        switch("tty", "t", "give it a terminal"),
        option("user", "u", "UID[:GID]", "user and group"),
        option("additional-gids", "g", "GID", "further group; may be repeated"),
        option("process", "p", "FILE", "the process as JSON"),
        switch("detach", "d", "don't wait for its end"),
        option("process-label", "", "LABEL", "SELinux label"),
        option("apparmor", "", "PROFILE", "AppArmor profile"),
        switch("no-new-privs", "", "no more privileges by exec"),
        option("cap", "c", "CAP", "further capability; may be repeated"),
        option("cgroup", "", "PATH", "cgroup below the container's, [CONTROLLER:]PATH"),
        switch("ignore-paused", "", "also in a paused container (it starts when that is resumed)"),
    ],
    interspersed: false,
    run,
};

fn run(global: &Global, parsed: &Parsed) -> Outcome {
    let failed = |error: anyhow::Error| Failure { error: error.context("exec failed"), code: NOT_STARTED };
    start(global, parsed).map_err(failed)
}

fn start(global: &Global, parsed: &Parsed) -> Result<u8> {
    let id = parsed.words.first().ok_or_else(|| anyhow!("container id cannot be empty"))?;
    sealed::ensure()?;
    let container = Container::load(&global.root, id)?;
    match container.status() {
        Status::Stopped => bail!("cannot exec in a stopped container"),
        Status::Paused if !parsed.has("ignore-paused") => {
            bail!("cannot exec in a paused container (use --ignore-paused to override)")
        }
        _ => {}
    }
    let spec = container.spec()?;
    let process = process(global, parsed, &spec)?;
    launch::warn_of_lacking(global, &spec, Some(&process))?;
    let detached = parsed.has("detach");
    let terminal = process.terminal().unwrap_or(false);
    launch::check_terminal(terminal, parsed.get("console-socket"), detached)?;
    let signals = if detached { None } else { Some(foreground::catch_signals()?) };
    let execed = enter(&container, &spec, &process, parsed, terminal)?;
    if let (Some(socket), Some(master)) = (parsed.get("console-socket"), &execed.console) {
        console::send(socket, master.as_fd())?;
    }
    launch::write_pid_file(parsed.get("pid-file"), execed.pid)?;
    match signals {
        Some(signals) => foreground::wait(&signals, &execed.pidfd, execed.console),
        None => Ok(0),
    }
}

fn enter(
    container: &Container,
    spec: &Spec,
    process: &Process,
    parsed: &Parsed,
    terminal: bool,
) -> Result<runtime::Execed> {
    let target = container.need_process()?;
    let filter = limits::filter(spec)?;
    let cgroup = cgroup(container, parsed)?;
    let attach = cgroup.as_ref().map_or(Ok(Vec::new()), Cgroup::self_attach_fds)?;
    // a cgroup that was asked for by name is entered itself
    let own = cgroup.as_ref().filter(|_| parsed.get("cgroup").is_none());
    let joined = own.map_or(Ok(None), |c| c.join_fd(target.pid.as_raw_nonzero().get()))?;
    let into = joined.as_ref().map(AsFd::as_fd).or(cgroup.as_ref().and_then(Cgroup::into_cgroup_fd));
    let options = ExecOptions {
        target: Target { pidfd: target.pidfd.as_fd(), pid: target.pid },
        spec,
        process,
        stdio: if terminal { Stdio::Terminal(None) } else { Stdio::Inherit },
        cgroup: CgroupEntry { attach: &attach, into },
        seccomp: filter.as_ref().map(|f| Filter { program: &f.program, flags: f.flags }),
        parent_death_signal: None,
        preserve_fds: launch::preserve_fds(parsed)?,
    };
    Ok(runtime::exec(&options)?)
}

/// The container's cgroup, or one below it.
fn cgroup(container: &Container, parsed: &Parsed) -> Result<Option<Cgroup>> {
    let Some(below) = parsed.get("cgroup") else { return container.cgroup() };
    let own = container.state.cgroup.as_deref().ok_or_else(|| anyhow!("the container has no cgroup"))?;
    if below.contains(':') {
        bail!("--cgroup {below}: a cgroup for single controllers is not supported");
    }
    let path = CgroupPath::new(&format!("{own}/{below}"))?;
    Cgroup::open(&path).map(Some).with_context(|| format!("--cgroup {below}"))
}

/// What is to be run: a file's content, or the container's own process with the flags' changes.
fn process(global: &Global, parsed: &Parsed, spec: &Spec) -> Result<Process> {
    if let Some(path) = parsed.get("process") {
        let bytes = sys::file::read_bounded(path, MAX_CONFIG).with_context(|| format!("process {path}"))?;
        let (process, _) = launch::parse(global, bytes, true).with_context(|| format!("process {path}"))?;
        return Ok(process);
    }
    let args = parsed.words.get(1..).unwrap_or_default();
    if args.is_empty() {
        bail!("process args cannot be empty");
    }
    let mut process = spec.process().clone().ok_or_else(|| anyhow!("the container has no process"))?;
    process.set_args(Some(args.to_vec()));
    process.set_terminal(Some(parsed.has("tty")));
    if let Some(cwd) = parsed.get("cwd") {
        process.set_cwd(cwd.into());
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(parsed.all("env").map(str::to_owned));
    process.set_env(Some(env));
    if parsed.has("no-new-privs") {
        process.set_no_new_privileges(Some(true));
    }
    if let Some(profile) = parsed.get("apparmor") {
        process.set_apparmor_profile(Some(profile.to_owned()));
    }
    if let Some(label) = parsed.get("process-label") {
        process.set_selinux_label(Some(label.to_owned()));
    }
    user(parsed, &mut process)?;
    capabilities(parsed, &mut process)?;
    Ok(process)
}

fn user(parsed: &Parsed, process: &mut Process) -> Result<()> {
    let number = |text: &str| text.parse::<u32>().with_context(|| format!("{text}: not a numeric id"));
    let mut user = process.user().clone();
    if let Some(text) = parsed.get("user") {
        let (uid, gid) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
        user.set_uid(number(uid)?);
        if let Some(gid) = gid {
            user.set_gid(number(gid)?);
        }
    }
    let mut groups = user.additional_gids().clone().unwrap_or_default();
    for group in parsed.all("additional-gids") {
        groups.push(number(group)?);
    }
    user.set_additional_gids(Some(groups));
    process.set_user(user);
    Ok(())
}

/// Adds capabilities to all sets but the ambient one, as runc does.
fn capabilities(parsed: &Parsed, process: &mut Process) -> Result<()> {
    let mut more: Vec<Capability> = Vec::new();
    for name in parsed.all("cap") {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        more.push(bare.parse().or(Err(anyhow!("unknown capability {name:?}")))?);
    }
    if more.is_empty() {
        return Ok(());
    }
    let mut caps: LinuxCapabilities = process.capabilities().clone().unwrap_or_default();
    let add = |set: &Option<oci_spec::runtime::Capabilities>| {
        let mut set = set.clone().unwrap_or_default();
        set.extend(more.iter().copied());
        Some(set)
    };
    caps.set_bounding(add(caps.bounding()));
    caps.set_effective(add(caps.effective()));
    caps.set_permitted(add(caps.permitted()));
    process.set_capabilities(Some(caps));
    Ok(())
}
