//! Who turns the specification into a process: the runtime linked in, or a program with runc's command line.

mod builtin;
mod checkpoint;
mod limits;
mod outside;

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use sys::Pid;
use sys::cgroup::{Cgroup, CgroupPath, Driver, systemd};

use super::container::failed;
use super::session::Ends;
use crate::protocol::{
    CgroupDriver, CgroupRequest, CreateRequest, ErrorKind, ErrorReply, ExecRequest, RuntimeRequest,
};

pub(super) use checkpoint::{Streams as CheckpointStreams, dump};
pub(super) use limits::update;
use outside::Outside;

/// The maker of processes.
#[derive(Debug)]
pub(super) enum Backend {
    BuiltIn,
    Outside(Outside),
}

/// A first process that waits to be started.
#[derive(Debug)]
pub(super) enum Pending {
    BuiltIn(runtime::Created),
    Outside,
    /// Runs already: it was brought back.
    Restored,
}

/// What came as descriptors.
pub(super) struct Handed<'a> {
    pub(super) rootfs: Option<OwnedFd>,
    pub(super) netns: Option<BorrowedFd<'a>>,
    /// In place of the source of `spec.mounts[index]`.
    pub(super) mounts: Vec<(usize, BorrowedFd<'a>)>,
}

/// A container that was made.
pub(super) struct Created {
    pub(super) pid: Pid,
    pub(super) ends: Ends,
    pub(super) cgroup: Option<Cgroup>,
    pub(super) pending: Pending,
}

impl Backend {
    pub(super) fn new(request: &CreateRequest) -> Self {
        match &request.runtime {
            RuntimeRequest::BuiltIn => Self::BuiltIn,
            RuntimeRequest::Outside { path, args, root } => Self::Outside(Outside::new(path, args, root)),
        }
    }

    pub(super) fn create(
        &self,
        request: &CreateRequest,
        handed: Handed<'_>,
        state_dir: &File,
    ) -> Result<Created, ErrorReply> {
        match self {
            Self::BuiltIn => match &request.restore {
                Some(restore) => checkpoint::restore(request, restore, handed, state_dir),
                None => builtin::create(request, handed),
            },
            Self::Outside(_) if request.restore.is_some() => {
                let message = "restore: only the built-in runtime brings processes back";
                Err(ErrorReply::new(ErrorKind::Unsupported, message))
            }
            Self::Outside(outside) => outside.create(request, handed, state_dir),
        }
    }

    pub(super) fn start(&self, id: &str, pending: Pending, state_dir: &File) -> Result<(), ErrorReply> {
        match (self, pending) {
            (Self::Outside(outside), _) => outside.start(id, state_dir),
            (Self::BuiltIn, Pending::BuiltIn(created)) => created.start().map(drop).map_err(runtime_error),
            (Self::BuiltIn, Pending::Restored) => Ok(()),
            (Self::BuiltIn, Pending::Outside) => Err(ErrorReply::new(ErrorKind::Failed, "start: not ours")),
        }
    }

    pub(super) fn exec(
        &self,
        init: Pid,
        request: &ExecRequest,
        created: &CreateRequest,
        cgroup: Option<&Cgroup>,
        state_dir: &File,
    ) -> Result<(Pid, Ends), ErrorReply> {
        match self {
            Self::BuiltIn => builtin::exec(init, request, created, cgroup),
            Self::Outside(outside) => outside.exec(&created.id, request, state_dir),
        }
    }

    /// The outside runtime, which has verbs of its own.
    pub(super) fn outside(&self) -> Option<&Outside> {
        match self {
            Self::Outside(outside) => Some(outside),
            Self::BuiltIn => None,
        }
    }
}

/// The runtime's error, with what it means for the exit code.
fn runtime_error(error: runtime::Error) -> ErrorReply {
    let kind = match error.kind {
        runtime::Kind::NotFound => ErrorKind::NotFound,
        runtime::Kind::NotExecutable => ErrorKind::NotExecutable,
        runtime::Kind::Invalid => ErrorKind::Invalid,
        runtime::Kind::Step => ErrorKind::Failed,
    };
    ErrorReply::new(kind, error.to_string())
}

/// Where the request's cgroup is, and who makes it.
fn place(request: &CgroupRequest) -> Result<(CgroupPath, Driver), ErrorReply> {
    let wrong = |e: sys::cgroup::Error| ErrorReply::new(ErrorKind::Invalid, e.to_string());
    let text = request.path.to_str().unwrap_or_default();
    match request.driver {
        CgroupDriver::Cgroupfs => Ok((CgroupPath::new(text).map_err(wrong)?, Driver::Cgroupfs)),
        CgroupDriver::Systemd => {
            let unit = systemd::Unit::parse(text).map_err(wrong)?;
            Ok((unit.path().map_err(wrong)?, Driver::Systemd(unit)))
        }
    }
}

/// Whether the kernel kills every process when the first one ends: it has a process namespace of its own.
pub(super) fn has_own_pids(spec: &Spec) -> bool {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    namespaces.is_some_and(|all| all.iter().any(|n| n.typ() == LinuxNamespaceType::Pid && n.path().is_none()))
}

/// Whether a process gets a terminal.
fn wants_terminal(process: Option<&oci_spec::runtime::Process>) -> bool {
    process.and_then(oci_spec::runtime::Process::terminal).unwrap_or(false)
}

fn io_failed(what: &'static str) -> impl FnOnce(std::io::Error) -> ErrorReply {
    move |e| failed(what, e)
}
