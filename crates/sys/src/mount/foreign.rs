//! Copies of mounts that live in another mount namespace.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use super::{Change, Propagation, attach, change, clone_fd};
use crate::process::{Namespaces, join_namespaces, unshare, unshare_filesystem};
use crate::{Errno, Result};

/// A detached copy of `mount`, which is attached in the mount namespace `namespace`. The kernel copies only what is
/// in the caller's own namespace, so a thread goes there; no path is resolved in it.
///
/// # Errors
/// `EINVAL` when the mount is no longer attached there; what `setns(2)` and `open_tree(2)` say.
pub fn clone_from(namespace: BorrowedFd<'_>, mount: BorrowedFd<'_>) -> Result<OwnedFd> {
    let inside = || {
        // a thread can change its mount namespace once it shares no working directory with the others
        unshare_filesystem()?;
        join_namespaces(namespace, Namespaces::MOUNT)?;
        clone_fd(mount, false)
    };
    let joined = std::thread::scope(|scope| scope.spawn(inside).join());
    joined.unwrap_or(Err(Errno::CANCELED))
}

/// Runs `work` with the root of a detached mount. A kernel before 6.15 copies nothing of a mount that is attached
/// nowhere; there it is attached meanwhile in a mount namespace that only a thread is in.
///
/// # Errors
/// What `work` says.
pub fn inside<T: Send>(mount: OwnedFd, work: &(dyn Fn(OwnedFd) -> Result<T> + Sync)) -> Result<T> {
    match work(crate::fd::dup_above(&mount, 3)?) {
        Err(Errno::INVAL) => attached(&mount, work),
        done => done,
    }
}

/// Two of a detached mount, which show the same files.
///
/// # Errors
/// What `open_tree(2)` says.
pub fn twice(mount: OwnedFd) -> Result<(OwnedFd, OwnedFd)> {
    inside(mount, &|root| Ok((clone_fd(&root, false)?, clone_fd(&root, false)?)))
}

fn attached<T: Send>(mount: &OwnedFd, work: &(dyn Fn(OwnedFd) -> Result<T> + Sync)) -> Result<T> {
    let inside = || {
        unshare(Namespaces::MOUNT)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open("/", flags, Mode::empty())?;
        let private =
            Change { propagation: Some(Propagation::Private), recursive: true, ..Change::default() };
        change(&root, &private)?;
        attach(mount, &root)?;
        work(crate::fd::dup_above(mount, 3)?)
    };
    let joined = std::thread::scope(|scope| scope.spawn(inside).join());
    joined.unwrap_or(Err(Errno::CANCELED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::{Attr, filesystem};

    /// Both ways give the same; the second is what an older kernel needs.
    #[test]
    fn a_part_of_a_detached_mount_is_copied() {
        for way in [inside as fn(OwnedFd, &_) -> _, |mount, work: &_| attached(&mount, work)] {
            let mount = filesystem("tmpfs", &[], Attr::default()).unwrap();
            rustix::fs::mkdirat(&mount, "d", Mode::RWXU).unwrap();
            let open = |root: OwnedFd| {
                let flags = OFlags::PATH | OFlags::CLOEXEC;
                clone_fd(rustix::fs::openat(root, "d", flags, Mode::empty())?, false)
            };
            let part = way(mount, &open).unwrap();
            rustix::fs::mkdirat(&part, "inside", Mode::RWXU).unwrap();
        }
    }

    #[test]
    fn two_of_a_mount_are_one_file_system_and_can_be_attached() {
        let (first, second) = twice(filesystem("tmpfs", &[], Attr::default()).unwrap()).unwrap();
        rustix::fs::mkdirat(&first, "d", Mode::RWXU).unwrap();
        let open = |mount: &OwnedFd| rustix::fs::openat(mount, "d", OFlags::PATH, Mode::empty());
        open(&second).unwrap();
        for mount in [first, second] {
            attached(&mount, &|root| open(&root).map(drop)).unwrap();
        }
    }
}
