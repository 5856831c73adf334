//! The runtime that is linked in: one clone3 a process.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::Spec;
use runtime::resources::Purpose;
use runtime::{CgroupEntry, CreateOptions, ExecOptions, Filter, Stdio, Target};
use sys::Pid;
use sys::cgroup::Cgroup;
use sys::seccomp::SockFilter;
use sys::signal::Signal;
use sys::tty::Size;

use super::{Created, Handed, Pending, io_failed, limits, place, runtime_error, wants_terminal};
use crate::process::container::failed;
use crate::process::session::Ends;
use crate::process::stdio::Streams;
use crate::protocol::{CreateRequest, ErrorKind, ErrorReply, ExecRequest};

pub(super) fn create(request: &CreateRequest, handed: Handed<'_>) -> Result<Created, ErrorReply> {
    let cgroup = make_cgroup(request)?;
    let made = create_in(request, handed, cgroup.as_ref());
    if made.is_err()
        && let Some(cgroup) = &cgroup
    {
        // the first error counts; the sweep finds what is left
        let _ = cgroup.remove();
    }
    let (created, ends) = made?;
    if let Some(cgroup) = &cgroup {
        cgroup.settle();
    }
    Ok(Created { pid: created.pid, ends, cgroup, pending: Pending::BuiltIn(created) })
}

pub(super) fn make_cgroup(request: &CreateRequest) -> Result<Option<Cgroup>, ErrorReply> {
    let Some(wanted) = &request.cgroup else { return Ok(None) };
    let (path, driver) = place(wanted)?;
    let cgroup = Cgroup::create(&path, &driver).map_err(|e| failed("create the cgroup", e))?;
    let resources = request.spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    if let Some(Err(e)) = resources.map(|resources| limits::apply(&cgroup, resources, Purpose::Create)) {
        // the first error counts
        let _ = cgroup.remove();
        return Err(e);
    }
    Ok(Some(cgroup))
}

fn create_in(
    request: &CreateRequest,
    handed: Handed<'_>,
    cgroup: Option<&Cgroup>,
) -> Result<(runtime::Created, Ends), ErrorReply> {
    let attach = attach_fds(cgroup)?;
    let filter = compiled(request)?;
    let streams = streams(&request.spec, request.spec.process().as_ref(), request.open_stdin, true)?;
    let mut options = CreateOptions::new(&request.id, &request.spec, Path::new("/"));
    options.rootfs = handed.rootfs.as_ref().map(AsFd::as_fd);
    options.netns = handed.netns;
    options.mounts = &handed.mounts;
    options.stdio = stdio(streams.as_ref(), request.console_size);
    options.cgroup = entry(cgroup, &attach);
    options.seccomp = filter.as_ref().map(Compiled::as_filter);
    options.parent_death_signal = Some(Signal::KILL);
    let mut created = runtime::create(&options).map_err(runtime_error)?;
    let ends = ends(streams, created.console.take())?;
    Ok((created, ends))
}

pub(super) fn exec(
    init: Pid,
    request: &ExecRequest,
    created: &CreateRequest,
    cgroup: Option<&Cgroup>,
) -> Result<(Pid, Ends), ErrorReply> {
    let pidfd = sys::process::pidfd_open(init).map_err(|e| failed("exec", e))?;
    let attach = attach_fds(cgroup)?;
    let filter = compiled(created)?;
    let output = request.attach.is_some();
    let streams = streams(&created.spec, Some(&request.process), request.open_stdin, output)?;
    let joined = cgroup.map_or(Ok(None), |c| c.join_fd(init.as_raw_nonzero().get()));
    let joined = joined.map_err(|e| failed("enter the cgroup", e))?;
    let into = joined.as_ref().map(AsFd::as_fd).or(cgroup.and_then(Cgroup::into_cgroup_fd));
    let execed = runtime::exec(&ExecOptions {
        target: Target { pidfd: pidfd.as_fd(), pid: init },
        spec: &created.spec,
        process: &request.process,
        stdio: stdio(streams.as_ref(), request.console_size),
        cgroup: CgroupEntry { attach: &attach, into },
        seccomp: filter.as_ref().map(Compiled::as_filter),
        parent_death_signal: Some(Signal::KILL),
        preserve_fds: 0,
    })
    .map_err(runtime_error)?;
    Ok((execed.pid, ends(streams, execed.console)?))
}

