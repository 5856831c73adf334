//! Actions as the values that a filter returns.

use oci_spec::runtime::LinuxSeccompAction;

use super::Error;

/// Largest value that goes with an action (`MAX_ERRNO`; the kernel cuts larger ones to it).
pub(super) const DATA_MAX: u32 = 4095;

/// `SECCOMP_RET_KILL_THREAD`.
pub(super) const KILL_THREAD: u32 = 0;
/// `SECCOMP_RET_ERRNO` with `ENOSYS`.
pub(super) const NO_SUCH_CALL: u32 = 0x0005_0000 | 38;

/// `SECCOMP_RET_*` with its data. Without a number, `ERRNO` and `TRACE` give `EPERM`.
pub(super) fn value(action: LinuxSeccompAction, errno: Option<u32>) -> Result<u32, Error> {
    const EPERM: u32 = 1;
    let takes_errno = matches!(action, LinuxSeccompAction::ScmpActErrno | LinuxSeccompAction::ScmpActTrace);
    match errno {
        // Zero is what an absent number looks like in some writers' JSON.
        Some(errno) if errno != 0 && !takes_errno => return Err(Error::ErrnoWithout { action }),
        Some(errno) if errno > DATA_MAX => return Err(Error::Errno(errno)),
        _ => {}
    }
    let data = errno.unwrap_or(EPERM);
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => KILL_THREAD,
        LinuxSeccompAction::ScmpActKillProcess => 0x8000_0000,
        LinuxSeccompAction::ScmpActTrap => 0x0003_0000,
        LinuxSeccompAction::ScmpActErrno => 0x0005_0000 | data,
        LinuxSeccompAction::ScmpActNotify => 0x7fc0_0000,
        LinuxSeccompAction::ScmpActTrace => 0x7ff0_0000 | data,
        LinuxSeccompAction::ScmpActLog => 0x7ffc_0000,
        LinuxSeccompAction::ScmpActAllow => 0x7fff_0000,
    })
}

/// Does a policy with this default let through what it doesn't know? A tracer counts: it can judge calls
/// that the policy's author didn't know.
pub(super) fn is_permissive(action: LinuxSeccompAction) -> bool {
    matches!(
        action,
        LinuxSeccompAction::ScmpActAllow | LinuxSeccompAction::ScmpActLog | LinuxSeccompAction::ScmpActTrace
    )
}

/// Does `a` restrict less than `b`? The kernel orders the actions by their value as a signed number.
pub(super) fn is_looser(a: u32, b: u32) -> bool {
    let order = |value: u32| (value & 0xffff_0000).cast_signed();
    order(a) > order(b)
}
