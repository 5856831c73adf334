//! Signatures on disk: one file for each image, with what was found in each repository that it was pulled from.

use std::collections::HashSet;

use ::trust::Evidence;
use oci::Digest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::layout::Layout;

/// Format of the file. A reader refuses a newer one.
const VERSION: u32 = 1;
/// Repositories that one image is remembered from; the one that was pulled from longest ago is forgotten.
const REPOSITORIES: usize = 16;
/// Longest file, bytes: base64 makes manifests longer by a third.
const MOST_BYTES: usize = REPOSITORIES * (::trust::limits::EVIDENCE + (24 << 20));

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    /// The latest pull first.
    pulls: Vec<Box<RawValue>>,
}

/// What was found beside an image, wherever it was pulled from.
///
/// # Errors
/// The file is damaged, or of a newer version.
pub(super) fn read(layout: &Layout, image: &Digest) -> Result<Vec<Evidence>> {
    let path = layout.signatures(image);
    let what = || format!("read {}", path.display());
    let bytes = match sys::file::read_bounded(&path, MOST_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::because(what(), error)),
    };
    let file: File = serde_json::from_slice(&bytes).map_err(|error| Error::because(what(), error))?;
    if file.version != VERSION {
        let version = file.version;
        return Err(Error::system(format!("{}: format {version} is not this berthd's ({VERSION})", what())));
    }
    let read = |pull: &RawValue| Evidence::from_json(pull.get().as_bytes());
    file.pulls.iter().map(|pull| read(pull).map_err(|error| Error::because(what(), error))).collect()
}

/// Keeps what a pull has found beside an image, before the image is here: whoever sees the image sees this.
///
/// # Errors
/// The disk is full or fails.
pub(super) fn keep(engine: &Inner, image: &Digest, found: Evidence) -> Result<()> {
    // what can't be read is replaced: the next pull from elsewhere finds the rest again
    let before = read(&engine.layout, image).unwrap_or_default();
    let name = found.image.reference.name();
    let others = before.into_iter().filter(|one| one.image.reference.name() != name);
    let mut pulls = Vec::new();
    for pull in std::iter::once(found).chain(others).take(REPOSITORIES) {
        let text = pull.to_json().map_err(|error| Error::because("encode signatures", error))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let raw = RawValue::from_string(text).map_err(|error| Error::because("encode signatures", error))?;
        pulls.push(raw);
    }
    let bytes = serde_json::to_vec(&File { version: VERSION, pulls })
        .map_err(|error| Error::because("encode signatures", error))?;
    let path = engine.layout.signatures(image);
    let failed = |error| Error::because(format!("write {}", path.display()), error);
    let directory = sys::file::open_directory(engine.layout.all_signatures()).map_err(failed)?;
    let name = path.file_name().unwrap_or_default();
    sys::file::write_durable(directory, name, &bytes, 0o600).map_err(failed)
}

/// Forgets what was found beside images that have gone; what fails is swept at the next start.
pub(crate) fn forget<'a>(engine: &Inner, images: impl IntoIterator<Item = &'a str>) {
    for image in images.into_iter().filter_map(crate::image::parse_id) {
        remove(&engine.layout.signatures(&image));
    }
}

/// Removes what belongs to no image: of pulls that were not finished, and of images that went while nobody looked.
pub(crate) fn sweep(engine: &Inner) {
    let known: HashSet<_> = engine
        .store
        .images()
        .iter()
        .filter_map(|image| Some(engine.layout.signatures(&image.id).file_name()?.to_owned()))
        .collect();
    let directory = engine.layout.all_signatures();
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(path = %directory.display(), %error, "signatures of former images were not swept");
            return;
        }
    };
    for entry in entries.flatten().filter(|entry| !known.contains(&entry.file_name())) {
        remove(&entry.path());
    }
}

fn remove(path: &std::path::Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "signatures of a former image could not be removed");
    }
}
