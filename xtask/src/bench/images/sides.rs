//! The engines, each with its own words for the same work.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::peers::Docker;
use e2e::registry::Site;
use e2e::registry::copiers::Copier;
use e2e::{Berth, programs};

use crate::bench::measure::time;
use crate::run;

/// The longest that removed files take to go, and how often it is looked whether they are gone.
const GONE: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(10);

/// One engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Berth,
    Docker,
    Podman,
    /// Copies into a folder and unpacks nothing.
    Skopeo,
}

impl Side {
    pub(super) const ALL: [Self; 4] = [Self::Berth, Self::Docker, Self::Podman, Self::Skopeo];
    /// Those that unpack.
    pub(super) const ENGINES: [Self; 3] = [Self::Berth, Self::Docker, Self::Podman];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Berth => "berth",
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Skopeo => "skopeo, a copy only",
        }
    }
}

/// All of them, and the registry.
pub(super) struct Sides<'a> {
    pub(super) berth: &'a Berth,
    pub(super) docker: &'a Docker,
    pub(super) podman: Copier,
    pub(super) skopeo: Copier,
    pub(super) site: Site,
}

/// Runs its arguments and says the most memory that they had, in KiB (getrusage(2)).
const PEAK: &str = "import resource, subprocess, sys\n\
    subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n\
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";

impl Sides<'_> {
    fn command(&self, side: Side, args: &[&str]) -> Result<Command> {
        let copier = |copier: &Copier| {
            let mut command = copier.command();
            command.args(args);
            command
        };
        Ok(match side {
            Side::Berth => self.berth.berth_command(args)?,
            Side::Docker => self.docker.command(args),
            Side::Podman => copier(&self.podman),
            Side::Skopeo => copier(&self.skopeo),
        })
    }

    /// Runs a command of a side; in milliseconds.
    pub(super) fn run(&self, side: Side, args: &[&str]) -> Result<f64> {
        time(self.command(side, args)?)
    }

    fn pulling(&self, side: Side, rest: &str) -> Result<Command> {
        let name = self.site.name(rest);
        match side {
            Side::Berth | Side::Docker => self.command(side, &["pull", &name]),
            Side::Podman => self.command(side, &["pull", "--tls-verify=false", &name]),
            Side::Skopeo => {
                let to = format!("dir:{}", self.skopeo.root().join("copy").display());
                self.command(side, &["copy", "--src-tls-verify=false", &format!("docker://{name}"), &to])
            }
        }
    }

    /// Pulls; in milliseconds.
    pub(super) fn pull(&self, side: Side, rest: &str) -> Result<f64> {
        time(self.pulling(side, rest)?)
    }

    /// Pushes what is called `local` to a registry; in milliseconds.
    pub(super) fn push(&self, side: Side, to: &Site, local: &str, rest: &str) -> Result<f64> {
        let name = to.name(rest);
        self.run(side, &["tag", local, &name])?;
        match side {
            Side::Podman => self.run(side, &["push", "--tls-verify=false", &name]),
            _ => self.run(side, &["push", &name]),
        }
    }

    /// Removes all images of a side, and waits for the disk.
    pub(super) fn remove(&self, side: Side) -> Result<()> {
        if side == Side::Skopeo {
            let _ = std::fs::remove_dir_all(self.skopeo.root().join("copy"));
            return self.settle();
        }
        self.delete(side)?;
        self.emptied(side)?;
        self.settle()
    }

    /// Removes all images of an engine, as far as its command waits for it; in milliseconds.
    pub(super) fn delete(&self, side: Side) -> Result<f64> {
        let ids = programs::run(&mut self.command(side, &["images", "-q", "--no-trunc"])?)?.ok()?;
        let mut ids: Vec<&str> = ids.lines().collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(0.0);
        }
        let remove: Vec<&str> = ["rmi", "-f"].into_iter().chain(ids).collect();
        self.run(side, &remove)
    }

    /// Waits until all that an engine has removed is gone: ours removes in the background. In milliseconds.
    pub(super) fn emptied(&self, side: Side) -> Result<f64> {
        let start = Instant::now();
        if side == Side::Berth {
            let trash = self.berth.data_root().join("store/trash");
            // on a busy machine longer than a test would wait
            while std::fs::read_dir(&trash)?.next().is_some() {
                ensure!(start.elapsed() < GONE, "what was removed is not gone after {GONE:?}");
                #[expect(
                    clippy::disallowed_methods,
                    reason = "another process's state is looked at from outside"
                )]
                std::thread::sleep(LOOK);
            }
        }
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }

    /// Removes all images of all sides.
    pub(super) fn clear(&self) -> Result<()> {
        Side::ALL.into_iter().try_for_each(|side| self.remove(side))
    }

    /// Waits until everything that was written is on the disk.
    pub(super) fn settle(&self) -> Result<()> {
        run::run(&mut Command::new("sync"))
    }

    /// The most memory that a pull takes, in MiB: of the daemon, or of the program where there is none.
    pub(super) fn peak(&self, side: Side, rest: &str) -> Result<f64> {
        let daemon = match side {
            Side::Berth => Some(self.berth.pid()?),
            Side::Docker => Some(self.docker.pid()),
            Side::Podman | Side::Skopeo => None,
        };
        let pull = self.pulling(side, rest)?;
        let Some(pid) = daemon else {
            let mut wrapped = Command::new("python3");
            wrapped.args(["-c", PEAK]).arg(pull.get_program()).args(pull.get_args());
            for (name, value) in pull.get_envs() {
                match value {
                    Some(value) => wrapped.env(name, value),
                    None => wrapped.env_remove(name),
                };
            }
            let kib: f64 = run::output(wrapped.stdin(Stdio::null()))?.trim().parse()?;
            return Ok(kib / 1024.0);
        };
        // proc_pid_clear_refs(5): the peak begins anew
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        time(pull)?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }

    /// Where a side keeps everything.
    pub(super) fn root(&self, side: Side) -> &Path {
        match side {
            Side::Berth => self.berth.root(),
            Side::Docker => self.docker.root(),
            Side::Podman => self.podman.root(),
            Side::Skopeo => self.skopeo.root(),
        }
    }
}

/// What a folder takes of the disk, in MB. Mounts below it are not followed.
pub(super) fn used(path: &Path) -> Result<f64> {
    run::run(&mut Command::new("sync"))?;
    let text = run::output(Command::new("du").args(["-sx", "--block-size=1"]).arg(path))?;
    let bytes: f64 = text.split_whitespace().next().context("du says nothing")?.parse()?;
    Ok(bytes / 1e6)
}
