//! The specification's limits into the cgroup.

use oci_spec::runtime::LinuxResources;
use sys::cgroup::Cgroup;

use crate::protocol::{ErrorKind, ErrorReply};

/// Write every limit that is set.
pub(in crate::process) fn apply(_cgroup: &Cgroup, _resources: &LinuxResources) -> Result<(), ErrorReply> {
    Err(ErrorReply::new(ErrorKind::Unsupported, "limits: not built in"))
}
