//! Making, joining, waiting for and becoming processes.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus};

use crate::signal::Signal;
use crate::{Errno, Pid, Result, raw};

/// Whether a kernel parameter, its name written with dots, is one of the IPC namespace (`ipc_namespaces(7)`).
#[must_use]
pub fn is_ipc_parameter(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    name.starts_with("fs.mqueue.") || NAMES.contains(&name)
}

/// A set of namespace kinds, as `CLONE_NEW*` bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces(u64);

impl Namespaces {
    /// None.
    pub const NONE: Self = Self(0);
    /// `CLONE_NEWTIME`.
    pub const TIME: Self = Self(0x80);
    /// `CLONE_NEWNS`.
    pub const MOUNT: Self = Self(0x2_0000);
    /// `CLONE_NEWCGROUP`.
    pub const CGROUP: Self = Self(0x200_0000);
    /// `CLONE_NEWUTS`.
    pub const UTS: Self = Self(0x400_0000);
    /// `CLONE_NEWIPC`.
    pub const IPC: Self = Self(0x800_0000);
    /// `CLONE_NEWUSER`.
    pub const USER: Self = Self(0x1000_0000);
    /// `CLONE_NEWPID`.
    pub const PID: Self = Self(0x2000_0000);
    /// `CLONE_NEWNET`.
    pub const NET: Self = Self(0x4000_0000);

    /// Whether all of `other` are in this set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// This set without `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl std::ops::BitOr for Namespaces {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Namespaces {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// How [`clone3`] makes a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneOptions<'fd> {
    /// New namespaces.
    pub namespaces: Namespaces,
    /// The cgroup v2 directory to be born in (`CLONE_INTO_CGROUP`).
    pub cgroup: Option<BorrowedFd<'fd>>,
    /// The child's parent is the caller's parent (`CLONE_PARENT`).
    pub sibling: bool,
}

/// A process that this one (or, for a sibling, its parent) must reap.
#[derive(Debug)]
pub struct Child {
    /// Its number in the caller's pid namespace.
    pub pid: Pid,
    /// Refers to it for as long as it is open, whoever gets the number next.
    pub pidfd: OwnedFd,
}

impl Child {
    /// Waits for its end and reaps it.
    ///
    /// # Errors
    /// What `waitid(2)` says.
    pub fn wait(&self) -> Result<Exit> {
        wait(&self.pidfd)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code (0–255).
    Code(i32),
    /// A signal ended it.
    Signal {
        /// Which one.
        signal: Signal,
        /// Whether a core was dumped.
        core: bool,
    },
}

impl Exit {
    /// The code as a shell tells it: 128 + n after a signal.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal { signal, .. } => 128 + signal.number(),
        }
    }
}

/// Ends the process at once if `child` panics or returns by unwinding: two processes must never run the
/// caller's remaining frames.
struct ExitOnUnwind;

impl Drop for ExitOnUnwind {
    fn drop(&mut self) {
        exit_now(70);
    }
}

/// Makes a process that runs `child` and exits with its result, by `clone3(2)` without shared memory.
///
/// Only for processes without threads (the runtime and the shim): in the child of a threaded process another
/// thread's locks would stay locked for ever.
///
/// # Errors
/// What `clone3(2)` says.
pub fn clone3(options: &CloneOptions<'_>, child: impl FnOnce() -> i32) -> Result<Child> {
    let mut flags = options.namespaces.0;
    if options.sibling {
        flags |= libc::CLONE_PARENT as u64;
    }
    match raw::clone::clone3(flags, options.cgroup)? {
        raw::clone::Side::Child => {
            let guard = ExitOnUnwind;
            let code = child();
            std::mem::forget(guard);
            exit_now(code)
        }
        raw::clone::Side::Parent { pid, pidfd } => {
            Ok(Child { pid: Pid::from_raw(pid).ok_or(Errno::SRCH)?, pidfd })
        }
    }
}

/// Ends the process without running destructors or exit handlers (`_exit(2)`).
pub fn exit_now(code: i32) -> ! {
    raw::exec::exit_now(code)
}

/// Replaces the program; returns only the error.
#[must_use]
pub fn exec(path: &CStr, argv: &[CString], envp: &[CString]) -> Errno {
    raw::exec::execve(path, argv, envp)
}

/// Replaces the program by the open file `fd`; returns only the error.
#[must_use]
pub fn exec_fd(fd: impl AsFd, argv: &[CString], envp: &[CString]) -> Errno {
    raw::exec::execveat(fd.as_fd(), argv, envp)
}

/// Marks every descriptor numbered `first` and above close-on-exec (`close_range(2)`, Linux 5.11).
///
/// # Errors
/// What `close_range(2)` says.
pub fn close_on_exec_from(first: u32) -> Result<()> {
    raw::exec::close_range_cloexec(first)
}

/// Closes every descriptor numbered `first` and above but those in `keep`. Only for a child that will become another
/// program or end: whoever owned the others in this process must not be dropped any more.
///
/// # Errors
/// What `close_range(2)` says.
pub fn close_all_except(first: u32, keep: &[BorrowedFd<'_>]) -> Result<()> {
    use std::os::fd::AsRawFd;
    let mut kept: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd() as u32).filter(|n| *n >= first).collect();
    kept.sort_unstable();
    let mut from = first;
    for number in kept {
        if number > from {
            raw::exec::close_range(from, number - 1)?;
        }
        from = number + 1;
    }
    raw::exec::close_range(from, u32::MAX)
}

