//! A program on a terminal of its own, typed at and read from.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::programs::{self, PATIENCE};

/// A program under a pseudo-terminal.
pub struct Terminal {
    master: File,
    child: Child,
    seen: String,
}

impl Terminal {
    /// Starts `command` with a terminal of 24 rows and 80 columns as its standard streams.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        Self::sized(command, (24, 80))
    }

    /// The same with a terminal of so many rows and columns.
    pub fn sized(command: &mut Command, (rows, columns): (u16, u16)) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        // Ours it must not become: where these tests lead their session (by ssh), its end would be theirs.
        let slave = File::options()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits().cast_signed())
            .open(name.to_str()?)?;
        rustix::termios::tcsetwinsize(
            &slave,
            rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 },
        )?;
        let child = command
            .env("TERM", "xterm")
            .stdin(OwnedFd::from(slave.try_clone()?))
            .stdout(OwnedFd::from(slave.try_clone()?))
            .stderr(OwnedFd::from(slave))
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        // `Command` keeps its copies of the slave; the end of the terminal must be seen.
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        Ok(Self { master: File::from(master), child, seen: String::new() })
    }

    /// Types `text`.
    pub fn send(&mut self, text: &str) -> Result<()> {
        self.master.write_all(text.as_bytes()).context("cannot type at the terminal")
    }

    /// Changes the size of the terminal and tells the program.
    pub fn resize(&mut self, rows: u16, cols: u16) -> Result<()> {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.master, size)?;
        // The program has no controlling terminal here, so the kernel sends it no SIGWINCH.
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::WINCH)?;
        Ok(())
    }

    /// Reads until `words` have appeared since the last call; gives what was read up to and with them.
    pub fn expect(&mut self, words: &str) -> Result<String> {
        let start = Instant::now();
        loop {
            if let Some(at) = self.seen.find(words) {
                let rest = self.seen.split_off(at + words.len());
                return Ok(std::mem::replace(&mut self.seen, rest));
            }
            let left = programs::patient(PATIENCE).saturating_sub(start.elapsed());
            if left.is_zero() || !self.read(left)? {
                bail!("no {words:?} on the terminal; seen: {:?}", self.seen);
            }
        }
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        Ok(rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)?)
    }

    /// Ends the program, whatever it is doing.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits for the program's end; gives its exit code and what was still printed.
    pub fn wait(mut self) -> Result<(i32, String)> {
        while self.read(programs::patient(PATIENCE))? {}
        let status = programs::wait(&mut self.child, PATIENCE)?.context("the program did not end")?;
        Ok((status.code().unwrap_or(-1), self.seen))
    }

    /// One read within `patience`; false at the end of the terminal or when nothing came.
    fn read(&mut self, patience: Duration) -> Result<bool> {
        let mut polled = [PollFd::new(&self.master, PollFlags::IN)];
        let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
        if poll(&mut polled, Some(&timeout))? == 0 {
            return Ok(false);
        }
        let mut buffer = [0; 4096];
        match self.master.read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
                Ok(true)
            }
            // EIO: every slave is closed (pty(7)).
            Err(error) if error.raw_os_error() == Some(5) => Ok(false),
            Err(error) => Err(error).context("cannot read the terminal"),
        }
    }
}
