//! A directory of this program's own that goes with it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, reason};

/// The directory.
#[derive(Debug)]
pub(super) struct Temporary(PathBuf);

impl Temporary {
    pub(super) fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("berth-build-{}", random(16)?));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| Error::said(format!("create {}: {}", path.display(), reason(&error))))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // what can't be removed is the business of whoever cleans the directory for such files
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A name that nobody guesses, of letters and digits.
pub(super) fn random(bytes: usize) -> Result<String> {
    let mut buffer = vec![0; bytes];
    getrandom::fill(&mut buffer).map_err(|error| Error::said(format!("no random numbers: {error}")))?;
    Ok(hex::encode(buffer))
}
