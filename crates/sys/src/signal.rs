//! Signals: names and numbers, masks, sending, reading them from a descriptor.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::str::FromStr;

use crate::{Errno, Pid, Result, raw};

/// A signal number, 1–64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

/// First real-time signal that programs may use (the C library keeps 32 and 33).
const RT_MIN: i32 = 34;
const RT_MAX: i32 = 64;

/// Names in the order of their numbers on x86-64 and arm64; index 0 is signal 1.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Other names for numbers that have one above.
const ALIASES: [(&str, i32); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];

impl Signal {
    /// `SIGHUP`.
    pub const HUP: Self = Self(1);
    /// `SIGINT`.
    pub const INT: Self = Self(2);
    /// `SIGQUIT`.
    pub const QUIT: Self = Self(3);
    /// `SIGILL`.
    pub const ILL: Self = Self(4);
    /// `SIGTRAP`.
    pub const TRAP: Self = Self(5);
    /// `SIGABRT`.
    pub const ABRT: Self = Self(6);
    /// `SIGBUS`.
    pub const BUS: Self = Self(7);
    /// `SIGFPE`.
    pub const FPE: Self = Self(8);
    /// `SIGKILL`.
    pub const KILL: Self = Self(9);
    /// `SIGUSR1`.
    pub const USR1: Self = Self(10);
    /// `SIGSEGV`.
    pub const SEGV: Self = Self(11);
    /// `SIGUSR2`.
    pub const USR2: Self = Self(12);
    /// `SIGPIPE`.
    pub const PIPE: Self = Self(13);
    /// `SIGTERM`.
    pub const TERM: Self = Self(15);
    /// `SIGCHLD`.
    pub const CHLD: Self = Self(17);
    /// `SIGCONT`.
    pub const CONT: Self = Self(18);
    /// `SIGSTOP`.
    pub const STOP: Self = Self(19);
    /// `SIGTTIN`.
    pub const TTIN: Self = Self(21);
    /// `SIGTTOU`.
    pub const TTOU: Self = Self(22);
    /// `SIGURG`.
    pub const URG: Self = Self(23);
    /// `SIGWINCH`.
    pub const WINCH: Self = Self(28);
    /// `SIGSYS`.
    pub const SYS: Self = Self(31);

    /// The signal with this number, if there is one.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        (1..=RT_MAX).contains(&number).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    /// Its name without `SIG`: `TERM`, `RTMIN+3`, `RTMAX-2`.
    #[must_use]
    pub fn name(self) -> String {
        match self.0 {
            n @ 1..=31 => NAMES[(n - 1) as usize].to_owned(),
            RT_MIN => "RTMIN".to_owned(),
            RT_MAX => "RTMAX".to_owned(),
            n if n < RT_MIN => n.to_string(),
            n if n <= RT_MIN + 15 => format!("RTMIN+{}", n - RT_MIN),
            n => format!("RTMAX-{}", RT_MAX - n),
        }
    }

