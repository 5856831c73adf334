//! Builds by Docker's own clients and by ours.

mod bollard;
mod buildkit;
mod cache;
mod classic;
mod display;
mod hostile;
mod kills;
mod layouts;
mod llb;
mod mounts;
mod outputs;
mod own;
mod real;
mod secrets;
mod sources;
mod transports;
mod travel;
mod vanish;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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

    /// `docker build` by BuildKit's protocol, as a client speaks it that needs no plugin for it.
    pub(crate) fn buildkit_command(&self, more: &[&str]) -> Result<Command> {
        let mut command = programs::command(&programs::buildkit_client()?, ["build", "--progress", "plain"]);
        command.env("DOCKER_HOST", self.berth.host()).env("DOCKER_CONFIG", self.berth.root().join("client"));
        command.env("DOCKER_BUILDKIT", "1").args(more).arg(&self.path);
        Ok(command)
    }

    /// `berth build`.
    pub(crate) fn own_command(&self, more: &[&str]) -> Result<Command> {
        let mut command = self.berth.berth_command(["build"])?;
        command.args(more).arg(&self.path);
        Ok(command)
    }

    /// Runs [`Self::own_command`].
    pub(crate) fn own(&self, more: &[&str]) -> Result<Ran> {
        programs::run(&mut self.own_command(more)?)
    }
}

/// Whether a file below `dir` holds `bytes`.
pub(crate) fn found_below(dir: &Path, bytes: &[u8]) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let found = if kind.is_dir() {
            found_below(&path, bytes)?
        } else {
            let holds = kind.is_file() && fs::read(&path)?.windows(bytes.len()).any(|part| part == bytes);
            holds.then_some(path)
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// No build has left any file of its own.
pub(crate) fn no_places(berth: &Berth) -> Result<()> {
    programs::eventually("the builds' own files are gone", || {
        match fs::read_dir(berth.data_root().join("store/tmp")) {
            Ok(mut places) => Ok(places.next().is_none().then_some(())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Some(())),
            Err(error) => Err(error.into()),
        }
    })
}
