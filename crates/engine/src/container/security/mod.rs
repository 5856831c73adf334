//! `--security-opt`, and the system-call policy.

mod options;
mod seccomp;

use std::collections::BTreeSet;

use oci_spec::runtime::LinuxSeccomp;

use crate::error::Result;

pub(crate) use options::{Options, Seccomp};

/// The system-call filter of a container with these capabilities (without `CAP_`); `None` = unconfined.
///
/// # Errors
/// The profile is no profile, or this processor's system calls are not known.
pub(crate) fn filter(choice: &Seccomp, capabilities: &BTreeSet<String>) -> Result<Option<LinuxSeccomp>> {
    if *choice == Seccomp::Unconfined {
        return Ok(None);
    }
    let capabilities = capabilities.iter().map(|name| format!("CAP_{name}")).collect();
    let (machine, kernel) = (seccomp::machine()?, seccomp::running_kernel());
    match choice {
        Seccomp::Profile(json) => seccomp::load_profile(json, &capabilities, machine, kernel).map(Some),
        _ => seccomp::default_profile(&capabilities, machine, kernel).map(Some),
    }
}