    /// All 64, except those that can't be blocked or caught.
    #[must_use]
    pub fn all_catchable() -> Vec<Self> {
        (1..=RT_MAX).map(Self).filter(|s| *s != Self::KILL && *s != Self::STOP).collect()
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", self.name())
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `text` names no signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid signal: {0}")]
pub struct UnknownSignal(pub String);

impl FromStr for Signal {
    type Err = UnknownSignal;

    /// A number, or a name in any case with or without `SIG`, `RTMIN+n` and `RTMAX-n` included.
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let unknown = || UnknownSignal(text.to_owned());
        if let Ok(number) = text.parse::<i32>() {
            return Self::from_number(number).ok_or_else(unknown);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(index) = NAMES.iter().position(|n| *n == name) {
            return Ok(Self(index as i32 + 1));
        }
        if let Some((_, number)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
            return Ok(Self(*number));
        }
        real_time(name).map(Self).ok_or_else(unknown)
    }
}

fn real_time(name: &str) -> Option<i32> {
    let number = match name {
        "RTMIN" => RT_MIN,
        "RTMAX" => RT_MAX,
        _ => {
            let offset = |rest: &str| rest.parse::<u8>().ok().map(i32::from);
            match name.strip_prefix("RTMIN+") {
                Some(rest) => RT_MIN + offset(rest)?,
                None => RT_MAX - offset(name.strip_prefix("RTMAX-")?)?,
            }
        }
    };
    (RT_MIN..=RT_MAX).contains(&number).then_some(number)
}

/// Sends a signal to a process by number. Only for processes that the caller knows not to be reaped.
///
/// # Errors
/// What `kill(2)` says.
pub fn kill(pid: Pid, signal: Signal) -> Result<()> {
    raw::signal::kill(pid.as_raw_nonzero().get(), signal.0)
}

/// Sends a signal to the process group that `leader` leads, as [`kill`] does to one process.
///
/// # Errors
/// What `kill(2)` says.
pub fn kill_group(leader: Pid, signal: Signal) -> Result<()> {
    raw::signal::kill(-leader.as_raw_nonzero().get(), signal.0)
}

/// Sends a signal through a pidfd.
///
/// # Errors
/// `ESRCH` when it has ended; what `pidfd_send_signal(2)` says.
pub fn send(pidfd: impl AsFd, signal: Signal) -> Result<()> {
    raw::signal::pidfd_send(pidfd.as_fd(), signal.0)
}

/// Whether the process behind a pidfd has not been reaped yet.
#[must_use]
pub fn exists(pidfd: impl AsFd) -> bool {
    raw::signal::pidfd_send(pidfd.as_fd(), 0) != Err(Errno::SRCH)
}

/// Blocks exactly `signals` in the calling thread.
///
/// # Errors
/// What `sigprocmask(2)` says.
pub fn block_only(signals: &[Signal]) -> Result<()> {
    raw::signal::set_mask(&numbers(signals))
}

/// Default dispositions for all signals and an empty mask: what a new program expects.
///
/// # Errors
/// What `sigprocmask(2)` says.
pub fn reset() -> Result<()> {
    raw::signal::reset_dispositions();
    raw::signal::set_mask(&[])
}

fn numbers(signals: &[Signal]) -> Vec<i32> {
    signals.iter().map(|s| s.0).collect()
}

/// Blocked signals that arrive as data (`signalfd(2)`); non-blocking, close-on-exec.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks exactly `signals` in the calling thread and opens a descriptor that reads them.
    ///
    /// # Errors
    /// What `signalfd(2)` says.
    pub fn new(signals: &[Signal]) -> Result<Self> {
        block_only(signals)?;
        raw::signal::signalfd(&numbers(signals)).map(Self)
    }

    /// The next one that is pending, if any.
    ///
    /// # Errors
    /// What `read(2)` says.
    pub fn next(&self) -> Result<Option<Signal>> {
        // struct signalfd_siginfo: 128 bytes, ssi_signo first
        let mut info = [0u8; 128];
        match rustix::io::read(&self.0, &mut info) {
            Ok(128) => Ok(Signal::from_number(i32::from_ne_bytes([info[0], info[1], info[2], info[3]]))),
            Ok(_) | Err(Errno::AGAIN) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for number in (1..=31).chain(34..=64) {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(signal.name().parse(), Ok(signal));
            assert_eq!(signal.to_string().to_lowercase().parse(), Ok(signal));
            assert_eq!(number.to_string().parse(), Ok(signal));
        }
        assert_eq!("SIGRTMIN+3".parse::<Signal>().unwrap().number(), 37);
        assert_eq!("rtmax-1".parse::<Signal>().unwrap().number(), 63);
        assert_eq!("SIGPOLL".parse::<Signal>().unwrap().number(), 29);
    }

    #[test]
    fn what_is_no_signal_is_named_in_the_error() {
        for text in ["", "0", "65", "-1", "SIG", "RTMIN+31", "RTMIN+", "RTMAX-31", "RTMIN-1", "BOGUS"] {
            assert_eq!(text.parse::<Signal>().unwrap_err().to_string(), format!("invalid signal: {text}"));
        }
    }

    #[test]
    fn a_blocked_signal_is_read() {
        let fd = SignalFd::new(&[Signal::USR2]).unwrap();
        assert_eq!(fd.next().unwrap(), None);
        // to this thread: other tests' threads don't block it
        let me = rustix::thread::gettid();
        raw::signal::tgkill(me.as_raw_nonzero().get(), 12).unwrap();
        assert_eq!(fd.next().unwrap(), Some(Signal::USR2));
    }
}
