//! What `create` and `run` have in common: everything up to a first process that waits.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use oci_spec::runtime::{LinuxCapabilities, LinuxNamespaceType, Process, Spec};
use runtime::seccomp::Compiled;
use runtime::{CgroupEntry, CreateOptions, Created, Filter, Stdio};
use serde::de::DeserializeOwned;
use sys::caps::CapSet;
use sys::cgroup::Cgroup;

use crate::cli::args::{Flag, Parsed, option, switch};
use crate::cli::container::{Directory, MAX_CONFIG, State};
use crate::cli::global::Global;
use crate::cli::{console, lenient, limits, time};
use sys::process::stat;

pub(super) const BUNDLE: Flag =
    option("bundle", "b", "DIR", "the bundle's directory (default: the current one)");
pub(super) const CONSOLE: Flag =
    option("console-socket", "", "PATH", "unix socket that gets the terminal's master");
pub(super) const PID_FILE: Flag = option("pid-file", "", "FILE", "file to write the process's number to");
pub(super) const NO_PIVOT: Flag =
    switch("no-pivot", "", "chroot instead of pivot_root, for a root on a ramdisk");
pub(super) const NO_KEYRING: Flag = switch("no-new-keyring", "", "no session keyring of its own");
pub(super) const PRESERVE: Flag = option("preserve-fds", "", "N", "pass N more descriptors, from 3 on");

/// A container whose first process waits.
pub(super) struct Launched {
    pub(super) id: String,
    pub(super) created: Created,
    pub(super) directory: Directory,
    pub(super) spec: Spec,
    pub(super) bundle: PathBuf,
    pub(super) filter: Option<Compiled>,
    pub(super) cgroup: Option<Cgroup>,
}

/// The specification in a bundle, and its bytes, less what is only worth a warning.
fn read_spec(global: &Global, bundle: &Path) -> Result<(Spec, Vec<u8>)> {
    let path = bundle.join("config.json");
    let bytes = match sys::file::read_bounded(&path, MAX_CONFIG) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            bail!("JSON specification file {} not found", path.display())
        }
        other => other.with_context(|| path.display().to_string())?,
    };
    let (spec, bytes): (Spec, _) = parse(global, bytes, false).with_context(|| path.display().to_string())?;
    if !spec.version().starts_with("1.") {
        bail!("{}: unsupported ociVersion {:?}", path.display(), spec.version());
    }
    Ok((spec, bytes))
}

/// Reads a specification, or (`whole`) a process alone; capabilities that nobody knows are a warning.
pub(super) fn parse<T: DeserializeOwned>(
    global: &Global,
    bytes: Vec<u8>,
    whole: bool,
) -> Result<(T, Vec<u8>)> {
    let error = match serde_json::from_slice(&bytes) {
        Ok(value) => return Ok((value, bytes)),
        Err(error) => error,
    };
    let Some((bytes, unknown)) = lenient::without_unknown_capabilities(&bytes, whole) else {
        return Err(error.into());
    };
    let value = serde_json::from_slice(&bytes)?;
    global.log.warning(&format!("capabilities that are not known here: {}", unknown.join(", ")));
    Ok((value, bytes))
}

pub(super) fn bundle(parsed: &Parsed) -> Result<PathBuf> {
    let given = Path::new(parsed.get("bundle").unwrap_or("."));
    let absolute = std::path::absolute(given).with_context(|| format!("bundle {}", given.display()))?;
    if !absolute.is_dir() {
        bail!("bundle {}: no such directory", given.display());
    }
    Ok(absolute)
}

