//! `execve(2)`, `execveat(2)`, `close_range(2)`.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;
use crate::{Errno, Result};

fn pointers(list: &[CString]) -> Vec<*const libc::c_char> {
    list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
}

pub(crate) fn execve(path: &CStr, argv: &[CString], envp: &[CString]) -> Errno {
    let (argv, envp) = (pointers(argv), pointers(envp));
    // SAFETY: both arrays are null-terminated and point at strings that live in the arguments.
    let ret = unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    check(ret.into()).err().unwrap_or(Errno::INVAL)
}

pub(crate) fn execveat(fd: BorrowedFd<'_>, argv: &[CString], envp: &[CString]) -> Errno {
    let (argv, envp) = (pointers(argv), pointers(envp));
    // SAFETY: as for execve; the path is an empty C string, which AT_EMPTY_PATH allows.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    check(ret).err().unwrap_or(Errno::INVAL)
}

/// Marks every descriptor from `first` on close-on-exec.
pub(crate) fn close_range_cloexec(first: u32) -> Result<()> {
    // SAFETY: only sets a flag on descriptors; none is closed now, so no owner is left dangling.
    let ret = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    check(ret).map(drop)
}

/// Closes the descriptors `first..=last`.
pub(crate) fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: no memory is touched. The one caller documents that it is for a child on its way to another program,
    // where the owners of these descriptors are not dropped any more.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit never returns and touches no memory of ours.
    unsafe { libc::_exit(code) }
}
