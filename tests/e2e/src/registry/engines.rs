//! Engines that pull and push, driven the same way: ours by both clients, Debian's `dockerd`, Podman, Buildah.

use std::process::Command;

use anyhow::{Result, ensure};

use super::Site;
use super::copiers::Copier;
use crate::Berth;
use crate::peers::Docker;
use crate::programs::{self, Ran};

/// One that pulls and pushes.
pub trait Engine {
    /// For messages.
    fn name(&self) -> &'static str;

    /// A command of its client.
    fn command(&self, args: &[&str]) -> Result<Command>;

    /// Runs its client.
    fn run(&self, args: &[&str]) -> Result<Ran> {
        programs::run(&mut self.command(args)?)
    }

    /// Signs in where a site wants it.
    fn login(&self, site: &Site) -> Result<()> {
        let Some((user, password)) = &site.login else { return Ok(()) };
        let mut command = self.command(&["login", "-u", user, "--password-stdin", &site.address])?;
        programs::run_with(&mut command, password.as_bytes(), programs::PATIENCE)?.ok().map(drop)
    }

    /// Pulls a name of a site.
    fn pull(&self, site: &Site, rest: &str) -> Result<String> {
        self.run(&["pull", &site.name(rest)])?.ok()
    }

    /// Pushes a name of a site.
    fn push(&self, site: &Site, rest: &str) -> Result<String> {
        self.run(&["push", &site.name(rest)])?.ok()
    }

    /// Gives an image another name.
    fn tag(&self, from: &str, to: &str) -> Result<()> {
        self.run(&["tag", from, to])?.ok().map(drop)
    }

    /// Takes a name from an image.
    fn remove(&self, name: &str) -> Result<()> {
        self.run(&["rmi", "-f", name])?.ok().map(drop)
    }

    /// The image's id.
    fn id(&self, name: &str) -> Result<String> {
        let id = self.run(&["image", "inspect", "-f", "{{.Id}}", name])?.ok()?;
        let digits = id.trim().trim_start_matches("sha256:");
        ensure!(digits.len() == 64, "{}: {name}: {id:?}", self.name());
        Ok(format!("sha256:{digits}"))
    }
}

/// Our engine and our client.
pub struct Ours<'a>(pub &'a Berth);

impl Engine for Ours<'_> {
    fn name(&self) -> &'static str {
        "berth"
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        self.0.berth_command(args)
    }
}

/// Our engine and the real `docker`.
pub struct OursByDocker<'a>(pub &'a Berth);

impl Engine for OursByDocker<'_> {
    fn name(&self) -> &'static str {
        "berthd by docker"
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        self.0.docker_command(args)
    }
}

impl Engine for Docker {
    fn name(&self) -> &'static str {
        "dockerd"
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        Ok(Self::command(self, args))
    }
}

/// Podman or Buildah.
impl Engine for Copier {
    fn name(&self) -> &'static str {
        self.program()
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Self::command(self);
        command.args(args);
        Ok(command)
    }

    fn login(&self, _: &Site) -> Result<()> {
        // each transfer carries its own
        Ok(())
    }

    fn pull(&self, site: &Site, rest: &str) -> Result<String> {
        self.transfer("pull", site, rest)
    }

    fn push(&self, site: &Site, rest: &str) -> Result<String> {
        self.transfer("push", site, rest)
    }

    fn id(&self, name: &str) -> Result<String> {
        let id = match self.program().ends_with("buildah") {
            true => self.run(&["inspect", "--type", "image", "-f", "{{.FromImageID}}", name])?,
            false => self.run(&["image", "inspect", "-f", "{{.Id}}", name])?,
        };
        Ok(format!("sha256:{}", id.ok()?))
    }
}
