//! `config.json`, read, changed and replaced.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// More than any sane configuration.
const LIMIT: usize = 4 << 20;
/// More symbolic links than any sane configuration hides behind.
const MOST_LINKS: usize = 8;

/// The file, and what it holds.
pub(crate) struct ConfigFile {
    directory: PathBuf,
    /// The whole object: what we don't know is kept as it is.
    pub(crate) root: Map<String, Value>,
}

impl ConfigFile {
    /// Reads it; an absent or empty file is an empty object.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let path = directory.join("config.json");
        let bytes = match sys::file::read_bounded(&path, LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Vec::new()
            }
            Err(error) => return Err(Error::io(path.display().to_string())(error)),
        };
        let root = if bytes.trim_ascii().is_empty() {
            Map::new()
        } else {
            serde_json::from_slice(&bytes).map_err(|error| super::malformed(&path, &error))?
        };
        Ok(Self { directory: directory.to_owned(), root })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.join("config.json")
    }

    /// Replaces the file by one rename, so that no reader sees half of it. A symbolic link stays, and its target
    /// is replaced; owner and mode stay; a new file is the user's alone.
    pub(crate) fn save(&self) -> Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(Error::io(self.directory.display().to_string()))?;
        let path = target(&self.path());
        let mut text = Vec::new();
        let indented = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut writer = serde_json::Serializer::with_formatter(&mut text, indented);
        serde::Serialize::serialize(&self.root, &mut writer)
            .map_err(|error| Error::said(error.to_string()))?;
        replace(&path, &text).map_err(Error::io(format!("write {}", path.display())))
    }
}

/// The file behind symbolic links.
fn target(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(link) = fs::read_link(&path) else { break };
        path = path.parent().map_or_else(|| link.clone(), |parent| parent.join(&link));
    }
    path
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let before = fs::metadata(path).ok();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(name);
    let written = || -> io::Result<()> {
        // one that a killed command has left under this number
        drop(fs::remove_file(&temporary));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(text)?;
        if let Some(before) = &before {
            // Only root may give files away; whoever else writes here owns it already.
            drop(std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid())));
            file.set_permissions(fs::Permissions::from_mode(before.mode() & 0o7777))?;
        }
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    written().inspect_err(|_| drop(fs::remove_file(&temporary)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_and_link_stay() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real.json");
        fs::write(&real, "{\"a\": 1}").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        std::os::unix::fs::symlink("../real.json", home.join("config.json")).unwrap();
        let mut file = ConfigFile::open(&home).unwrap();
        file.root.insert("b".into(), 2.into());
        file.save().unwrap();
        assert!(fs::symlink_metadata(home.join("config.json")).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_to_string(&real).unwrap(), "{\n\t\"a\": 1,\n\t\"b\": 2\n}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file is left");
    }

    #[test]
    fn a_new_file_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("a/b");
        ConfigFile::open(&home).unwrap().save().unwrap();
        assert_eq!(fs::metadata(home.join("config.json")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&home).unwrap().mode() & 0o777, 0o700);
    }
}
