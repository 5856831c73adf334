//! The OCI runtime: config.json in, a process out. No threads, no async.
//!
//! [`create`] makes a container's first process, which waits before it becomes the program; [`Created::start`] lets
//! it go on. [`exec`] makes a further process in a running container. Both report a failing step by name.

mod create;
mod error;
mod exec;
mod hooks;
mod init;
mod job;
mod link;
mod options;
mod plan;
pub mod resources;
pub mod seccomp;
mod userns;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

pub use error::{Error, Kind, Result};
use oci_spec::runtime::{LinuxIdMapping, Spec};
pub use options::{CgroupEntry, CreateOptions, ExecOptions, Filter, Stdio, Target};
use sys::Pid;

/// A container whose first process waits for its start. Dropping it ends that process, unless a start socket was
/// given.
#[derive(Debug)]
pub struct Created {
    /// The first process in the caller's pid namespace; the caller is its parent and must reap it.
    pub pid: Pid,
    /// Refers to it.
    pub pidfd: OwnedFd,
    /// Master of its terminal.
    pub console: Option<OwnedFd>,
    /// Seccomp notifications of the first process, when its filter has them.
    pub notify: Option<OwnedFd>,
    link: link::Link,
}

impl Created {
    /// Lets the first process become the program, and returns when it has (or could not).
    ///
    /// # Errors
    /// The failing step; the process has ended then and must be reaped.
    pub fn start(self) -> Result<Running> {
        create::start_created(self)
    }
}

/// A running first process.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub pid: Pid,
    /// Refers to it.
    pub pidfd: OwnedFd,
    /// Master of its terminal.
    pub console: Option<OwnedFd>,
    /// Seccomp notifications, when the filter has them.
    pub notify: Option<OwnedFd>,
}

/// A running further process; the caller is its parent and must reap it.
#[derive(Debug)]
pub struct Execed {
    /// The process.
    pub pid: Pid,
    /// Refers to it.
    pub pidfd: OwnedFd,
    /// Master of its terminal.
    pub console: Option<OwnedFd>,
    /// Seccomp notifications, when the filter has them.
    pub notify: Option<OwnedFd>,
}

/// Makes a container's first process, up to the point where it waits for its start.
///
/// # Errors
/// The failing step; nothing is left then.
pub fn create(options: &CreateOptions<'_>) -> Result<Created> {
    create::create(options)
}

/// Starts a further process in a running container, and returns when it has become its program.
///
/// # Errors
/// The failing step; nothing is left then.
pub fn exec(options: &ExecOptions<'_>) -> Result<Execed> {
    exec::exec(options)
}

/// Gives the start over a connection to the socket at which a created container waits ([`CreateOptions::start_socket`])
/// and returns when its program runs. What comes back are seccomp notifications, when the filter has them.
///
/// # Errors
/// The failing step; the first process has ended then.
pub fn start(connection: OwnedFd) -> Result<Option<OwnedFd>> {
    create::start(&link::Link(connection))
}

/// Makes a detached mount idmapped: files that the file system says are `container_id`'s appear as `host_id`'s.
///
/// # Errors
/// `EINVAL` when the file system can't; what `mount_setattr(2)` says; the mappings are none.
pub fn idmap(
    mount: impl AsFd,
    uids: &[LinuxIdMapping],
    gids: &[LinuxIdMapping],
    recursive: bool,
) -> Result<()> {
    userns::idmap(mount.as_fd(), uids, gids, recursive)
}

/// A user namespace with these mappings that nobody lives in, and a network namespace that belongs to it: a container
/// with [`CreateOptions::netns`] of these that lists a new user namespace lives in this one.
///
/// # Errors
/// The mappings are none; the kernel makes no (more) user namespaces for us.
pub fn user_namespace(uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Result<(OwnedFd, OwnedFd)> {
    userns::with_network(uids, gids)
}

/// A network namespace that belongs to this user namespace, which is another one than the caller's.
///
/// # Errors
/// The user namespace can't be joined; the kernel makes no more network namespaces.
pub fn network_namespace(user: impl AsFd) -> Result<OwnedFd> {
    userns::network_of(user.as_fd())
}

/// The state that hooks read on their stdin.
#[must_use]
pub fn hook_state(spec: &Spec, id: &str, bundle: &Path, status: &str, pid: i32) -> String {
    hooks::state_json(spec, id, &bundle.display().to_string(), status, pid)
}

/// Runs the `poststart` hooks; the caller does so after the start.
///
/// # Errors
/// The first hook that fails.
pub fn poststart(spec: &Spec, state: impl FnOnce() -> String) -> Result<()> {
    let list = spec.hooks().as_ref().and_then(|h| h.poststart().as_deref()).unwrap_or(&[]);
    hooks::run("poststart", &list.iter().collect::<Vec<_>>(), state)
}

/// Runs all `poststop` hooks; the caller does so after everything else is gone.
///
/// # Errors
/// The first hook that failed; the others have run.
pub fn poststop(spec: &Spec, state: impl FnOnce() -> String) -> Result<()> {
    let list = spec.hooks().as_ref().and_then(|h| h.poststop().as_deref()).unwrap_or(&[]);
    if list.is_empty() {
        return Ok(());
    }
    let state = state();
    let run = |hook| hooks::run("poststop", &[hook], || state.clone());
    list.iter().map(run).fold(Ok(()), Result::and)
}
