//! Directories on their way in (`tmp/`).

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::Context;
use crate::layout::{DIR_MODE, Layout};
use crate::{Error, Result};

/// A name that nobody else has.
pub(crate) fn random_name() -> Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::io("get random bytes", io::Error::other(error.to_string())))?;
    Ok(hex::encode(bytes))
}

/// A directory below `tmp/` that goes away with this value, unless it was moved to its place.
#[derive(Debug)]
pub(crate) struct TmpDir {
    path: PathBuf,
    /// It outlives this value.
    stays: bool,
}

impl TmpDir {
    pub(crate) fn new(layout: &Layout) -> Result<Self> {
        let path = layout.tmp().join(random_name()?);
        DirBuilder::new().mode(DIR_MODE).create(&path).at("make", &path)?;
        Ok(Self { path, stays: false })
    }

    /// A directory elsewhere in the store that waits to be moved to its place, and stays where it is until then.
    pub(crate) fn waiting(path: PathBuf) -> Self {
        Self { path, stays: true }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// It is somebody else's from now on.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.stays = true;
        std::mem::take(&mut self.path)
    }

    /// Moves the directory to its place.
    pub(crate) fn publish(self, to: &Path) -> Result<()> {
        fs::rename(&self.path, to).at("rename to", to)
    }
}

impl Drop for TmpDir {
    fn drop(&mut self) {
        if !self.stays {
            // Already published, or swept by the next `open`.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
