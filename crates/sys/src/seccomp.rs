//! Installing a system call filter. What the filter says is not known here.

use std::os::fd::OwnedFd;

pub use crate::raw::seccomp::SockFilter;
use crate::{Result, raw};

/// Log every action but allow (`SECCOMP_FILTER_FLAG_LOG`).
pub const FLAG_LOG: u64 = libc::SECCOMP_FILTER_FLAG_LOG;
/// No speculative store bypass mitigation (`SECCOMP_FILTER_FLAG_SPEC_ALLOW`).
pub const FLAG_SPEC_ALLOW: u64 = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
/// All threads of the process at once (`SECCOMP_FILTER_FLAG_TSYNC`).
pub const FLAG_TSYNC: u64 = libc::SECCOMP_FILTER_FLAG_TSYNC;
/// A descriptor for user notifications comes back (`SECCOMP_FILTER_FLAG_NEW_LISTENER`).
pub const FLAG_NEW_LISTENER: u64 = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
/// A notified caller can be killed while it waits (`SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`).
pub const FLAG_WAIT_KILLABLE_RECV: u64 = 1 << 5;

/// Installs `filter` for the calling thread and all its future children. Needs `no_new_privs` or `CAP_SYS_ADMIN`.
///
/// # Errors
/// What `seccomp(2)` says; `E2BIG` with more than 65,535 instructions.
pub fn install(filter: &[SockFilter], flags: u64) -> Result<Option<OwnedFd>> {
    raw::seccomp::install(filter, flags)
}

/// Whether the kernel knows the filter action `action` (`SECCOMP_RET_*`).
#[must_use]
pub fn action_available(action: u32) -> bool {
    raw::seccomp::action_available(action)
}
