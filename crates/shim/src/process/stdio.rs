//! The streams that a new process gets.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Uid};

use super::session::Ends;

/// The process's ends and ours.
pub(super) struct Streams {
    theirs: [OwnedFd; 3],
    ours: Ends,
}

impl Streams {
    /// Pipes; what nobody will use is `/dev/null`.
    pub(super) fn pipes(open_stdin: bool, output: bool) -> io::Result<Self> {
        let (stdin, our_stdin) = match open_stdin {
            true => sys::fd::pipe().map(|(read, write)| (read, Some(write)))?,
            false => (File::open("/dev/null")?.into(), None),
        };
        let pipe = || -> io::Result<(Option<OwnedFd>, OwnedFd)> {
            if !output {
                return Ok((None, File::options().write(true).open("/dev/null")?.into()));
            }
            let (read, write) = sys::fd::pipe()?;
            Ok((Some(read), write))
        };
        let (our_stdout, stdout) = pipe()?;
        let (our_stderr, stderr) = pipe()?;
        let ours = Ends { stdin: our_stdin, stdout: our_stdout, stderr: our_stderr };
        Ok(Self { theirs: [stdin, stdout, stderr], ours })
    }

    /// Gives the process's pipes to this user of the host's: a program in a user namespace has no right to ours, and
    /// reopens `/dev/stdout` all the same.
    pub(super) fn give_to(&self, uid: u32) -> io::Result<()> {
        for fd in &self.theirs {
            if FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode) == FileType::Fifo {
                rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), None)?;
            }
        }
        Ok(())
    }

    /// The process's ends, in order.
    pub(super) fn theirs(&self) -> [BorrowedFd<'_>; 3] {
        self.theirs.each_ref().map(AsFd::as_fd)
    }

    /// The process has its ends: close them here, and keep ours.
    pub(super) fn into_ours(self) -> Ends {
        self.ours
    }
}

impl Ends {
    /// Both directions of a terminal.
    pub(super) fn of_console(console: OwnedFd) -> io::Result<Self> {
        let stdin = Some(console.try_clone()?);
        Ok(Self { stdin, stdout: Some(console), stderr: None })
    }
}
