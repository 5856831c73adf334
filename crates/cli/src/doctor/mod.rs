//! `berth system doctor`: what this machine has of what containers need, and what to do about the rest.
//!
//! Every check is a question about this machine alone, answered by what the kernel shows; the daemon is asked only where
//! it knows better (its roots, its containers). Nothing is changed, and no host but the daemon's is spoken to.

mod cgroups;
mod daemon;
mod kernel;
mod machine;
mod network;
mod storage;

use crate::client::Client;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// As it should be.
    Ok,
    /// Something will not work, or not well.
    Warn,
    /// Containers can't be run.
    Fail,
}

impl Status {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One question and its answer.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    /// What was looked at: `cgroups`, `firewall`.
    pub(crate) name: &'static str,
    /// How it came out.
    pub(crate) status: Status,
    /// What was found, and what that means.
    pub(crate) found: String,
    /// What to do; empty when there is nothing to do.
    pub(crate) advice: String,
}

/// All is well.
fn ok(name: &'static str, found: impl Into<String>) -> Check {
    Check { name, status: Status::Ok, found: found.into(), advice: String::new() }
}

/// Something will not work, or not well.
fn warn(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
    Check { name, status: Status::Warn, found: found.into(), advice: advice.into() }
}

/// Containers can't be run.
fn fail(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Check {
    Check { name, status: Status::Fail, found: found.into(), advice: advice.into() }
}

/// Everything, in the order in which a container needs it. `client` is `None` when only the machine is to be looked at.
pub(crate) fn examine(client: Option<&Client>) -> Vec<Check> {
    let (told, mut daemon) = daemon::ask(client);
    let mut checks = kernel::checks();
    checks.extend(cgroups::checks());
    checks.extend(network::checks());
    checks.extend(storage::checks(&told.data_root));
    checks.extend(machine::checks());
    checks.append(&mut daemon);
    checks
}

/// A short file of the kernel's, without the final newline; empty when it can't be read.
fn read(path: &str) -> String {
    sys::file::read_bounded(std::path::Path::new(path), 1 << 20)
        .map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned())
        .unwrap_or_default()
}
