//! `posix_spawn(3)`: a new program without copying the caller's page tables.

use std::ffi::{CStr, CString};
use std::os::fd::RawFd;

use crate::{Errno, Result};

/// File actions and attributes, released on drop.
struct Setup {
    actions: libc::posix_spawn_file_actions_t,
    attr: libc::posix_spawnattr_t,
}

fn ok(ret: libc::c_int) -> Result<()> {
    if ret == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(ret)) }
}

impl Setup {
    fn new() -> Result<Box<Self>> {
        // SAFETY: both are plain structures that the init calls below fill in; boxed, so they never move.
        let mut setup: Box<Self> = Box::new(unsafe { std::mem::zeroed() });
        // SAFETY: the pointers are valid and exclusive.
        ok(unsafe { libc::posix_spawn_file_actions_init(&raw mut setup.actions) })?;
        // SAFETY: as above.
        ok(unsafe { libc::posix_spawnattr_init(&raw mut setup.attr) })?;
        Ok(setup)
    }

    /// Default dispositions and an empty mask for the child; a session of its own when asked.
    fn defaults(&mut self, new_session: bool) -> Result<()> {
        // SAFETY: an all-zero set is a valid empty set.
        let (mut all, none): (libc::sigset_t, libc::sigset_t) = unsafe { std::mem::zeroed() };
        // SAFETY: `all`, `none` and `attr` are valid for the calls.
        unsafe {
            libc::sigfillset(&raw mut all);
            ok(libc::posix_spawnattr_setsigdefault(&raw mut self.attr, &raw const all))?;
            ok(libc::posix_spawnattr_setsigmask(&raw mut self.attr, &raw const none))?;
        }
        let mut flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
        if new_session {
            flags |= libc::POSIX_SPAWN_SETSID as libc::c_int;
        }
        // SAFETY: `attr` is valid.
        ok(unsafe { libc::posix_spawnattr_setflags(&raw mut self.attr, flags as libc::c_short) })
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        // SAFETY: both were initialised (or zeroed, which glibc's destroy calls accept) and are not used again.
        unsafe {
            libc::posix_spawn_file_actions_destroy(&raw mut self.actions);
            libc::posix_spawnattr_destroy(&raw mut self.attr);
        }
    }
}

fn pointers(list: &[CString]) -> Vec<*mut libc::c_char> {
    list.iter().map(|s| s.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect()
}

/// Spawns `path`; `dups` are `(source, target)` pairs whose sources lie above every target.
pub(crate) fn spawn(
    path: &CStr,
    argv: &[CString],
    envp: &[CString],
    dups: &[(RawFd, RawFd)],
    new_session: bool,
) -> Result<i32> {
    let mut setup = Setup::new()?;
    setup.defaults(new_session)?;
    for &(source, target) in dups {
        // SAFETY: `actions` is valid.
        ok(unsafe { libc::posix_spawn_file_actions_adddup2(&raw mut setup.actions, source, target) })?;
    }
    let (argv, envp) = (pointers(argv), pointers(envp));
    let mut pid = 0;
    // SAFETY: the arrays are null-terminated and point at strings that outlive the call, which does not
    // write to them in spite of its signature.
    ok(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            path.as_ptr(),
            &raw const setup.actions,
            &raw const setup.attr,
            argv.as_ptr(),
            envp.as_ptr(),
        )
    })?;
    Ok(pid)
}
