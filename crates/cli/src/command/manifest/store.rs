//! Lists of manifests under `manifests` of the configuration directory, as Docker keeps them: a directory for each
//! list, a file of JSON for each manifest in it.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use oci::{Digest, Platform, Reference};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// The longest file: a manifest twice, once in base64.
const MAX_FILE: u64 = 32 << 20;
/// Manifests of one list.
const MAX_ENTRIES: usize = 4096;

/// One manifest of a list, with the names that Docker's files have.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    /// The image.
    #[serde(rename = "Ref")]
    pub(super) reference: String,
    /// What the list will say of it.
    pub(super) descriptor: Descriptor,
    /// The manifest's bytes in base64.
    #[serde(default)]
    pub(super) raw: String,
    /// The manifest, for readers; of Docker's type.
    #[serde(rename = "SchemaV2Manifest", default, skip_serializing_if = "Option::is_none")]
    pub(super) docker: Option<Box<RawValue>>,
    /// The manifest, for readers; of OCI's type.
    #[serde(rename = "OCIManifest", default, skip_serializing_if = "Option::is_none")]
    pub(super) oci: Option<Box<RawValue>>,
}

/// As Go's image specification writes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<Platform>,
}

/// The directory of all lists.
pub(super) struct Store {
    root: PathBuf,
}

impl Store {
    pub(super) fn new(config_dir: &Path) -> Self {
        Self { root: config_dir.join("manifests") }
    }

    fn list_dir(&self, list: &Reference) -> PathBuf {
        self.root.join(file_name(list))
    }

    fn path(&self, list: &Reference, image: &Reference) -> PathBuf {
        self.list_dir(list).join(file_name(image))
    }

    /// One manifest of a list.
    pub(super) fn entry(&self, list: &Reference, image: &Reference) -> Result<Option<Entry>> {
        read(&self.path(list, image))
    }

    /// All manifests of a list, by the names of their files; none: there is no such list.
    pub(super) fn list(&self, list: &Reference) -> Result<Vec<Entry>> {
        let dir = self.list_dir(list);
        let found = match fs::read_dir(&dir) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&dir)(error)),
        };
        let mut paths = Vec::new();
        for entry in found {
            let path = entry.map_err(failed(&dir))?.path();
            // what a killed command was writing
            if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
                paths.push(path);
            }
        }
        if paths.len() > MAX_ENTRIES {
            return Err(Error::said(format!("{}: more than {MAX_ENTRIES} manifests", dir.display())));
        }
        paths.sort();
        paths.iter().filter_map(|path| read(path).transpose()).collect()
    }

    /// Adds a manifest to a list, or changes it; the file appears when it is whole.
    pub(super) fn save(&self, list: &Reference, image: &Reference, entry: &Entry) -> Result<()> {
        let dir = self.list_dir(list);
        fs::create_dir_all(&dir).map_err(failed(&dir))?;
        let path = self.path(list, image);
        let fresh = dir.join(format!(".{}.new", std::process::id()));
        let bytes = serde_json::to_vec(entry).map_err(|error| Error::said(error.to_string()))?;
        let written = fs::File::create(&fresh)
            .and_then(|mut file| file.write_all(&bytes))
            .and_then(|()| fs::rename(&fresh, &path));
        written.map_err(|error| {
            drop(fs::remove_file(&fresh));
            failed(&path)(error)
        })
    }

    /// Forgets a list.
    pub(super) fn remove(&self, list: &Reference) -> Result<bool> {
        let dir = self.list_dir(list);
        match fs::remove_dir_all(&dir) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(&dir)(error)),
        }
    }
}

/// A reference has no characters that a file name can't have but these.
fn file_name(reference: &Reference) -> String {
    reference.to_string().replace(':', "-").replace('/', "_")
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    Error::io(path.display().to_string())
}

fn read(path: &Path) -> Result<Option<Entry>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed(path))?;
    let entry = serde_json::from_slice(&bytes).map_err(|error| {
        Error::said(format!("{}: {error}: remove the list and create it anew", path.display()))
    })?;
    Ok(Some(entry))
}
