//! `--security-opt`, and the system-call policy.

mod options;

pub(crate) use options::{Options, Seccomp};

use std::collections::BTreeSet;

use oci_spec::runtime::LinuxSeccomp;

use crate::error::Result;

/// The system-call filter of a container with these capabilities.
///
/// # Errors
/// The profile is no profile.
pub(crate) fn filter(_seccomp: &Seccomp, _capabilities: &BTreeSet<String>) -> Result<Option<LinuxSeccomp>> {
    Ok(None)
}
