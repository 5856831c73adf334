//! The root filesystem as a detached mount.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use sys::mount::{Change, Propagation};

use crate::CreateOptions;
use crate::error::{Context, Error, Result};

/// The root and how it is treated.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Detached mount; a plain directory when the container has no mount namespace.
    pub(crate) fd: OwnedFd,
    pub(crate) read_only: bool,
    /// What the specification says about the root's propagation.
    pub(crate) propagation: Option<Propagation>,
}

/// The word in `linux.rootfsPropagation`.
pub(crate) fn propagation(spec: &Spec) -> Result<Option<Propagation>> {
    let word = spec.linux().as_ref().and_then(|l| l.rootfs_propagation().as_deref()).unwrap_or("");
    Ok(Some(match word {
        "" => return Ok(None),
        "private" | "rprivate" => Propagation::Private,
        "slave" | "rslave" => Propagation::Slave,
        "shared" | "rshared" => Propagation::Shared,
        "unbindable" | "runbindable" => Propagation::Unbindable,
        _ => return Err(Error::invalid("rootfsPropagation", format!("{word}: no such propagation"))),
    }))
}

/// The path of the root filesystem.
pub(crate) fn path(spec: &Spec, bundle: &Path) -> Result<PathBuf> {
    let root = spec.root().as_ref().ok_or_else(|| Error::invalid("root", "the specification has none"))?;
    if root.path().as_os_str().is_empty() {
        return Err(Error::invalid("root", "its path is empty"));
    }
    Ok(bundle.join(root.path()))
}

/// Opens the root; `mounted` tells whether the container has a mount namespace of its own.
pub(crate) fn plan(options: &CreateOptions<'_>, mounted: bool) -> Result<Plan> {
    let read_only = options.spec.root().as_ref().and_then(oci_spec::runtime::Root::readonly).unwrap_or(false);
    let propagation = propagation(options.spec)?;
    let (fd, named) = match options.rootfs {
        Some(fd) => {
            let named = "the mount that was handed in".to_owned();
            (sys::fd::dup_above(fd, 3).step("root", &named)?, named)
        }
        None => {
            let path = path(options.spec, options.bundle)?;
            let named = path.display().to_string();
            if !mounted {
                let fd = sys::file::open_directory(&path).step("root", &named)?;
                return Ok(Plan { fd, read_only, propagation });
            }
            (sys::mount::clone_path(&path, true).step("root", &named)?, named)
        }
    };
    if mounted {
        // A copy of a mount is its peer, and systemd makes all mounts of a host shared: nothing that is mounted in the
        // container may appear there, and pivot_root(2) refuses a root that is shared.
        let unshare =
            if propagation == Some(Propagation::Private) { Propagation::Private } else { Propagation::Slave };
        let change = Change { propagation: Some(unshare), recursive: true, ..Change::default() };
        sys::mount::change(&fd, &change).step("root propagation", &named)?;
    }
    Ok(Plan { fd, read_only, propagation })
}
