//! Signal dispositions, masks, `signalfd(2)`, and sending numbers that `rustix` has no name for.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::check;
use crate::Result;

fn empty() -> libc::sigset_t {
    // SAFETY: an all-zero sigset_t is a valid (empty) set on Linux.
    unsafe { std::mem::zeroed() }
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = empty();
    for &number in signals {
        // SAFETY: `set` is a valid set; a bad number makes the call fail without touching it.
        unsafe { libc::sigaddset(&raw mut set, number) };
    }
    set
}

/// Replaces the calling thread's signal mask by exactly `signals`.
pub(crate) fn set_mask(signals: &[i32]) -> Result<()> {
    let set = set_of(signals);
    // SAFETY: `set` is valid; the old set is not asked for.
    let ret = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
    if ret == 0 { Ok(()) } else { Err(crate::Errno::from_raw_os_error(ret)) }
}

/// Gives every signal its default disposition.
pub(crate) fn reset_dispositions() {
    // `struct sigaction` of the kernel, all zero: SIG_DFL, no flags. The raw call reaches numbers 32 and 33,
    // which the C library keeps for itself.
    let action = [0u64; 4];
    for number in 1..=64 {
        // SAFETY: `action` is at least as long as the kernel's structure with a 64-bit mask. SIGKILL and
        // SIGSTOP are refused, which is fine.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                action.as_ptr(),
                std::ptr::null_mut::<libc::c_void>(),
                8,
            )
        };
    }
}

/// A close-on-exec, non-blocking descriptor that reads `signals`.
pub(crate) fn signalfd(signals: &[i32]) -> Result<OwnedFd> {
    let set = set_of(signals);
    // SAFETY: `set` is valid and -1 asks for a new descriptor.
    let ret = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    check(ret.into())?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(ret) })
}

pub(crate) fn kill(pid: i32, number: i32) -> Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { libc::kill(pid, number) }.into()).map(drop)
}

pub(crate) fn pidfd_send(pidfd: BorrowedFd<'_>, number: i32) -> Result<()> {
    // SAFETY: the siginfo pointer may be null.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            number,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    check(ret).map(drop)
}

/// Sends to one thread of this process.
#[cfg(test)]
pub(crate) fn tgkill(tid: i32, number: i32) -> Result<()> {
    // SAFETY: no pointers are passed.
    check(unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, number) }).map(drop)
}
