//! Files of the host that a container gets are labelled like its own, or so that all containers may use them.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, Stat};
use sys::Errno;
use sys::selinux::Context;

use super::Selinux;
use crate::container::Container;
use crate::error::{Error, Result};

/// What nobody may have relabelled, for the host would not work any more: Docker's list. Compared by what they are, so
/// that no link and no mount leads around it.
const PROTECTED: [&str; 24] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/etc/passwd",
    "/etc/pki",
    "/etc/shadow",
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
    "/var/lib",
    "/var/log",
];

/// The level of what all containers share.
pub(crate) const SHARED: &str = "s0";

/// Who may use files that are labelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// All containers (`:z`).
    Shared,
    /// The container alone, and who has its level (`:Z`).
    Private,
}

impl Selinux {
    /// The label of files of a container, or of all containers; empty = they get none.
    pub(crate) fn file_label(&self, container: &Container, sharing: Sharing) -> String {
        let own = self.mount_label(container);
        match (sharing, own.parse::<Context>()) {
            (Sharing::Shared, Ok(own)) => own.at(SHARED).to_string(),
            _ => own.to_owned(),
        }
    }

    /// The label of files that all containers may use, whatever theirs are; empty = they get none.
    pub(crate) fn shared_label(&self) -> String {
        self.contexts.as_ref().map(|contexts| contexts.file.at(SHARED).to_string()).unwrap_or_default()
    }
}

/// Labels one of our own files or directories; where labels can't be kept, none is needed.
///
/// # Errors
/// The policy's refusal.
pub(crate) fn label(path: &Path, label: &str) -> std::io::Result<()> {
    if label.is_empty() {
        return Ok(());
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match sys::selinux::label(rustix::fs::open(path, flags, Mode::empty())?, label) {
        Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Labels what is mounted from the host, with all that is beneath. `keep` are directories of ours.
///
/// # Errors
/// It is, or holds, what the host needs as it is; the kernel's refusal.
pub(crate) fn relabel(source: BorrowedFd<'_>, name: &str, label: &str, keep: &[&Path]) -> Result<()> {
    if label.is_empty() {
        return Ok(());
    }
    let failed = |error: Error| error.context(format!("error setting label on mount source '{name}'"));
    let stat = rustix::fs::fstat(source).map_err(|errno| Error::because(format!("stat {name}"), errno))?;
    if is_protected(&stat, keep) {
        let error = Error::bad_parameter(format!("SELinux relabeling of {name} is not allowed"));
        return Err(failed(error));
    }
    match sys::selinux::relabel(source, label) {
        Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
        Err(errno) => Err(failed(Error::because(format!("label it {label}"), errno))),
    }
}

/// The source of a mount, open.
///
/// # Errors
/// It is not there.
pub(crate) fn open(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::because(format!("open {}", path.display()), errno))
}

fn is_protected(stat: &Stat, keep: &[&Path]) -> bool {
    let home = std::env::var_os("HOME");
    let own = keep.iter().flat_map(|path| path.ancestors());
    let home = home.iter().map(Path::new).filter(|path| path.is_absolute());
    let all = PROTECTED.iter().map(Path::new).chain(home).chain(own);
    let same = |path: &Path| {
        let found = rustix::fs::stat(path);
        found.is_ok_and(|found| (found.st_dev, found.st_ino) == (stat.st_dev, stat.st_ino))
    };
    all.into_iter().any(same)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    fn stat(path: &Path) -> Stat {
        rustix::fs::fstat(open(path).unwrap()).unwrap()
    }

    #[test]
    fn what_the_host_needs_is_protected_by_whatever_name() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        for path in ["/", "/etc", "/usr", "/etc/passwd", "/usr/../etc", "/bin", "/root"] {
            assert!(is_protected(&stat(Path::new(path)), &[]), "{path}");
        }
        assert!(is_protected(&stat(&link), &[]));
        assert!(!is_protected(&stat(dir.path()), &[]));
        let below = dir.path().join("data/root");
        std::fs::create_dir_all(&below).unwrap();
        assert!(is_protected(&stat(dir.path()), &[&below]) && is_protected(&stat(&below), &[&below]));
        std::fs::create_dir(below.join("volumes")).unwrap();
        assert!(!is_protected(&stat(&below.join("volumes")), &[&below]));
    }

    #[test]
    fn a_refusal_names_what_is_refused() {
        let etc = open(Path::new("/etc")).unwrap();
        let error = relabel(etc.as_fd(), "/etc", "a:b:c:s0", &[]).unwrap_err().to_string();
        assert_eq!(
            error,
            "error setting label on mount source '/etc': SELinux relabeling of /etc is not allowed"
        );
        relabel(etc.as_fd(), "/etc", "", &[]).unwrap();
    }
}
