//! `sched_setattr(2)` and `ioprio_set(2)`.

use super::check;
use crate::Result;

/// `struct sched_attr`, the first version (48 bytes).
#[repr(C)]
#[derive(Default)]
pub(crate) struct SchedAttr {
    pub(crate) size: u32,
    pub(crate) policy: u32,
    pub(crate) flags: u64,
    pub(crate) nice: i32,
    pub(crate) priority: u32,
    pub(crate) runtime: u64,
    pub(crate) deadline: u64,
    pub(crate) period: u64,
}

pub(crate) fn sched_setattr(attr: &mut SchedAttr) -> Result<()> {
    attr.size = size_of::<SchedAttr>() as u32;
    // SAFETY: `attr` is a valid structure whose size member tells its size; pid 0 is the caller.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, std::ptr::from_mut(attr), 0) }).map(drop)
}

pub(crate) fn ioprio_set(value: i32) -> Result<()> {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    // SAFETY: no pointers are passed; 0 is the caller.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) }).map(drop)
}
