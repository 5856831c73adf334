//! The host's `git`, with nothing of the host's or the repository's configuration that could run a program or read a
//! file: https, http, git and ssh are all the transports it has, no hooks, no file system monitor, no templates, no
//! question at a terminal. It is ended when it is silent for too long, and with all that it has started.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ::build::{Error, Result};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::git::redact;

/// How long it may say nothing: it tells how far it is as long as anything moves.
const SILENCE: Duration = Duration::from_secs(120);
/// Largest file that it may write, in bytes.
const MAX_FILE: u64 = 64 << 30;
/// What is kept of its errors, in bytes.
const MAX_ERRORS: usize = 8 << 10;
/// Longest output that is read, in bytes.
const MAX_OUTPUT: usize = 512 << 20;

/// Variables of the daemon's that it gets: where programs are, and which proxies there are.
const PASSED: &[&str] = &[
    "PATH",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Its settings for every call.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("init.templateDir", ""),
    ("init.defaultBranch", "main"),
    ("credential.helper", ""),
    ("http.lowSpeedLimit", "1024"),
    ("http.lowSpeedTime", "60"),
    ("protocol.allow", "never"),
    ("protocol.http.allow", "always"),
    ("protocol.https.allow", "always"),
    ("protocol.git.allow", "always"),
    ("protocol.ssh.allow", "always"),
    ("maintenance.auto", "false"),
    ("gc.auto", "0"),
    ("advice.detachedHead", "false"),
    ("filter.lfs.process", ""),
    ("submodule.recurse", "false"),
];

/// A way to call `git`.
pub(super) struct Git {
    /// Its `HOME`, in which it finds nothing.
    pub(super) home: PathBuf,
    /// More settings: those that hold secrets, too, since they stand in no command line.
    pub(super) settings: Vec<(String, String)>,
    /// More variables.
    pub(super) env: Vec<(&'static str, OsString)>,
    /// What must not be shown.
    pub(super) secrets: Vec<String>,
}

impl Git {
    fn command(&self, dir: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(args).current_dir(dir).env_clear();
        for name in PASSED {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
            .env("HOME", &self.home)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("SSH_ASKPASS", "true")
            .env("GIT_PROTOCOL_FROM_USER", "0")
            .env("GIT_ALLOW_PROTOCOL", "https:http:git:ssh")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("GIT_CONFIG_COUNT", (SETTINGS.len() + self.settings.len()).to_string())
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        let more = self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        for (index, (key, value)) in SETTINGS.iter().copied().chain(more).enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{index}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }

    /// Runs it; gives what it has printed, as far as `limit` lets it.
    ///
    /// # Errors
    /// It is not there, says no, is silent for too long or prints too much.
    pub(super) async fn run(&self, dir: &Path, args: &[&str]) -> Result<Vec<u8>> {
        let mut output = Vec::new();
        self.read(dir, args, &mut |bytes| {
            output.extend_from_slice(bytes);
            if output.len() > MAX_OUTPUT { Err(Error::Invalid("git prints too much".into())) } else { Ok(()) }
        })
        .await?;
        Ok(output)
    }

    /// As [`Self::run`], with what it prints given away piece by piece.
    pub(super) async fn read(
        &self,
        dir: &Path,
        args: &[&str],
        take: &mut (dyn FnMut(&[u8]) -> Result<()> + Send),
    ) -> Result<()> {
        let child = self.command(dir, args).spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Error::Invalid("a git repository as a source needs git on the daemon's host".into())
            }
            _ => Error::because("start git", error),
        })?;
        let mut group = Group::of(child);
        let errors = group.follow(take).await?;
        let status = group.child.wait().await.map_err(|error| Error::because("wait for git", error))?;
        if status.success() {
            return Ok(());
        }
        let verb = args.iter().find(|arg| !arg.starts_with('-')).copied().unwrap_or_default();
        let errors = redact(&String::from_utf8_lossy(&errors), &self.secrets);
        // of a line that was written over the last state counts
        let said: Vec<&str> = errors
            .lines()
            .filter_map(|line| line.rsplit('\r').find(|part| !part.trim().is_empty()))
            .filter(|line| !line.starts_with("hint:"))
            .collect();
        Err(Error::Invalid(format!("git {verb}: {}", said.join("; "))))
    }
}

/// The program and what it has started.
struct Group {
    child: Child,
    id: Option<Pid>,
}

impl Group {
    fn of(child: Child) -> Self {
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let limit = Rlimit { current: Some(MAX_FILE), maximum: Some(MAX_FILE) };
        // one that has ended already writes nothing
        let _ = rustix::process::prlimit(id, Resource::Fsize, limit);
        Self { child, id }
    }

    /// Reads both streams to their ends; what was said on the second.
    async fn follow(&mut self, take: &mut (dyn FnMut(&[u8]) -> Result<()> + Send)) -> Result<Vec<u8>> {
        let (mut output, mut errors) = (self.child.stdout.take(), self.child.stderr.take());
        let (mut said, mut out, mut err) = (Vec::new(), vec![0; 64 << 10], vec![0; 4 << 10]);
        while output.is_some() || errors.is_some() {
            let step = async {
                tokio::select! {
                    count = piece(&mut output, &mut out), if output.is_some() => (true, count),
                    count = piece(&mut errors, &mut err), if errors.is_some() => (false, count),
                }
            };
            let (is_output, count) = tokio::time::timeout(SILENCE, step).await.map_err(|_elapsed| {
                Error::Invalid(format!("git has said nothing for {} s", SILENCE.as_secs()))
            })?;
            match (is_output, count.map_err(|error| Error::because("read from git", error))?) {
                (true, 0) => output = None,
                (true, count) => take(&out[..count])?,
                (false, 0) => errors = None,
                (false, count) => {
                    said.extend_from_slice(&err[..count]);
                    let surplus = said.len().saturating_sub(MAX_ERRORS);
                    said.drain(..surplus);
                }
            }
        }
        Ok(said)
    }
}

async fn piece(stream: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> io::Result<usize> {
    match stream {
        Some(stream) => stream.read(buffer).await,
        None => std::future::pending().await,
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // whoever was waited for is no group's leader any more, and what it has started has ended with its streams
        if let (Some(id), Some(_)) = (self.id, self.child.id()) {
            let _ = rustix::process::kill_process_group(id, Signal::KILL);
        }
    }
}
