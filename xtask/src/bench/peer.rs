//! Debian's `dockerd`, on a root of its own, ended by SIGTERM.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use e2e::programs::{self, PATIENCE, Ran};

pub(super) struct Docker {
    root: tempfile::TempDir,
    daemon: Child,
}

impl Docker {
    pub(super) fn start() -> Result<Self> {
        let root = tempfile::Builder::new().prefix("bench-docker-").tempdir()?;
        let log = std::fs::File::create(root.path().join("log"))?;
        let mut command = Command::new("/usr/sbin/dockerd");
        command.arg("--data-root").arg(root.path().join("data"));
        command.arg("--exec-root").arg(root.path().join("exec"));
        command.arg("--pidfile").arg(root.path().join("pid"));
        command.arg("--host").arg(format!("unix://{}", root.path().join("sock").display()));
        let daemon = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot run dockerd")?;
        let docker = Self { root, daemon };
        programs::eventually("dockerd answers", || {
            Ok(docker.run(&["version"]).is_ok_and(|ran| ran.code == 0).then_some(()))
        })
        .with_context(|| std::fs::read_to_string(docker.root.path().join("log")).unwrap_or_default())?;
        Ok(docker)
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(super) fn pid(&self) -> u32 {
        self.daemon.id()
    }

    /// The 20.10 client, pointed at this daemon.
    pub(super) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = programs::command(Path::new("/usr/bin/docker"), args);
        command.env("DOCKER_HOST", format!("unix://{}", self.root.path().join("sock").display()));
        command.env("DOCKER_CONFIG", self.root.path().join("client"));
        command
    }

    pub(super) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Ran> {
        programs::run(&mut self.command(args))
    }

    /// Ends the daemon so that it takes its mounts and rules with it.
    pub(super) fn stop(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.daemon);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        if programs::wait(&mut self.daemon, PATIENCE)?.is_none() {
            bail!("dockerd did not end on SIGTERM");
        }
        Ok(())
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if matches!(self.daemon.try_wait(), Ok(None)) {
            let _ = self.end();
        }
    }
}
