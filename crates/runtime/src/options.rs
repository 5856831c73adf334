//! What a caller hands in.

use std::os::fd::BorrowedFd;
use std::path::Path;

use oci_spec::runtime::{Process, Spec};
use sys::seccomp::SockFilter;
use sys::signal::Signal;
use sys::tty::Size;

/// Where the first three descriptors of a process lead.
#[derive(Clone, Copy, Debug)]
pub enum Stdio<'a> {
    /// The caller's own 0, 1 and 2.
    Inherit,
    /// These three, in order.
    Fds([BorrowedFd<'a>; 3]),
    /// A new pseudo-terminal in the container's own devpts; its master comes back.
    Terminal(Option<Size>),
}

/// A compiled system call filter.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// The program.
    pub program: &'a [SockFilter],
    /// `SECCOMP_FILTER_FLAG_*` for the installation.
    pub flags: u64,
}

/// How a process gets into its control groups: both are empty where they don't apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct CgroupEntry<'a> {
    /// Files that the child itself writes `0` to (v1).
    pub attach: &'a [std::os::fd::OwnedFd],
    /// Directory to be cloned into (v2).
    pub into: Option<BorrowedFd<'a>>,
}

/// A container to be created.
#[derive(Clone, Copy, Debug)]
pub struct CreateOptions<'a> {
    /// Its id, as hooks see it.
    pub id: &'a str,
    /// Its config.json.
    pub spec: &'a Spec,
    /// Directory that a relative root path starts from, and which hooks are told.
    pub bundle: &'a Path,
    /// A detached mount that becomes the root, instead of the path in the specification.
    pub rootfs: Option<BorrowedFd<'a>>,
    /// A network namespace to join, instead of what the specification says. When it belongs to another user namespace
    /// than the caller's and the specification wants a new one of those, that is joined as well.
    pub netns: Option<BorrowedFd<'a>>,
    /// Detached mounts that replace the source of `spec.mounts[index]`.
    pub mounts: &'a [(usize, BorrowedFd<'a>)],
    /// Standard descriptors.
    pub stdio: Stdio<'a>,
    /// Control groups to be in.
    pub cgroup: CgroupEntry<'a>,
    /// System call filter, already compiled.
    pub seccomp: Option<Filter<'a>>,
    /// Sent to the first process when its parent ends.
    pub parent_death_signal: Option<Signal>,
    /// A listening unix socket (`SOCK_SEQPACKET`): the first process waits there for its start, so that another process than
    /// the creator can give it. Without, [`crate::Created::start`] does.
    pub start_socket: Option<BorrowedFd<'a>>,
    /// How many descriptors from 3 on the program keeps.
    pub preserve_fds: u32,
    /// Give the container a session keyring of its own.
    pub new_keyring: bool,
    /// Change the root by `pivot_root`; else by `chroot` (for a root on a ramdisk).
    pub pivot: bool,
}

impl<'a> CreateOptions<'a> {
    /// Everything else as `runc run` has it.
    #[must_use]
    pub fn new(id: &'a str, spec: &'a Spec, bundle: &'a Path) -> Self {
        Self {
            id,
            spec,
            bundle,
            rootfs: None,
            netns: None,
            mounts: &[],
            stdio: Stdio::Inherit,
            cgroup: CgroupEntry::default(),
            seccomp: None,
            parent_death_signal: None,
            start_socket: None,
            preserve_fds: 0,
            new_keyring: true,
            pivot: true,
        }
    }
}

/// The running container that [`crate::exec`] enters.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// pidfd of its first process.
    pub pidfd: BorrowedFd<'a>,
    /// Number of its first process in the caller's pid namespace.
    pub pid: sys::Pid,
}

/// A further process in a running container.
#[derive(Clone, Copy, Debug)]
pub struct ExecOptions<'a> {
    /// Where.
    pub target: Target<'a>,
    /// The container's config.json.
    pub spec: &'a Spec,
    /// What.
    pub process: &'a Process,
    /// Standard descriptors.
    pub stdio: Stdio<'a>,
    /// Control groups to be in.
    pub cgroup: CgroupEntry<'a>,
    /// System call filter, already compiled.
    pub seccomp: Option<Filter<'a>>,
    /// Sent to the process when its parent ends.
    pub parent_death_signal: Option<Signal>,
    /// How many descriptors from 3 on the program keeps.
    pub preserve_fds: u32,
}
