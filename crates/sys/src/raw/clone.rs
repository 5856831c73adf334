//! `clone3(2)` used like `fork(2)`.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::check;
use crate::Result;

/// `struct clone_args` of `linux/sched.h`, up to the member that v5.7 added.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// `libc`'s constant of this name overflows its type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// The two sides of a successful clone.
pub(crate) enum Side {
    Parent { pid: i32, pidfd: OwnedFd },
    Child,
}

/// Clones without sharing memory. `flags` must not contain `CLONE_VM`, `CLONE_THREAD` or `CLONE_SETTLS`.
pub(crate) fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Side> {
    let forbidden = (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SETTLS | libc::CLONE_VFORK) as u64;
    debug_assert_eq!(flags & forbidden, 0);
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: (flags & !forbidden) | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if flags & libc::CLONE_PARENT as u64 != 0 {
        args.exit_signal = 0; // inherited from the caller, and refused when given
    }
    if let Some(fd) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = fd.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a valid `clone_args` of the stated size and `pidfd` outlives the call. Memory is not
    // shared (CLONE_VM is masked out), so the child runs on a copy of this stack, as after fork(2).
    let ret = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) };
    let result = match check(ret) {
        // a filter such as Docker's hides it from the inside of a container
        Err(crate::Errno::NOSYS) if args.flags <= u64::from(u32::MAX) && args.flags & EXIT_SIGNAL == 0 => {
            clone(args.flags | args.exit_signal, &mut pidfd)
        }
        other => other,
    };
    match result? {
        0 => Ok(Side::Child),
        pid => {
            // SAFETY: the kernel has just stored a new descriptor there, and nobody else owns it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Side::Parent { pid: pid as i32, pidfd })
        }
    }
}

/// The bits of `clone(2)`'s flags that are the signal.
const EXIT_SIGNAL: u64 = 0xff;

/// `clone(2)` used like `fork(2)`. `flags` as for [`clone3`], with the exit signal.
fn clone(flags: u64, pidfd: &mut RawFd) -> Result<i64> {
    // SAFETY: the caller has masked CLONE_VM and CLONE_SETTLS out, so the child runs on a copy of this stack;
    // the kernel stores the descriptor at `pidfd`, which outlives the call; no other pointer is passed.
    check(unsafe { libc::syscall(libc::SYS_clone, flags, 0_u64, &raw mut *pidfd, 0_u64, 0_u64) })
}

/// `setns(2)`.
pub(crate) fn setns(fd: BorrowedFd<'_>, flags: u64) -> Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { libc::syscall(libc::SYS_setns, fd.as_raw_fd(), flags as libc::c_int) }).map(drop)
}

/// `unshare(2)`, for namespaces: never unshares the descriptor table, which Rust's owners rely on.
pub(crate) fn unshare(flags: u64) -> Result<()> {
    let flags = flags & !(libc::CLONE_FILES as u64);
    // SAFETY: no pointers are passed, and the descriptor table stays as it is.
    check(unsafe { libc::syscall(libc::SYS_unshare, flags as libc::c_int) }).map(drop)
}

/// `prctl(PR_SET_PDEATHSIG)`.
pub(crate) fn set_pdeathsig(number: i32) -> Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, number as libc::c_ulong, 0, 0, 0) }.into()).map(drop)
}
