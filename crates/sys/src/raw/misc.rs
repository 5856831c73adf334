//! Small calls without a better room.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::check;
use crate::Result;

/// `keyctl(KEYCTL_JOIN_SESSION_KEYRING, name)`: the new keyring's serial number.
pub(crate) fn join_session_keyring(name: Option<&CStr>) -> Result<i32> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    let name = name.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: the name is null or a C string that outlives the call.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) };
    check(ret).map(|n| n as i32)
}

/// `keyctl(KEYCTL_DESCRIBE)` into `buf`: the description's length with its terminating NUL.
pub(crate) fn keyring_describe(key: i32, buf: &mut [u8]) -> Result<usize> {
    const KEYCTL_DESCRIBE: libc::c_long = 6;
    // SAFETY: the kernel writes at most `buf.len()` bytes into `buf`.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_DESCRIBE, key, buf.as_mut_ptr(), buf.len()) };
    check(ret).map(|n| n as usize)
}

/// `keyctl(KEYCTL_SETPERM)`.
pub(crate) fn keyring_set_permissions(key: i32, mask: u32) -> Result<()> {
    const KEYCTL_SETPERM: libc::c_long = 5;
    // SAFETY: no pointers are passed.
    check(unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_SETPERM, key, mask) }).map(drop)
}

/// `personality(2)`: returns the previous persona.
pub(crate) fn personality(persona: u64) -> Result<u64> {
    // SAFETY: no pointers are passed.
    check(unsafe { libc::syscall(libc::SYS_personality, persona) }).map(|n| n as u64)
}

/// `sync_file_range(SYNC_FILE_RANGE_WRITE)`: starts, doesn't wait.
pub(crate) fn sync_file_range_write(fd: BorrowedFd<'_>, offset: i64, length: i64) -> Result<()> {
    const SYNC_FILE_RANGE_WRITE: libc::c_uint = 2;
    // SAFETY: no pointers are passed, and the descriptor is open.
    let ret = unsafe { libc::sync_file_range(fd.as_raw_fd(), offset, length, SYNC_FILE_RANGE_WRITE) };
    check(ret.into()).map(drop)
}

/// `setfsuid(2)` and `setfsgid(2)` of the calling thread: what they were.
pub(crate) fn set_fs_ids(uid: u32, gid: u32) -> (u32, u32) {
    // SAFETY: no pointers are passed; the raw calls concern this thread alone.
    let (gid, uid) =
        unsafe { (libc::syscall(libc::SYS_setfsgid, gid), libc::syscall(libc::SYS_setfsuid, uid)) };
    (uid as u32, gid as u32)
}

/// `ioctl(NS_GET_USERNS)`: the user namespace that a namespace belongs to.
pub(crate) fn owning_user_namespace(namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    const NS_GET_USERNS: libc::Ioctl = 0xb701;
    // SAFETY: the request takes no argument.
    let ret = check(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_USERNS) }.into())?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(ret as i32) })
}
