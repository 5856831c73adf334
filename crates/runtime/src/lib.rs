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

use std::os::fd::OwnedFd;

pub use error::{Error, Kind, Result};
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
