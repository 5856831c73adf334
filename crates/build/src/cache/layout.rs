//! The index's files.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// The format that this program reads and writes.
const VERSION: &str = "1";
const RECORD: &str = ".json";
/// What a record is called while it is written.
const NEW: &str = ".new-";

#[derive(Debug)]
pub(super) struct Layout {
    dir: PathBuf,
    last: AtomicU64,
}

impl Layout {
    /// Makes the directory if it is missing, and removes half-written records.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let failed = |what: &str| {
            let what = format!("{what} {}", dir.display());
            move |error| Error::because(what, error)
        };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("make"))?;
        let version = dir.join("version");
        match fs::read_to_string(&version) {
            Ok(text) if text.trim() == VERSION => {}
            Ok(text) => {
                return Err(Error::Invalid(format!(
                    "the build cache {} is of version {}: this program knows {VERSION}",
                    dir.display(),
                    text.trim()
                )));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::write(&version, format!("{VERSION}\n")).map_err(failed("write the version of"))?;
            }
            Err(error) => return Err(failed("read the version of")(error)),
        }
        Ok(Self { dir: dir.to_owned(), last: AtomicU64::new(0) })
    }

    pub(super) fn keys(&self) -> Result<Vec<String>> {
        let failed = |error| Error::because(format!("read {}", self.dir.display()), error);
        let mut keys = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(NEW) {
                fs::remove_file(entry.path()).map_err(failed)?;
            }
            let key = name.strip_suffix(RECORD);
            let is_key = |key: &&str| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
            keys.extend(key.filter(is_key).map(str::to_owned));
        }
        Ok(keys)
    }

    pub(super) fn record(&self, key: &str) -> PathBuf {
        self.dir.join(format!("{key}{RECORD}"))
    }

    /// A name of its own for each write.
    pub(super) fn temporary(&self, key: &str) -> PathBuf {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.dir.join(format!("{NEW}{key}-{number}"))
    }
}
