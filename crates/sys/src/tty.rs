//! Pseudo-terminals.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, Termios, Winsize};

use crate::mount::{self, Magic};
use crate::{Errno, Result};

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

/// Both ends of a pseudo-terminal, close-on-exec.
#[derive(Debug)]
pub struct Pty {
    /// The side of whoever plays the terminal.
    pub master: OwnedFd,
    /// The side that the program has as stdin, stdout and stderr.
    pub peer: OwnedFd,
}

/// Makes a pseudo-terminal in the devpts instance whose root directory is `devpts`.
///
/// # Errors
/// `EINVAL` when `devpts` isn't one; what `open(2)` and the ioctls of `ioctl_tty(2)` say.
pub fn open_pty(devpts: impl AsFd) -> Result<Pty> {
    if !mount::is_on(&devpts, Magic::Devpts)? {
        return Err(Errno::INVAL);
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let master = rustix::fs::openat2(devpts, "ptmx", flags, Mode::empty(), resolve)?;
    rustix::pty::unlockpt(&master)?;
    let peer = peer(&master)?;
    Ok(Pty { master, peer })
}

/// Opens the program's side of a terminal whose other side is `master` (`TIOCGPTPEER`), close-on-exec and not as the
/// controlling terminal.
///
/// # Errors
/// What `ioctl_tty(2)` says.
pub fn peer(master: impl AsFd) -> Result<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    rustix::pty::ioctl_tiocgptpeer(master, flags)
}

/// Sets the size; the foreground process group gets `SIGWINCH` when it changes.
///
/// # Errors
/// `ENOTTY` when it is no terminal.
pub fn set_size(tty: impl AsFd, size: Size) -> Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(tty, size)
}

/// The size.
///
/// # Errors
/// `ENOTTY` when it is no terminal.
pub fn size(tty: impl AsFd) -> Result<Size> {
    let size = rustix::termios::tcgetwinsize(tty)?;
    Ok(Size { rows: size.ws_row, columns: size.ws_col })
}

/// Makes `tty` the controlling terminal of the calling session leader.
///
/// # Errors
/// What the `TIOCSCTTY` ioctl says.
pub fn take_control(tty: impl AsFd) -> Result<()> {
    rustix::process::ioctl_tiocsctty(tty)
}

/// A terminal in raw mode; its former modes come back on drop.
#[derive(Debug)]
pub struct RawMode<T: AsFd> {
    tty: T,
    before: Termios,
}

impl<T: AsFd> RawMode<T> {
    /// Switches `tty` to raw mode.
    ///
    /// # Errors
    /// `ENOTTY` when it is no terminal.
    pub fn enter(tty: T) -> Result<Self> {
        let before = rustix::termios::tcgetattr(&tty)?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(&tty, OptionalActions::Now, &raw)?;
        Ok(Self { tty, before })
    }
}

impl<T: AsFd> Drop for RawMode<T> {
    fn drop(&mut self) {
        // nothing can be done about a terminal that has gone away
        let _ = rustix::termios::tcsetattr(&self.tty, OptionalActions::Now, &self.before);
    }
}
