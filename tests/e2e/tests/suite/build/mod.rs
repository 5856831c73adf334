//! Builds by Docker's own clients.

mod classic;
mod hostile;
mod kills;

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use e2e::daemon::Berth;
use e2e::programs::{self, Ran};

/// A directory to build, beside the daemon's root.
pub(crate) struct Context<'a> {
    berth: &'a Berth,
    path: PathBuf,
}

impl<'a> Context<'a> {
    /// With these files; a name that ends with a slash is a directory.
    pub(crate) fn new(berth: &'a Berth, name: &str, files: &[(&str, &str)]) -> Result<Self> {
        let path = berth.root().join("contexts").join(name);
        for (name, text) in files {
            let file = path.join(name);
            fs::create_dir_all(file.parent().unwrap_or(&path))?;
            fs::write(file, text)?;
        }
        Ok(Self { berth, path })
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// `docker build` by the classic protocol.
    pub(crate) fn build(&self, more: &[&str]) -> Result<Ran> {
        let mut command = self.berth.docker_command(["build"])?;
        command.env("DOCKER_BUILDKIT", "0").args(more).arg(&self.path);
        programs::run(&mut command)
    }
}
