//! System call filters: the specification's policy in, a program for the kernel out (`seccomp(2)`).
//!
//! Of each ABI the policy makes a list of ranges of numbers with one outcome each, and of that a balanced
//! tree of comparisons. The kernel walks the filter at every call that it can't remember as allowed,
//! and once for every number when the filter is installed: depth counts, not size.

mod abi;
mod action;
mod assemble;
mod interval;
mod mux;
mod outcome;
mod syscalls;

use std::path::PathBuf;

use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompFilterFlag};
use sys::seccomp::{
    FLAG_LOG, FLAG_NEW_LISTENER, FLAG_SPEC_ALLOW, FLAG_TSYNC, FLAG_WAIT_KILLABLE_RECV, SockFilter,
};

pub use abi::Machine;

/// Longest program that the kernel takes (`BPF_MAXINSNS`).
const INSTRUCTIONS_MAX: usize = 4096;

/// A compiled policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The program.
    pub program: Vec<SockFilter>,
    /// `SECCOMP_FILTER_FLAG_*` for the installation.
    pub flags: u64,
    /// Where the notification descriptor goes: a unix socket that someone listens at.
    pub listener: Option<Listener>,
}

/// Who answers notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Path of the socket.
    pub path: PathBuf,
    /// Opaque words passed along.
    pub metadata: String,
}

/// A policy that can't be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No filter can be made for this processor.
    #[error("seccomp: this processor's system calls are not known; run without a policy (unconfined)")]
    Machine,
    /// An error number with an action that returns none.
    #[error("seccomp: {action} takes no errnoRet")]
    ErrnoWithout {
        /// The action.
        action: LinuxSeccompAction,
    },
    /// An error number that doesn't fit.
    #[error("seccomp: errnoRet {0} is larger than {max}", max = action::DATA_MAX)]
    Errno(u32),
    /// An argument that no system call has.
    #[error("seccomp: {name}: argument index {index} is larger than 5")]
    Argument {
        /// The system call.
        name: String,
        /// The index.
        index: usize,
    },
    /// Notification in a place where it can't work.
    #[error("seccomp: SCMP_ACT_NOTIFY {0}")]
    Notify(&'static str),
    /// A rule or a setting that says half of something.
    #[error("seccomp: {0}")]
    Setting(&'static str),
    /// A flag that needs another setting.
    #[error("seccomp: {0}")]
    Flag(&'static str),
    /// The program is too long for the kernel.
    #[error("seccomp: the policy needs {0} instructions, more than the kernel's {INSTRUCTIONS_MAX}")]
    TooLong(usize),
}

/// Compiles a policy for the machine that this program runs on. Names of system calls that are not known
/// are left out, as a policy may be newer than this program.
///
/// # Errors
/// [`Error`] names what can't be followed.
pub fn compile(policy: &LinuxSeccomp) -> Result<Compiled, Error> {
    compile_for(policy, Machine::native().ok_or(Error::Machine)?)
}

/// Compiles a policy for `machine`.
///
/// # Errors
/// [`Error`] names what can't be followed.
pub fn compile_for(policy: &LinuxSeccomp, machine: Machine) -> Result<Compiled, Error> {
    let listener = listener(policy)?;
    let rules = outcome::Rules::read(policy)?;
    let abis = machine.abis(policy.architectures().as_deref().unwrap_or_default());
    let program = assemble::program(&rules, &abis)?;
    if program.len() > INSTRUCTIONS_MAX {
        return Err(Error::TooLong(program.len()));
    }
    Ok(Compiled { program, flags: flags(policy, listener.is_some())?, listener })
}

fn listener(policy: &LinuxSeccomp) -> Result<Option<Listener>, Error> {
    let some = |text: &Option<String>| text.as_deref().is_some_and(|t| !t.is_empty());
    if some(policy.listener_metadata()) && policy.listener_path().is_none() {
        return Err(Error::Setting("listenerMetadata needs a listenerPath"));
    }
    if policy.syscalls().iter().flatten().any(|rule| rule.names().is_empty()) {
        return Err(Error::Setting("a rule has no names"));
    }
    const NOTIFY: LinuxSeccompAction = LinuxSeccompAction::ScmpActNotify;
    if policy.default_action() == NOTIFY {
        return Err(Error::Notify("can't be the default: the runtime itself would wait for an answer"));
    }
    let mut notifying = policy.syscalls().iter().flatten().filter(|rule| rule.action() == NOTIFY).peekable();
    if notifying.peek().is_none() {
        return Ok(None);
    }
    // The descriptor is passed on with these, after the filter is in force.
    if notifying.any(|rule| rule.names().iter().any(|name| name == "write" || name == "sendmsg")) {
        return Err(Error::Notify("can't be used for write and sendmsg, which the runtime itself needs"));
    }
    let path = policy.listener_path().clone().ok_or(Error::Notify("needs a listenerPath"))?;
    Ok(Some(Listener { path, metadata: policy.listener_metadata().clone().unwrap_or_default() }))
}

fn flags(policy: &LinuxSeccomp, has_listener: bool) -> Result<u64, Error> {
    /// `SECCOMP_FILTER_FLAG_TSYNC_ESRCH`: the only way to have TSYNC and a listener together.
    const TSYNC_ESRCH: u64 = 1 << 4;
    let listen = if has_listener { FLAG_NEW_LISTENER } else { 0 };
    // No flags at all: the mitigation of speculative store bypass is left off, as other runtimes do.
    let Some(names) = policy.flags() else { return Ok(listen | FLAG_SPEC_ALLOW) };
    names.iter().try_fold(listen, |flags, name| match name {
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => Ok(flags | FLAG_LOG),
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => Ok(flags | FLAG_SPEC_ALLOW),
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync if has_listener => {
            Ok(flags | FLAG_TSYNC | TSYNC_ESRCH)
        }
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => Ok(flags | FLAG_TSYNC),
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv if !has_listener => {
            Err(Error::Flag("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY"))
        }
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => Ok(flags | FLAG_WAIT_KILLABLE_RECV),
    })
}

#[cfg(test)]
mod tests;
