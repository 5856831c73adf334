//! The last steps, which the first process and every further one have in common.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use oci_spec::runtime::Spec;

use super::labels::Labels;
use super::{become_user, cwd, limits, program, seccomp, stdio};
use crate::error::{Context, Error, Result};
use crate::link::Link;
use crate::plan::process::Plan;
use crate::{Filter, Stdio};

/// What the last steps work with.
pub(super) struct Tail<'a> {
    pub(super) process: &'a Plan<'a>,
    pub(super) spec: &'a Spec,
    pub(super) stdio: &'a Stdio<'a>,
    pub(super) seccomp: Option<Filter<'a>>,
    pub(super) preserve_fds: u32,
}

/// The program, found.
pub(super) struct Found {
    path: CString,
    env: Vec<CString>,
}

impl Tail<'_> {
    /// Everything up to being the right user in the right place. Whatever needs unusual system calls comes before the
    /// filter.
    pub(super) fn prepare(&self, tty: Option<&OwnedFd>, link: &Link) -> Result<Found> {
        let process = self.process;
        limits::apply(process, self.spec)?;
        stdio::install(self.stdio, tty, process.uid)?;
        let env = program::environment(process)?;
        let entered = cwd::enter_as_root(process.cwd)?;
        if process.no_new_privileges {
            rustix::thread::set_no_new_privs(true).step("no_new_privs", "")?;
        } else {
            // without no_new_privs only a privileged process may install a filter
            seccomp::install(self.seccomp, link)?;
        }
        become_user::run(process)?;
        if !entered {
            cwd::enter_as_user(process.cwd)?;
        }
        Ok(Found { path: program::find(process)?, env })
    }

    /// Becomes the program; only an error comes back.
    pub(super) fn become_program(&self, found: &Found, labels: &Labels, link: &Link) -> Error {
        let ready = || {
            labels.apply()?;
            program::keep_descriptors(self.preserve_fds)?;
            if self.process.no_new_privileges { seccomp::install(self.seccomp, link) } else { Ok(()) }
        };
        match ready() {
            Ok(()) => program::exec(&found.path, &self.process.argv, &found.env),
            Err(error) => error,
        }
    }
}
