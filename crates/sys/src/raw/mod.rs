//! The calls that neither the standard library nor `rustix` offers safely. The only `unsafe` of the workspace.
#![allow(unsafe_code, reason = "this module is the one place for it; each block says why it is sound")]

pub(crate) mod bpf;
pub(crate) mod clone;
pub(crate) mod exec;
pub(crate) mod memory;
pub(crate) mod misc;
pub(crate) mod mount;
pub(crate) mod net;
pub(crate) mod sched;
pub(crate) mod seccomp;
pub(crate) mod signal;
pub(crate) mod spawn;

use rustix::io::Errno;

/// The result of a raw `syscall(2)`: -1 means that `errno` says why.
pub(crate) fn check(ret: libc::c_long) -> Result<libc::c_long, Errno> {
    if ret == -1 {
        let code = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
        return Err(Errno::from_raw_os_error(code));
    }
    Ok(ret)
}
