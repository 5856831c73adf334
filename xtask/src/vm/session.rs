//! A shell in the guest that does one command after another: what it has answered is known here, whatever happens to
//! the guest afterwards.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

/// Ends each answer, with the command's status.
const MARK: &str = "@berth@ ";

/// The shell, by ssh.
pub(super) struct Session {
    ssh: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What a command has printed (both outputs), and its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) code: i32,
}

impl Session {
    /// Opens a shell; `ssh` leads into the guest.
    pub(super) fn open(mut ssh: Command) -> Result<Self> {
        let mut ssh = ssh
            .arg("exec sh 2>&1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // it would say that the guest is gone, which is what happens
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run ssh")?;
        let (input, output) = (ssh.stdin.take(), ssh.stdout.take());
        let input = input.context("no input")?;
        let output = BufReader::new(output.context("no output")?);
        Ok(Self { ssh, input, output })
    }

    /// Does a command. An error is the guest's end: whether the command was done is not known.
    pub(super) fn ask(&mut self, command: &str) -> Result<Answer> {
        // what is printed need not end with a newline
        writeln!(self.input, "( {command}\n) < /dev/null; echo \"\n{MARK}$?\"")?;
        let mut text = String::new();
        loop {
            let mut line = Vec::new();
            if self.output.read_until(b'\n', &mut line)? == 0 {
                bail!("the guest is gone");
            }
            let line = String::from_utf8_lossy(&line);
            if let Some(code) = line.strip_prefix(MARK) {
                let code = code.trim().parse().context("no status")?;
                return Ok(Answer { text: text.trim().to_owned(), code });
            }
            text.push_str(&line);
        }
    }

    /// Does a command that must succeed; gives what it prints.
    pub(super) fn must(&mut self, command: &str) -> Result<String> {
        let answer = self.ask(command)?;
        if answer.code != 0 {
            bail!("in the guest: {command:?} ended with {}:\n{}", answer.code, answer.text);
        }
        Ok(answer.text)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.ssh.kill();
        let _ = self.ssh.wait();
    }
}
