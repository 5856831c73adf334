//! The root filesystem: attached, and in the end made the root.
//!
//! The root comes as a detached mount. It is attached on top of `/` of the container's own mount namespace: no
//! directory of the host is needed, and everything beneath is then done by descriptor. `pivot_root(".", ".")` swaps
//! the two, and the host's tree is detached as a whole.

use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags};
use sys::mount::{Attr, Change, Propagation};
use sys::path::Root;
use sys::process::Namespaces;

use crate::error::{Context, Result};
use crate::init::State;
use crate::job::Job;

/// Cuts this namespace off from the host's, and attaches the root.
pub(in crate::init) fn attach(job: &Job<'_>) -> Result<Root> {
    let root = sys::fd::dup_above(&job.root.fd, 3).step("root", "")?;
    if job.namespaces.new.contains(Namespaces::MOUNT) {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let slash = rustix::fs::open("/", flags, Mode::empty()).step("root", "/")?;
        // first: what happens here must not travel to the host
        let private =
            Change { propagation: Some(Propagation::Private), recursive: true, ..Change::default() };
        sys::mount::change(&slash, &private).step("make mounts private", "/")?;
        sys::mount::attach(&root, &slash).step("mount root", "")?;
    }
    Ok(Root::in_root(root))
}

/// Makes it the root.
pub(in crate::init) fn change(job: &Job<'_>, state: &State) -> Result<()> {
    rustix::process::fchdir(&state.root).step("root", "chdir")?;
    if job.options.pivot {
        sys::mount::pivot_to_cwd().step("pivot_root", "")?;
    } else {
        // it lies on top of "/" already, which is where MS_MOVE would have put it
        rustix::process::chroot(".").step("chroot", "")?;
        rustix::process::chdir("/").step("chroot", "")?;
    }
    match job.root.propagation {
        // the copy is private or slave as it is; a slave that is shared as well passes on what happens inside
        None | Some(Propagation::Private | Propagation::Slave) => {}
        propagation => {
            let change = Change { propagation, ..Change::default() };
            sys::mount::change(state.root.as_fd(), &change).step("root propagation", "/")?;
        }
    }
    if job.root.read_only {
        let change = Change { set: Attr::RDONLY, ..Change::default() };
        sys::mount::change(state.root.as_fd(), &change).step("read-only root", "/")?;
    }
    Ok(())
}

/// Without a mount namespace of its own a container only gets another root directory.
pub(in crate::init) fn change_without_mounts(state: &State) -> Result<()> {
    rustix::process::fchdir(&state.root).step("root", "chdir")?;
    rustix::process::chroot(".").step("chroot", "")?;
    rustix::process::chdir("/").step("chroot", "")
}