pub(super) fn attach_fds(cgroup: Option<&Cgroup>) -> Result<Vec<OwnedFd>, ErrorReply> {
    cgroup.map_or(Ok(Vec::new()), |c| c.self_attach_fds().map_err(|e| failed("enter the cgroup", e)))
}

fn entry<'a>(cgroup: Option<&'a Cgroup>, attach: &'a [OwnedFd]) -> CgroupEntry<'a> {
    CgroupEntry { attach, into: cgroup.and_then(Cgroup::into_cgroup_fd) }
}

/// Pipes, unless there is a terminal.
fn streams(
    spec: &Spec,
    process: Option<&oci_spec::runtime::Process>,
    open_stdin: bool,
    output: bool,
) -> Result<Option<Streams>, ErrorReply> {
    if wants_terminal(process) {
        return Ok(None);
    }
    let streams = Streams::pipes(open_stdin, output).map_err(io_failed("make pipes"))?;
    if let Some(uid) = process.and_then(|process| on_host(spec, process.user().uid())) {
        streams.give_to(uid).map_err(io_failed("give the pipes away"))?;
    }
    Ok(Some(streams))
}

/// A user of the container's user namespace, if it has one, as the host's.
fn on_host(spec: &Spec, uid: u32) -> Option<u32> {
    let ranges = spec.linux().as_ref()?.uid_mappings().as_ref()?;
    ranges.iter().find_map(|range| {
        let offset = uid.checked_sub(range.container_id()).filter(|offset| *offset < range.size())?;
        range.host_id().checked_add(offset)
    })
}

fn stdio(streams: Option<&Streams>, size: Option<(u16, u16)>) -> Stdio<'_> {
    match streams {
        Some(streams) => Stdio::Fds(streams.theirs()),
        None => Stdio::Terminal(size.map(|(rows, columns)| Size { rows, columns })),
    }
}

fn ends(streams: Option<Streams>, console: Option<OwnedFd>) -> Result<Ends, ErrorReply> {
    match (streams, console) {
        (Some(streams), _) => Ok(streams.into_ours()),
        (None, Some(console)) => Ends::of_console(console).map_err(io_failed("duplicate the terminal")),
        (None, None) => Err(failed("terminal", "the runtime gave none")),
    }
}

/// A filter with its installation's flags.
struct Compiled {
    program: Vec<SockFilter>,
    flags: u64,
}

impl Compiled {
    fn as_filter(&self) -> Filter<'_> {
        Filter { program: &self.program, flags: self.flags }
    }
}

/// The filter that came ready, or the specification's policy made into one.
fn compiled(request: &CreateRequest) -> Result<Option<Compiled>, ErrorReply> {
    if let Some(words) = &request.seccomp {
        let program = words.iter().map(instruction).collect();
        return Ok(Some(Compiled { program, flags: 0 }));
    }
    let policy = request.spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref());
    let Some(policy) = policy else { return Ok(None) };
    let compiled =
        runtime::seccomp::compile(policy).map_err(|e| ErrorReply::new(ErrorKind::Invalid, e.to_string()))?;
    if compiled.listener.is_some() {
        let message = "seccomp: listenerPath is not supported here; use an outside runtime";
        return Err(ErrorReply::new(ErrorKind::Unsupported, message));
    }
    Ok(Some(Compiled { program: compiled.program, flags: compiled.flags }))
}

fn instruction(word: &u64) -> SockFilter {
    let (low, k) = (*word as u32, (*word >> 32) as u32);
    SockFilter { code: low as u16, jt: (low >> 16) as u8, jf: (low >> 24) as u8, k }
}
