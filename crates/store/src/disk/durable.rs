//! Durable writes.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::dirs::random_name;
use crate::error::Context;
use crate::layout::Layout;
use crate::{Error, Result};

/// Writes a file that is new; its data is durable only after [`sync_file_system`].
pub(crate) fn write_plain(path: &Path, bytes: &[u8]) -> Result<File> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).at("create", path)?;
    file.write_all(bytes).at("write", path)?;
    Ok(file)
}

/// The same for a file that may be there.
pub(crate) fn write_over(path: &Path, bytes: &[u8]) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(format!("replace {}", path.display()), error))
        }
        _ => write_plain(path, bytes).map(drop),
    }
}

/// Replaces a file: durable with its directory when this returns.
pub(crate) fn write_durable(layout: &Layout, path: &Path, bytes: &[u8]) -> Result<()> {
    let tmp = layout.tmp().join(random_name()?);
    let written = write_plain(&tmp, bytes)
        .and_then(|file| file.sync_all().at("sync", &tmp))
        .and_then(|()| fs::rename(&tmp, path).at("rename to", path));
    if let Err(error) = written {
        // The first failure is the one to tell; `open` sweeps what stays in tmp.
        let _ = fs::remove_file(&tmp);
        return Err(error);
    }
    path.parent().map_or(Ok(()), sync_dir)
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).at("sync", dir)
}

/// Makes everything written to the file system of `dir` so far durable (`syncfs(2)`).
pub(crate) fn sync_file_system(dir: &Path) -> Result<()> {
    let dir_fd = File::open(dir).at("open", dir)?;
    rustix::fs::syncfs(&dir_fd).at("sync", dir)
}

/// Reads a record of the store's own.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).at("read", path)?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Damaged(format!("{}: {error}", path.display())))
}

/// The process's file mode creation mask. Read once: no thread of ours changes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Umask(pub(crate) u32);

impl Umask {
    pub(crate) fn current() -> Result<Self> {
        let path = Path::new("/proc/self/status");
        let status = fs::read_to_string(path).at("read", path)?;
        let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        let mask = mask.and_then(|text| u32::from_str_radix(text.trim(), 8).ok());
        // An old kernel that doesn't tell: taking all bits as masked makes every mode be set explicitly.
        Ok(Self(mask.unwrap_or(0o777)))
    }
}

/// Encodes a record of the store's own.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Document(error.to_string()))
}
