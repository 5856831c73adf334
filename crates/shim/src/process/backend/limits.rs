//! The specification's limits into the cgroup.

use oci_spec::runtime::LinuxResources;
use runtime::resources::{self, Purpose};
use sys::cgroup::Cgroup;

use crate::protocol::{ErrorKind, ErrorReply};

/// Write every limit that is set.
pub(super) fn apply(cgroup: &Cgroup, wanted: &LinuxResources, purpose: Purpose) -> Result<(), ErrorReply> {
    let mut settings = resources::settings(wanted, purpose)
        .map_err(|e| ErrorReply::new(ErrorKind::Invalid, e.to_string()))?;
    if wanted.devices().is_none() {
        // an ordinary user's daemon sends no list: only root may rule devices, by the usual rules as well
        settings.devices = None;
    }
    cgroup.apply(&settings).map_err(|e| ErrorReply::new(ErrorKind::Failed, e.to_string()))
}

/// Change the limits of a running container.
pub(in crate::process) fn update(cgroup: &Cgroup, wanted: &LinuxResources) -> Result<(), ErrorReply> {
    apply(cgroup, wanted, Purpose::Update)
}
