//! `mount_setattr(2)`.

use std::os::fd::{AsRawFd, BorrowedFd};

use super::check;
use crate::Result;

/// `struct mount_attr` of `linux/mount.h`.
#[repr(C)]
#[derive(Default)]
pub(crate) struct MountAttr {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) propagation: u64,
    pub(crate) userns: u64,
}

pub(crate) fn mount_setattr(mount: BorrowedFd<'_>, flags: i32, attr: &MountAttr) -> Result<()> {
    // SAFETY: the path is an empty C string and `attr` is a valid structure of the stated size.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | flags,
            std::ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    };
    check(ret).map(drop)
}
