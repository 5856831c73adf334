//! `bpf(2)` for programs that cgroups ask about devices.

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;

const PROG_LOAD: libc::c_long = 5;
const PROG_ATTACH: libc::c_long = 8;
const PROG_DETACH: libc::c_long = 9;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const PROG_QUERY: libc::c_long = 16;

/// `BPF_PROG_TYPE_CGROUP_DEVICE`.
const TYPE_CGROUP_DEVICE: u32 = 15;
/// `BPF_CGROUP_DEVICE`, the place of attachment.
const ATTACH_CGROUP_DEVICE: u32 = 6;

/// Several programs may be attached, and all must say yes (`BPF_F_ALLOW_MULTI`).
pub(crate) const ALLOW_MULTI: u32 = 1 << 1;
/// Take the place of a given program (`BPF_F_REPLACE`, Linux 5.6).
pub(crate) const REPLACE: u32 = 1 << 2;

/// `union bpf_attr` for `BPF_PROG_LOAD`, as far as it is used here.
#[repr(C)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// `union bpf_attr` for `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`.
#[repr(C)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
}

/// `union bpf_attr` for `BPF_PROG_QUERY`.
#[repr(C)]
struct QueryAttr {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
}

/// `union bpf_attr` for `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
struct IdAttr {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// Calls `bpf(2)` with one of the structures above.
fn call<T>(command: libc::c_long, attr: &mut T) -> Result<i32, Errno> {
    let at: *mut T = attr;
    // SAFETY: `attr` lives through the call, its size is passed, and each caller filled in the fields
    // that its command reads; pointers in it refer to buffers that the caller borrows for as long.
    let ret = unsafe { libc::syscall(libc::SYS_bpf, command, at, size_of::<T>()) };
    let ret = super::check(ret)?;
    i32::try_from(ret).map_err(|_err| Errno::OVERFLOW)
}

fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// Loads a device program of encoded instructions (8 bytes each). What the verifier says is written to
/// `log`, unless that is empty.
pub(crate) fn load(code: &[u64], log: &mut [u8]) -> Result<OwnedFd, Errno> {
    let license = c"Apache-2.0";
    let mut prog_name = [0; 16];
    prog_name[..13].copy_from_slice(b"berth_devices");
    let mut attr = LoadAttr {
        prog_type: TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(code.len()).map_err(|_err| Errno::TOOBIG)?,
        insns: code.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: u32::try_from(log.len()).map_err(|_err| Errno::TOOBIG)?,
        log_buf: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        kern_version: 0,
        prog_flags: 0,
        prog_name,
    };
    call(PROG_LOAD, &mut attr).map(owned)
}

/// Attaches a program to a cgroup, in the place of `replace` when that is given.
pub(crate) fn attach(
    cgroup: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replace: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let mut attr = AttachAttr {
        target_fd: number(cgroup),
        attach_bpf_fd: number(program),
        attach_type: ATTACH_CGROUP_DEVICE,
        attach_flags: ALLOW_MULTI | if replace.is_some() { REPLACE } else { 0 },
        replace_bpf_fd: replace.map_or(0, number),
    };
    call(PROG_ATTACH, &mut attr).map(drop)
}

/// Takes a program off a cgroup.
pub(crate) fn detach(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut attr = AttachAttr {
        target_fd: number(cgroup),
        attach_bpf_fd: number(program),
        attach_type: ATTACH_CGROUP_DEVICE,
        attach_flags: 0,
        replace_bpf_fd: 0,
    };
    call(PROG_DETACH, &mut attr).map(drop)
}

/// The ids of the device programs attached to a cgroup itself. Answers how many there are; `ids` is
/// filled as far as it reaches.
pub(crate) fn query(cgroup: BorrowedFd<'_>, ids: &mut [u32]) -> Result<usize, Errno> {
    let mut attr = QueryAttr {
        target_fd: number(cgroup),
        attach_type: ATTACH_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: u32::try_from(ids.len()).map_err(|_err| Errno::TOOBIG)?,
        padding: 0,
    };
    call(PROG_QUERY, &mut attr)?;
    Ok(attr.prog_cnt as usize)
}

/// A descriptor of the program with this id.
pub(crate) fn by_id(id: u32) -> Result<OwnedFd, Errno> {
    let mut attr = IdAttr { id, next_id: 0, open_flags: 0 };
    call(PROG_GET_FD_BY_ID, &mut attr).map(owned)
}
