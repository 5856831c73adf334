//! Staying in front of a process: signals go to it, the terminal is copied, its end is this program's end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags};
use sys::Errno;
use sys::process::Exit;
use sys::signal::{Signal, SignalFd};
use sys::tty::{self, RawMode};

/// Bytes copied at once.
const CHUNK: usize = 16 * 1024;

/// Signals are caught from here on; before the process is made, so that none is lost.
pub(crate) fn catch_signals() -> Result<SignalFd> {
    Ok(SignalFd::new(&Signal::all_catchable())?)
}

/// Waits for the end; the exit code as a shell tells it.
pub(crate) fn wait(signals: &SignalFd, pidfd: &OwnedFd, console: Option<OwnedFd>) -> Result<u8> {
    let stdin = rustix::stdio::stdin();
    let _raw = console.as_ref().and_then(|_| RawMode::enter(stdin).ok());
    if let Some(master) = &console {
        resize(master.as_fd());
    }
    let mut copy = Copy { master: console, stdin_open: true };
    loop {
        let (ended, signalled) = copy.poll(pidfd.as_fd(), signals)?;
        if signalled {
            forward(signals, pidfd, copy.master.as_ref())?;
        }
        if ended {
            copy.drain();
            let exit = sys::process::wait(pidfd)?;
            reap_others();
            return Ok(code(exit));
        }
    }
}

pub(crate) fn code(exit: Exit) -> u8 {
    u8::try_from(exit.shell_code()).unwrap_or(u8::MAX)
}

/// As the subreaper of a container that shares the host's pid namespace there may be more.
fn reap_others() {
    while let Ok(Some(_)) = sys::process::try_wait_any() {}
}

fn resize(master: BorrowedFd<'_>) {
    // not a terminal on our side: the size stays
    if let Ok(size) = tty::size(rustix::stdio::stdin()) {
        let _ = tty::set_size(master, size);
    }
}

fn forward(signals: &SignalFd, pidfd: &OwnedFd, master: Option<&OwnedFd>) -> Result<()> {
    while let Some(signal) = signals.next()? {
        match signal {
            Signal::CHLD | Signal::PIPE | Signal::URG => {}
            Signal::WINCH if master.is_some() => {
                if let Some(master) = master {
                    resize(master.as_fd());
                }
            }
            other => match sys::signal::send(pidfd, other) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(e) => return Err(e.into()),
            },
        }
    }
    Ok(())
}

/// Copying between this program's terminal and the container's.
struct Copy {
    master: Option<OwnedFd>,
    stdin_open: bool,
}

impl Copy {
    /// Waits for something to happen and copies what there is: whether the process has ended, whether signals came.
    fn poll(&mut self, pidfd: BorrowedFd<'_>, signals: &SignalFd) -> Result<(bool, bool)> {
        let stdin = rustix::stdio::stdin();
        let mut fds =
            vec![PollFd::from_borrowed_fd(pidfd, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        if let Some(master) = &self.master {
            fds.push(PollFd::new(master, PollFlags::IN));
            if self.stdin_open {
                fds.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
            }
        }
        rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, None))?;
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let is = |n: usize| ready.get(n).copied().unwrap_or(false);
        if is(2) && !self.output() {
            self.master = None;
        }
        if is(3) {
            self.input();
        }
        Ok((is(0), is(1)))
    }

    /// From the container; false at the end.
    fn output(&self) -> bool {
        let Some(master) = &self.master else { return false };
        let mut buffer = [0; CHUNK];
        match rustix::io::read(master, &mut buffer) {
            // EIO: nobody has the other side open any more
            Ok(0) | Err(Errno::IO) => false,
            Ok(n) => write_all(rustix::stdio::stdout(), &buffer[..n]).is_ok(),
            Err(Errno::INTR | Errno::AGAIN) => true,
            Err(_) => false,
        }
    }

    /// To the container.
    fn input(&mut self) {
        const END_OF_TRANSMISSION: &[u8] = &[4];
        let Some(master) = &self.master else { return };
        let mut buffer = [0; CHUNK];
        match rustix::io::read(rustix::stdio::stdin(), &mut buffer) {
            Ok(0) | Err(Errno::IO) => {
                self.stdin_open = false;
                // the reader at the terminal gets its end, too
                let _ = write_all(master.as_fd(), END_OF_TRANSMISSION);
            }
            Ok(n) => {
                if write_all(master.as_fd(), &buffer[..n]).is_err() {
                    self.stdin_open = false;
                }
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.stdin_open = false,
        }
    }

    /// What is still in the terminal after the process has ended.
    fn drain(&self) {
        let Some(master) = &self.master else { return };
        // a further process in the container may hold it open: only what is there now
        let _ = sys::fd::set_nonblocking(master, true);
        let mut buffer = [0; CHUNK];
        while let Ok(n @ 1..) = rustix::io::read(master, &mut buffer) {
            if write_all(rustix::stdio::stdout(), &buffer[..n]).is_err() {
                return;
            }
        }
    }
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let n = rustix::io::retry_on_intr(|| rustix::io::write(fd, bytes))?;
        bytes = &bytes[n..];
    }
    Ok(())
}
