//! Starting a program from a large or threaded process: `posix_spawn(3)`, 0.05 ms whatever the caller's size.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::process::{self, Child};
use crate::{Errno, Pid, Result, fd, raw};

/// A program to start. Every descriptor of the caller is closed in it but the mapped ones (Rust and this crate open
/// everything close-on-exec); signals have their default dispositions and none is blocked.
#[derive(Debug)]
pub struct Command<'a> {
    path: CString,
    argv: Vec<CString>,
    envp: Vec<CString>,
    fds: Vec<(BorrowedFd<'a>, RawFd)>,
    new_session: bool,
}

/// The program of that name in this process's `PATH`, as execvp(3) finds it, but for relative directories: what they
/// hold depends on where somebody stands.
#[must_use]
pub fn in_path(name: &str) -> Option<PathBuf> {
    in_directories(&std::env::var_os("PATH")?, name)
}

fn in_directories(path: &OsStr, name: &str) -> Option<PathBuf> {
    let directories = std::env::split_paths(path).filter(|directory| directory.is_absolute());
    directories
        .map(|directory| directory.join(name))
        .find(|program| program.is_file() && rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_ok())
}

fn c_string(text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes()).or(Err(Errno::INVAL))
}

impl<'a> Command<'a> {
    /// The program at `path` (`/proc/self/fd/N` is allowed), called `arg0`, with an empty environment.
    ///
    /// # Errors
    /// `EINVAL` when a string holds a NUL.
    pub fn new(path: impl AsRef<Path>, arg0: impl AsRef<OsStr>) -> Result<Self> {
        Ok(Self {
            path: c_string(path.as_ref().as_os_str())?,
            argv: vec![c_string(arg0.as_ref())?],
            envp: Vec::new(),
            fds: Vec::new(),
            new_session: false,
        })
    }

    /// Adds one argument.
    ///
    /// # Errors
    /// `EINVAL` when it holds a NUL.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> Result<&mut Self> {
        self.argv.push(c_string(arg.as_ref())?);
        Ok(self)
    }

    /// Adds one `NAME=value`.
    ///
    /// # Errors
    /// `EINVAL` when it holds a NUL.
    pub fn env(&mut self, assignment: impl AsRef<OsStr>) -> Result<&mut Self> {
        self.envp.push(c_string(assignment.as_ref())?);
        Ok(self)
    }

    /// The program sees `fd` as number `target`.
    pub fn map(&mut self, fd: BorrowedFd<'a>, target: RawFd) -> &mut Self {
        self.fds.push((fd, target));
        self
    }

    /// The program leads a session of its own.
    pub fn new_session(&mut self) -> &mut Self {
        self.new_session = true;
        self
    }

    /// Starts it. The pidfd is for waiting and signalling; the caller must reap ([`Child::wait`]).
    ///
    /// # Errors
    /// What `posix_spawn(3)` says, that of `execve(2)` included; `EMFILE` when a target number is out of reach.
    pub fn spawn(&self) -> Result<Child> {
        // sources are lifted above all targets, so that no mapping overwrites another one's source
        let floor = self.fds.iter().map(|(_, target)| target + 1).max().unwrap_or(3);
        let lifted: Vec<(OwnedFd, RawFd)> = self
            .fds
            .iter()
            .map(|(source, target)| Ok((fd::dup_above(source, floor)?, *target)))
            .collect::<Result<_>>()?;
        let dups: Vec<(RawFd, RawFd)> = lifted.iter().map(|(s, t)| (s.as_raw_fd(), *t)).collect();
        let pid = raw::spawn::spawn(&self.path, &self.argv, &self.envp, &dups, self.new_session)?;
        let pid = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
        // not reaped yet, so the number is still this child's
        Ok(Child { pid, pidfd: process::pidfd_open(pid)? })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;

    use super::*;
    use crate::process::Exit;

    #[test]
    fn maps_descriptors_that_overlap_their_targets() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::new("/bin/sh", "sh").unwrap();
        command.arg("-c").unwrap().arg("echo one >&3; echo $X >&4; ls /proc/$$/fd | wc -l >&4").unwrap();
        command.env("X=two").unwrap();
        command.map(writer.as_fd(), 3).map(writer.as_fd(), 4);
        let null = std::fs::File::open("/dev/null").unwrap();
        for n in 0..3 {
            command.map(null.as_fd(), n);
        }
        let child = command.spawn().unwrap();
        drop(command);
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("one\ntwo\n"), "{text}");
        assert_eq!(child.wait().unwrap(), Exit::Code(0));
    }

    #[test]
    fn a_missing_program_is_the_spawn_s_error() {
        assert_eq!(Command::new("/nonexistent", "x").unwrap().spawn().unwrap_err(), Errno::NOENT);
    }

    #[test]
    fn only_programs_in_absolute_directories_are_found() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().display();
        std::fs::write(place.path().join("text"), "").unwrap();
        assert_eq!(in_directories(OsStr::new(&format!("bin::{folder}:/bin")), "sh"), Some("/bin/sh".into()));
        assert_eq!(in_directories(OsStr::new(&format!("{folder}")), "text"), None);
        assert_eq!(in_directories(OsStr::new("/:/proc"), "self"), None);
    }
}
