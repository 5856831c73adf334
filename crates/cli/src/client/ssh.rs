//! `ssh://`: the user's own `ssh` runs `berth system dial-stdio` on the far machine, which joins its standard input and
//! output to the daemon's socket there. Keys, jumps and host names are what `~/.ssh/config` makes of them.

use std::fmt;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sys::process::{Child, Exit};
use sys::signal::Signal;

use super::Stream;
use super::relayed::{Behind, Failure, Relayed};
use crate::error::{Error, Result, reason};

/// Bytes of what ssh complains that are shown.
const COMPLAINT: u64 = 16 << 10;
/// How long ssh may take to end after it has closed our stream: it says why on standard error before it does.
const ENDING: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// A machine, as `ssh://[USER@]HOST[:PORT][/SOCKET]` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    user: String,
    host: String,
    port: String,
    /// The socket there; empty: the default one.
    path: String,
}

impl Target {
    /// Parses what follows `ssh://`. Nothing of it is taken for an option of `ssh`, nor for a word of the far shell.
    ///
    /// # Errors
    /// Docker's sentences.
    pub(crate) fn parse(rest: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Err(Error::said(format!(
                "Failed to initialize: unable to resolve docker endpoint: ssh host connection is not valid: {what}"
            )))
        };
        if rest.contains(['?', '#']) {
            return wrong("it can have neither a query nor a fragment");
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        if user.contains(':') {
            return wrong("plain-text password is not supported");
        }
        let (host, port) = match (address.strip_prefix('['), address.rsplit_once(':')) {
            (Some(rest), _) => match rest.split_once(']') {
                Some((host, "")) => (host, ""),
                Some((host, port)) if port.starts_with(':') => (host, &port[1..]),
                _ => return wrong("malformed address"),
            },
            (None, Some((host, port))) => (host, port),
            (None, None) => (address, ""),
        };
        if host.is_empty() {
            return wrong("no host specified");
        }
        if !port.is_empty() && port.parse::<u16>().is_err() {
            return wrong(&format!("invalid port {port:?}"));
        }
        let sound = |text: &str| !text.starts_with('-') && !text.contains(|c: char| c.is_control());
        if ![user, host, path].into_iter().all(sound) {
            return wrong("a name begins with a dash or holds control characters");
        }
        let path = if path == "/" { "" } else { path };
        Ok(Self { user: user.into(), host: host.into(), port: port.into(), path: path.into() })
    }

    /// Words for `ssh`.
    fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = ["-o", "ConnectTimeout=30", "-T"].map(Into::into).into();
        for (flag, value) in [("-l", &self.user), ("-p", &self.port)] {
            if !value.is_empty() {
                words.extend([flag.to_owned(), value.clone()]);
            }
        }
        words.extend(["--".to_owned(), self.host.clone(), self.far_command()]);
        words
    }

    /// What the far machine's shell, whichever it is, is told. Where there is no `berth`, there may be a `docker`.
    fn far_command(&self) -> String {
        let host = match self.path.as_str() {
            "" => String::new(),
            path => format!(" --host {}", quoted(&format!("unix://{path}"))),
        };
        let script = format!(
            "if command -v berth >/dev/null 2>&1; then exec berth{host} system dial-stdio; \
             else exec docker{host} system dial-stdio; fi"
        );
        format!("sh -c {}", quoted(&script))
    }

    /// Starts `ssh`; whether it gets through is known when something is read.
    pub(super) fn dial(&self) -> io::Result<Stream> {
        let (ours, theirs) = UnixStream::pair()?;
        let (complaint, their_complaint) = io::pipe()?;
        let words = self.words();
        let program = sys::spawn::in_path("ssh")
            .ok_or_else(|| Failure("there is no ssh in PATH: install OpenSSH's client".into()))?;
        let started = || -> rustix::io::Result<Child> {
            let mut command = sys::spawn::Command::new(&program, "ssh")?;
            for word in &words {
                command.arg(word)?;
            }
            for (name, value) in std::env::vars_os() {
                let mut assignment = name;
                assignment.push("=");
                assignment.push(value);
                command.env(assignment)?;
            }
            command.map(theirs.as_fd(), 0).map(theirs.as_fd(), 1).map(their_complaint.as_fd(), 2);
            // Ctrl-C is for the container, not for the way to it.
            command.new_session().spawn()
        };
        let child = started().map_err(|error| {
            Failure(format!("cannot run {}: {}", program.display(), reason(&error.into())))
        })?;
        let ssh = Ssh { child, complaint: complaint.into(), line: format!("ssh {}", words.join(" ")) };
        Ok(Stream::Relayed(Relayed::new(ours, Behind::Ssh(ssh))))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        if !self.user.is_empty() {
            write!(f, "{}@", self.user)?;
        }
        if self.host.contains(':') { write!(f, "[{}]", self.host) } else { f.write_str(&self.host) }?;
        if !self.port.is_empty() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)
    }
}

/// One word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A running `ssh`.
#[derive(Debug)]
pub(crate) struct Ssh {
    child: Child,
    complaint: OwnedFd,
    line: String,
}

impl Ssh {
    /// Why it has ended, when it says that it failed.
    pub(super) fn failure(&mut self) -> Option<Failure> {
        if !self.ends_within(&ENDING) {
            return None;
        }
        let status = match self.child.wait() {
            Ok(Exit::Code(0)) | Err(_) => return None,
            Ok(Exit::Code(code)) => format!("exit status {code}"),
            Ok(other) => format!("{other:?}"),
        };
        let mut complaint = Vec::new();
        if let Ok(fd) = self.complaint.try_clone() {
            // what can be read of it is shown
            drop(std::fs::File::from(fd).take(COMPLAINT).read_to_end(&mut complaint));
        }
        Some(Failure(format!(
            "command [{}] has exited with {status}, make sure the URL is valid, and that berth or Docker is installed on the remote host: stderr={}",
            self.line,
            String::from_utf8_lossy(&complaint).trim_end()
        )))
    }

    fn ends_within(&self, patience: &Timespec) -> bool {
        let mut fds = [PollFd::new(&self.child.pidfd, PollFlags::IN)];
        poll(&mut fds, Some(patience)).is_ok_and(|ready| ready > 0)
    }
}

/// Its standard input is closed by now: it passes on what it has, and ends. One that doesn't is ended.
impl Drop for Ssh {
    fn drop(&mut self) {
        if !self.ends_within(&ENDING) {
            let _ = sys::signal::send(&self.child.pidfd, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    #[test]
    fn addresses() {
        let target = parsed("me@far:22/run/x.sock");
        assert_eq!(target.to_string(), "ssh://me@far:22/run/x.sock");
        assert_eq!(
            target.words()[..8],
            ["-o", "ConnectTimeout=30", "-T", "-l", "me", "-p", "22", "--"].map(String::from)
        );
        assert_eq!(parsed("[::1]:22").to_string(), "ssh://[::1]:22");
        assert_eq!(parsed("far/").path, "");
        for wrong in
            ["", "me:secret@far", "me@", "-oProxyCommand=x", "-l@far", "far:x", "far?x", "far\n", "[::1"]
        {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_far_shell_gets_one_word() {
        let command = parsed("far/a'; reboot; '").far_command();
        let output = std::process::Command::new("sh")
            .args(["-c", &command.replacen("sh -c", "printf %s", 1)])
            .output()
            .unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains(r"exec berth --host 'unix:///a'\''; reboot; '\''' system"), "{script}");
    }
}
