//! The terminal in raw mode, and back.

use std::io::{self, BufRead as _, IsTerminal, Read as _};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use sys::signal::{Signal, SignalFd};

use crate::error::{Error, Result};

/// Standard input's terminal in raw mode; dropping it restores what was.
#[derive(Debug)]
pub(crate) struct Raw {
    before: Termios,
}

impl Raw {
    /// Switches standard input to raw mode; `None` when it is no terminal.
    pub(crate) fn enter() -> Result<Option<Self>> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let failed =
            |error: rustix::io::Errno| Error::Io { what: "set the terminal".into(), error: error.into() };
        let before = tcgetattr(&stdin).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nothing to do about a terminal that has gone away.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Standard input's terminal without echo, for passwords; dropping it restores what was.
#[derive(Debug)]
struct Silent {
    before: Termios,
}

impl Silent {
    fn enter() -> Result<Self> {
        let stdin = io::stdin();
        let failed =
            |error: rustix::io::Errno| Error::Io { what: "set the terminal".into(), error: error.into() };
        let before = tcgetattr(&stdin).map_err(failed)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &silent).map_err(failed)?;
        Ok(Self { before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // There is nothing to do about a terminal that has gone away.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
        let _ = sys::signal::block_only(&[]);
    }
}

/// Reads a line from standard input, which must be a terminal, without showing it. A signal that ends this
/// process first gives the terminal its echo back.
pub(crate) fn secret(limit: u64) -> Result<String> {
    let io_error =
        |what: &str, error: rustix::io::Errno| Error::Io { what: what.into(), error: error.into() };
    let signals = SignalFd::new(&[Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM])
        .map_err(|error| io_error("take signals", error))?;
    let _silent = Silent::enter()?;
    let stdin = io::stdin();
    loop {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(io_error("poll", error)),
        }
        if let Ok(Some(signal)) = signals.next() {
            return Err(Error::Exit(128 + u8::try_from(signal.number()).unwrap_or(0)));
        }
        // The terminal hands over whole lines.
        if !fds[0].revents().is_empty() {
            let mut line = String::new();
            stdin.lock().take(limit).read_line(&mut line).map_err(Error::io("read standard input"))?;
            return Ok(line.trim_end_matches(['\n', '\r']).to_owned());
        }
    }
}

/// Rows and columns of the terminal, when standard output is one.
pub(crate) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Refuses a terminal session whose input is no terminal.
pub(crate) fn check_input(attach_stdin: bool, tty: bool) -> Result<()> {
    if attach_stdin && tty && !io::stdin().is_terminal() {
        return Err(Error::said("the input device is not a TTY"));
    }
    Ok(())
}