/// Sockets that a service manager passed on count as descriptors to preserve.
pub(super) fn preserve_fds(parsed: &Parsed) -> Result<u32> {
    let listen: u32 = std::env::var("LISTEN_FDS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    Ok(parsed.number::<u32>("preserve-fds")?.unwrap_or(0) + listen)
}

/// Whether terminal, console socket and detaching go together.
pub(super) fn check_terminal(terminal: bool, socket: Option<&str>, detached: bool) -> Result<()> {
    if detached && terminal && socket.is_none() {
        bail!("cannot allocate tty if runc will detach without setting console socket");
    }
    if (!detached || !terminal) && socket.is_some() {
        bail!("cannot use console socket if runc will not detach or allocate tty");
    }
    Ok(())
}

/// Makes the container; `wait` tells whether another process will start it. What was made goes again on failure.
pub(super) fn launch(global: &Global, parsed: &Parsed, wait: bool, detached: bool) -> Result<Launched> {
    let id = parsed.id()?;
    let bundle = bundle(parsed)?;
    let (spec, bytes) = read_spec(global, &bundle)?;
    let terminal = spec.process().as_ref().and_then(Process::terminal).unwrap_or(false);
    check_terminal(terminal, parsed.get("console-socket"), detached)?;
    warn_of_lacking(global, &spec, spec.process().as_ref())?;
    let directory = Directory::create(&global.root, id)?;
    let mut cgroup = None;
    let made = directory
        .write_config(&bytes)
        .and_then(|()| make(global, parsed, &spec, &bundle, &directory, &mut cgroup, wait));
    match made {
        Ok((created, filter)) => {
            Ok(Launched { id: id.to_owned(), created, directory, spec, bundle, filter, cgroup })
        }
        Err(error) => {
            // the first error is the one to report
            let _ = cgroup.map(|c| c.kill().and_then(|()| c.remove()));
            let _ = directory.remove();
            Err(error)
        }
    }
}

/// Capabilities that can't be granted are left out; the specification wants a warning of that. With a user
/// namespace all of them can.
pub(super) fn warn_of_lacking(global: &Global, spec: &Spec, process: Option<&Process>) -> Result<()> {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    let user = namespaces.into_iter().flatten().any(|n| n.typ() == LinuxNamespaceType::User);
    let Some(wanted) = process.and_then(|p| p.capabilities().as_ref()).filter(|_| !user) else {
        return Ok(());
    };
    let lacking = lacking(wanted, sys::caps::permitted()?);
    if !lacking.is_empty() {
        global.log.warning(&format!("capabilities that can't be granted here: {}", lacking.join(", ")));
    }
    Ok(())
}

fn lacking(wanted: &LinuxCapabilities, have: CapSet) -> Vec<String> {
    let permitted = wanted.permitted().iter().flatten().filter_map(|c| sys::caps::number(&c.to_string()));
    CapSet(permitted.filter(|n| !have.has(*n)).fold(0, |all, n| all | CapSet::of(n).0)).names()
}

fn make(
    global: &Global,
    parsed: &Parsed,
    spec: &Spec,
    bundle: &Path,
    directory: &Directory,
    cgroup: &mut Option<Cgroup>,
    wait: bool,
) -> Result<(Created, Option<Compiled>)> {
    let id = parsed.id()?;
    let filter = limits::filter(spec)?;
    *cgroup = limits::cgroup(global, id, spec)?;
    let attach = cgroup.as_ref().map_or(Ok(Vec::new()), Cgroup::self_attach_fds)?;
    let socket = if wait { Some(directory.listen()?) } else { None };
    let terminal = spec.process().as_ref().and_then(Process::terminal).unwrap_or(false);
    let options = CreateOptions {
        stdio: if terminal { Stdio::Terminal(None) } else { Stdio::Inherit },
        cgroup: CgroupEntry { attach: &attach, into: cgroup.as_ref().and_then(Cgroup::into_cgroup_fd) },
        seccomp: filter.as_ref().map(|f| Filter { program: &f.program, flags: f.flags }),
        start_socket: socket.as_ref().map(AsFd::as_fd),
        preserve_fds: preserve_fds(parsed)?,
        new_keyring: !parsed.has("no-new-keyring"),
        pivot: !parsed.has("no-pivot"),
        ..CreateOptions::new(id, spec, bundle)
    };
    let created = runtime::create(&options)?;
    if let Some(cgroup) = cgroup.as_ref() {
        cgroup.settle();
    }
    let recorded = record(parsed, spec, bundle, directory, cgroup.as_ref(), &created);
    match recorded {
        Ok(()) => Ok((created, filter)),
        Err(error) => {
            end(&created);
            Err(error)
        }
    }
}

/// Kills and reaps a first process that must not stay.
pub(super) fn end(created: &Created) {
    let _ = sys::signal::send(&created.pidfd, sys::signal::Signal::KILL);
    let _ = sys::process::wait(&created.pidfd);
}

fn record(
    parsed: &Parsed,
    spec: &Spec,
    bundle: &Path,
    directory: &Directory,
    cgroup: Option<&Cgroup>,
    created: &Created,
) -> Result<()> {
    if let (Some(socket), Some(master)) = (parsed.get("console-socket"), &created.console) {
        console::send(socket, master.as_fd())?;
    }
    let (_, start_time) =
        stat(created.pid).ok_or_else(|| anyhow!("the container's first process has ended"))?;
    let root = spec.root().as_ref().map(|r| bundle.join(r.path()));
    directory.write_state(&State {
        format: 1,
        id: parsed.id()?.to_owned(),
        pid: created.pid.as_raw_nonzero().get(),
        start_time,
        created: time::rfc3339(time::now(), 9),
        bundle: bundle.to_owned(),
        rootfs: root.unwrap_or_default(),
        cgroup: cgroup.map(|c| c.path().as_str().to_owned()),
        owner: String::new(),
    })?;
    write_pid_file(parsed.get("pid-file"), created.pid)
}

/// Writes the number so that a reader sees all of it or nothing.
pub(super) fn write_pid_file(path: Option<&str>, pid: sys::Pid) -> Result<()> {
    let Some(path) = path.map(Path::new) else { return Ok(()) };
    let write = || {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().ok_or(std::io::ErrorKind::InvalidInput)?;
        let directory = sys::file::open_directory(parent)?;
        sys::file::write_atomic(directory, name, pid.as_raw_nonzero().to_string().as_bytes(), 0o644)
    };
    write().with_context(|| format!("pid file {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lacking_capabilities_are_named() {
        let wanted: LinuxCapabilities =
            serde_json::from_str(r#"{"permitted": ["CAP_CHOWN", "CAP_SYS_RESOURCE"]}"#).unwrap();
        let chown = CapSet::of(sys::caps::number("CAP_CHOWN").unwrap());
        assert_eq!(lacking(&wanted, chown), ["CAP_SYS_RESOURCE"]);
        assert!(lacking(&wanted, CapSet(!0)).is_empty());
    }
}