/// Makes the calling process the leader of a new session without a terminal (`setsid(2)`).
///
/// # Errors
/// `EPERM` when it leads a process group already.
pub fn new_session() -> Result<()> {
    rustix::process::setsid().map(drop)
}

/// Opens a pidfd, close-on-exec.
///
/// # Errors
/// `ESRCH` when there is no such process; what `pidfd_open(2)` says.
pub fn pidfd_open(pid: Pid) -> Result<OwnedFd> {
    rustix::process::pidfd_open(pid, PidfdFlags::empty())
}

fn exit_of(status: &WaitIdStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, number) => Exit::Signal {
            signal: Signal::from_number(number.unwrap_or(libc::SIGKILL)).unwrap_or(Signal::KILL),
            core: status.dumped(),
        },
    }
}

/// Waits for the end of a child and reaps it.
///
/// # Errors
/// `ECHILD` when it is no child of the caller.
pub fn wait(pidfd: impl AsFd) -> Result<Exit> {
    loop {
        let options = WaitIdOptions::EXITED;
        let got =
            rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options))?;
        if let Some(status) = got {
            return Ok(exit_of(&status));
        }
    }
}

/// Reaps a child if it has ended (the pidfd is readable then).
///
/// # Errors
/// `ECHILD` when it is no child of the caller.
pub fn try_wait(pidfd: impl AsFd) -> Result<Option<Exit>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let got = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options)?;
    Ok(got.as_ref().map(exit_of))
}

/// Reaps any one ended child; `None` when none has ended. For subreapers, after `SIGCHLD`.
///
/// # Errors
/// `ECHILD` when there are no children at all.
pub fn try_wait_any() -> Result<Option<(Pid, Exit)>> {
    use rustix::process::WaitOptions;
    let got = rustix::process::wait(WaitOptions::NOHANG)?;
    Ok(got.map(|(pid, status)| {
        let exit = match status.exit_status() {
            Some(code) => Exit::Code(code),
            None => Exit::Signal {
                signal: status.terminating_signal().and_then(Signal::from_number).unwrap_or(Signal::KILL),
                core: status.as_raw() & 0x80 != 0,
            },
        };
        (pid, exit)
    }))
}

/// State letter and start time (in ticks since the machine began) of a process (`proc_pid_stat(5)`). Number and start
/// time together mean one process as long as the machine runs.
#[must_use]
pub fn stat(pid: Pid) -> Option<(u8, u64)> {
    let file = std::fs::File::open(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let bytes = crate::file::read_rest(file, 4096).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // the name in parentheses may hold anything; the last parenthesis ends it
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let start = fields.nth(18)?.parse().ok()?;
    Some((state, start))
}

/// Whether there is such a process. One that was killed and that nobody has reaped yet does not count: it holds nothing
/// (`proc_pid_stat(5)`).
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    let Some(pid) = Pid::from_raw(pid) else { return false };
    rustix::process::test_kill_process(pid).is_ok()
        && stat(pid).is_none_or(|(state, _)| !matches!(state, b'Z' | b'X'))
}

/// Joins the namespaces `which` of the process behind `target` (a pidfd), or the one namespace that `target` (an open
/// `/proc/PID/ns/*` file) refers to. A pid namespace is joined by future children only.
///
/// # Errors
/// What `setns(2)` says.
pub fn join_namespaces(target: impl AsFd, which: Namespaces) -> Result<()> {
    raw::clone::setns(target.as_fd(), which.0)
}

/// The user namespace that a namespace belongs to (`NS_GET_USERNS` of `ioctl_ns(2)`).
///
/// # Errors
/// `EPERM` when it is none of this process's, nor beneath its own.
pub fn owning_user_namespace(namespace: impl AsFd) -> Result<OwnedFd> {
    raw::misc::owning_user_namespace(namespace.as_fd())
}

/// Leaves the namespaces `which` for new ones (`unshare(2)`).
///
/// # Errors
/// What `unshare(2)` says.
pub fn unshare(which: Namespaces) -> Result<()> {
    raw::clone::unshare(which.0)
}

/// The calling thread gets a root, current directory and umask of its own (`CLONE_FS`), without which it may not
/// join another mount namespace.
///
/// # Errors
/// What `unshare(2)` says.
pub fn unshare_filesystem() -> Result<()> {
    raw::clone::unshare(libc::CLONE_FS as u64)
}

/// Orphaned descendants become children of this process (`PR_SET_CHILD_SUBREAPER`).
///
/// # Errors
/// What `prctl(2)` says.
pub fn become_subreaper() -> Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
}

/// `signal` is sent to the calling process when its parent ends (`PR_SET_PDEATHSIG`). A change of user or group
/// clears it, so it comes after that.
///
/// # Errors
/// What `prctl(2)` says.
pub fn set_parent_death_signal(signal: Option<Signal>) -> Result<()> {
    raw::clone::set_pdeathsig(signal.map_or(0, Signal::number))
}
