//! Checkpoints on disk: one directory each, which appears and goes by one rename.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use shim::protocol::CHECKPOINT_MARK;

use crate::error::{Error, Result};
use crate::layout::{CHECKPOINT_GONE, CHECKPOINT_NEW, Layout};

/// The program that writes processes and brings them back.
const CRIU: &str = "criu";

/// A checkpoint that is to be made.
#[derive(Debug)]
pub(crate) struct NewCheckpoint {
    /// Where.
    pub(crate) folder: PathBuf,
    /// Checked to be a name.
    pub(crate) name: String,
    /// For sentences.
    pub(crate) container: String,
    /// The program.
    pub(crate) criu: PathBuf,
    /// The container ends with it.
    pub(crate) exit: bool,
}

fn failed(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let what = format!("{what} {}", path.display());
    move |error| Error::because(what, error)
}

impl NewCheckpoint {
    fn half_made(&self) -> PathBuf {
        self.folder.join(format!("{CHECKPOINT_NEW}{}", self.name))
    }

    /// Makes the directory for the images.
    ///
    /// # Errors
    /// There is a checkpoint of this name; the disk is full.
    pub(crate) fn begin(&self) -> Result<PathBuf> {
        if self.folder.join(&self.name).exists() {
            let (name, container) = (&self.name, &self.container);
            let sentence = format!("checkpoint with name {name} already exists for container {container}");
            return Err(Error::conflict(sentence));
        }
        let path = self.half_made();
        remove_tree(&path)?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(failed("create directory", &path))?;
        Ok(path)
    }

    /// The images are whole: the checkpoint appears, and survives a power cut.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn commit(&self) -> Result<()> {
        appear(&self.half_made(), &self.folder.join(&self.name))
    }

    /// Takes away what was begun.
    ///
    /// # Errors
    /// The disk fails.
    pub(crate) fn abandon(&self) -> Result<()> {
        remove_tree(&self.half_made())
    }
}

fn appear(from: &Path, to: &Path) -> Result<()> {
    let sync = || -> std::io::Result<()> {
        for entry in std::fs::read_dir(from)? {
            File::open(entry?.path())?.sync_all()?;
        }
        File::open(from)?.sync_all()?;
        std::fs::rename(from, to)?;
        to.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    sync().map_err(failed("write checkpoint", to))
}

/// Removes a directory; none is fine.
fn remove_tree(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The folder of a container's checkpoints: its own, or the one that was asked for.
///
/// # Errors
/// That is not an absolute path.
pub(crate) fn folder(layout: &Layout, id: &str, asked: &str) -> Result<PathBuf> {
    match asked {
        "" => Ok(layout.checkpoints(id)),
        asked if asked.starts_with('/') => Ok(asked.into()),
        asked => Err(Error::bad_parameter(format!("checkpoint directory {asked:?} is not an absolute path"))),
    }
}

/// A name that can be a directory's.
///
/// # Errors
/// It is not one.
pub(crate) fn name(asked: &str) -> Result<&str> {
    if crate::id::is_name(asked) {
        return Ok(asked);
    }
    Err(Error::bad_parameter(format!(
        "Invalid checkpoint ID ({asked}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

/// An existing checkpoint.
///
/// # Errors
/// There is none of this name.
pub(crate) fn find(folder: &Path, checkpoint: &str, container: &str) -> Result<PathBuf> {
    let path = folder.join(name(checkpoint)?);
    if path.join(CHECKPOINT_MARK).is_file() {
        return Ok(path);
    }
    Err(Error::not_found(format!("checkpoint {checkpoint} does not exist for container {container}")))
}

/// Names of the checkpoints in a folder; none for a folder that is not there.
///
/// # Errors
/// The folder can't be read.
pub(crate) fn list(folder: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> =
        entries(folder)?.into_iter().filter(|name| crate::id::is_name(name)).collect();
    names.retain(|name| folder.join(name).join(CHECKPOINT_MARK).is_file());
    names.sort_unstable();
    Ok(names)
}

fn entries(folder: &Path) -> Result<Vec<String>> {
    let found = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.map_err(failed("read", folder))?,
    };
    Ok(found.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// Removes a checkpoint that [`find`] has found.
///
/// # Errors
/// The disk fails.
pub(crate) fn remove(folder: &Path, checkpoint: &str) -> Result<()> {
    let gone = folder.join(format!("{CHECKPOINT_GONE}{checkpoint}"));
    remove_tree(&gone)?;
    let path = folder.join(checkpoint);
    std::fs::rename(&path, &gone).map_err(failed("remove checkpoint", &path))?;
    remove_tree(&gone)
}

/// After a daemon that was killed: images that are whole become the checkpoint that was asked for, the rest goes.
pub(crate) fn sweep(layout: &Layout, id: &str) -> Result<()> {
    let folder = layout.checkpoints(id);
    for entry in entries(&folder)? {
        let path = folder.join(&entry);
        match entry.strip_prefix(CHECKPOINT_NEW) {
            Some(name) if path.join(CHECKPOINT_MARK).is_file() && !folder.join(name).exists() => {
                appear(&path, &folder.join(name))?;
            }
            Some(_) => remove_tree(&path)?,
            None if entry.starts_with(CHECKPOINT_GONE) => remove_tree(&path)?,
            None => {}
        }
    }
    Ok(())
}

/// The program `criu` of the host's, by berthd's `PATH`.
///
/// # Errors
/// It is not installed.
pub(crate) fn criu() -> Result<PathBuf> {
    sys::spawn::in_path(CRIU).ok_or_else(|| {
        Error::unavailable(
            "checkpoints need the program criu, which is not installed (no \"criu\" in berthd's PATH)",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(folder: &Path, name: &str) -> NewCheckpoint {
        let (folder, name) = (folder.to_owned(), name.to_owned());
        NewCheckpoint { folder, name, container: "c".to_owned(), criu: "/criu".into(), exit: false }
    }

    #[test]
    fn a_checkpoint_appears_whole_and_goes_whole() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("checkpoints");
        assert_eq!(list(&folder).unwrap(), [""; 0]);
        let one = new(&folder, "one");
        std::fs::write(one.begin().unwrap().join(CHECKPOINT_MARK), "{}").unwrap();
        assert_eq!(list(&folder).unwrap(), [""; 0]);
        one.commit().unwrap();
        assert_eq!(list(&folder).unwrap(), ["one"]);
        assert!(find(&folder, "one", "c").is_ok());
        assert_eq!(
            one.begin().unwrap_err().to_string(),
            "checkpoint with name one already exists for container c"
        );
        assert!(find(&folder, "../one", "c").is_err());
        remove(&folder, "one").unwrap();
        assert_eq!(entries(&folder).unwrap(), [""; 0]);
    }

    #[test]
    fn the_sweep_keeps_what_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());
        let folder = layout.checkpoints("x");
        std::fs::write(new(&folder, "whole").begin().unwrap().join(CHECKPOINT_MARK), "{}").unwrap();
        std::fs::write(new(&folder, "half").begin().unwrap().join("core-1.img"), "").unwrap();
        std::fs::create_dir(folder.join(".gone-old")).unwrap();
        sweep(&layout, "x").unwrap();
        assert_eq!(entries(&folder).unwrap(), ["whole"]);
        sweep(&layout, "none").unwrap();
    }
}
