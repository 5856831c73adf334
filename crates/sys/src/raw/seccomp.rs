//! `seccomp(2)`.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::check;
use crate::Result;

/// One instruction of classic BPF, laid out as `struct sock_filter`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockFilter {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when true.
    pub jt: u8,
    /// Instructions to skip when false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

#[repr(C)]
struct SockFprog {
    len: u16,
    filter: *const SockFilter,
}

/// Installs `filter` (at most 65,535 instructions) on the calling thread.
pub(crate) fn install(filter: &[SockFilter], flags: u64) -> Result<Option<OwnedFd>> {
    let len = u16::try_from(filter.len()).or(Err(crate::Errno::TOOBIG))?;
    let prog = SockFprog { len, filter: filter.as_ptr() };
    // SAFETY: `prog` describes `len` instructions that outlive the call; the kernel copies and checks them.
    let ret =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const prog) };
    let ret = check(ret)?;
    if flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with NEW_LISTENER the call returns a new descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(ret as RawFd) }))
}

/// Whether the kernel knows `action` (`SECCOMP_GET_ACTION_AVAIL`).
pub(crate) fn action_available(action: u32) -> bool {
    // SAFETY: the kernel reads one u32 that outlives the call.
    let ret =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
    ret == 0
}
