//! The engine under test: a private `berthd`, or Debian's `dockerd` as the oracle.

use std::path::Path;

use anyhow::{Context, Result};

use super::Namespace;
use crate::daemon::{Berth, IMAGE};
use crate::image::Image;
use crate::peers::Docker;
use crate::programs::{self, Ran};

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    Berth,
    /// Debian's Docker.
    Docker,
}

/// An engine that runs, with the test image.
pub enum Engine {
    /// Ours.
    Berth(Box<Berth>),
    /// Debian's Docker.
    Docker(Docker),
}

impl Engine {
    /// Starts it in a namespace.
    pub fn start(kind: Kind, host: &Namespace, options: &[&str]) -> Result<Self> {
        match kind {
            Kind::Berth => {
                let berth = Berth::inside(host, options)?;
                berth.load(&Image::busybox()?, IMAGE)?;
                Ok(Self::Berth(Box::new(berth)))
            }
            Kind::Docker => {
                let docker = Docker::inside(host, &[options, &["--storage-driver=vfs"][..]].concat())?;
                let archive = docker.root().join("image.tar");
                Image::busybox()?.save(&archive, IMAGE)?;
                docker.run(&["load", "-i", &archive.display().to_string()])?.ok()?;
                Ok(Self::Docker(docker))
            }
        }
    }

    /// Which it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Berth(_) => Kind::Berth,
            Self::Docker(_) => Kind::Docker,
        }
    }

    /// Runs the same client for both, so that only the daemons differ.
    pub fn run(&self, args: &[&str]) -> Result<Ran> {
        match self {
            Self::Berth(berth) => {
                let mut command = programs::command(Path::new("/usr/bin/docker"), args);
                command.env("DOCKER_HOST", berth.host()).env("DOCKER_CONFIG", berth.root().join("client"));
                programs::run(&mut command)
            }
            Self::Docker(docker) => docker.run(args),
        }
    }

    /// The client must succeed; what it says.
    pub fn ok(&self, args: &[&str]) -> Result<String> {
        self.run(args)?.ok()
    }

    /// The daemon's process.
    pub fn pid(&self) -> Result<u32> {
        match self {
            Self::Berth(berth) => berth.pid(),
            Self::Docker(docker) => Ok(docker.pid()),
        }
    }

    /// Our daemon, which can be killed.
    pub fn berth(&mut self) -> Result<&mut Berth> {
        match self {
            Self::Berth(berth) => Ok(berth),
            Self::Docker(_) => None.context("this is Docker"),
        }
    }

    /// Removes containers and networks, and ends the daemon; of ours nothing may be left.
    pub(super) fn finish(self) -> Result<()> {
        let containers = self.ok(&["ps", "-aq"])?;
        if !containers.is_empty() {
            let words: Vec<_> = ["rm", "-f", "-v"].into_iter().chain(containers.lines()).collect();
            self.ok(&words)?;
        }
        self.ok(&["network", "prune", "-f"])?;
        match self {
            Self::Berth(berth) => berth.finish(),
            Self::Docker(docker) => docker.stop(),
        }
    }
}
