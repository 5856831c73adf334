//! The context of a classic build: a tar that the client sends, as a directory of the build's own.

use std::io::{ErrorKind, Read};
use std::path::Path;

use ::build::graph::Source;
use ::build::{Error, Result};
use store::{Scratch, Store};
use sys::path::Root;
use tarball::{Extract, Owner, Through};

use super::source::Fetcher;
use super::trees::Directory;

/// Longest Dockerfile that is read, in bytes.
const MAX_DOCKERFILE: usize = 4 << 20;

/// The default name, and the one that is taken where there is none of it.
pub(super) const NAMES: [&str; 2] = ["Dockerfile", "dockerfile"];

/// Unpacks an archive, compressed or not. Everything becomes root's, as in Docker.
///
/// # Errors
/// What is wrong with it; the disk is full.
pub(super) fn unpack(store: &Store, archive: impl Read + Send) -> Result<Scratch> {
    let place = store.scratch().map_err(|error| Error::because("make room for the context", error))?;
    let failed =
        |error: Box<dyn std::error::Error + Send + Sync>| Error::because("read the build context", error);
    let input = store::decompressed(archive).map_err(|error| failed(error.into()))?;
    let directory = sys::file::open_directory(place.path()).map_err(|error| failed(error.into()))?;
    let options = Extract {
        shown: "the build context",
        through: Through::Refused,
        owner: Owner::Fixed(0, 0),
        keep_kinds: false,
        ids: None,
        renames: &[],
    };
    tarball::extract(directory, input, &options).map_err(|error| failed(error.into()))?;
    Ok(place)
}

/// A context that is fetched; whether it is a Dockerfile and nothing else.
///
/// # Errors
/// It can't be had.
pub(super) fn fetched(fetcher: &Fetcher, source: &Source) -> Result<(Directory, bool)> {
    let directory = fetcher.fetch(source, &|_, _| ())?;
    let directory = directory.ok_or_else(|| Error::Invalid("the context is not fetched".into()))?;
    let alone = matches!(source, Source::Http(_))
        && std::fs::read_dir(directory.path())
            .is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == NAMES[0]));
    Ok((directory, alone))
}

/// The Dockerfile's bytes.
///
/// # Errors
/// It is not there, leads outside, is empty or too long.
pub(super) fn dockerfile(place: &Path, name: &str) -> Result<Vec<u8>> {
    let root = Root::open_in_root(place).map_err(|error| Error::because("open the context", error))?;
    let names: &[&str] = if name.is_empty() { &NAMES } else { &[name] };
    for name in names {
        if Path::new(name).components().any(|part| part == std::path::Component::ParentDir) {
            return Err(Error::Invalid(format!("the Dockerfile ({name}) must be within the build context")));
        }
        match root.read_bounded(name, MAX_DOCKERFILE) {
            Ok(bytes) if bytes.is_empty() => {
                return Err(Error::Invalid(format!("the Dockerfile ({name}) cannot be empty")));
            }
            Ok(bytes) => return Ok(bytes),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(Error::because(format!("read the Dockerfile ({name})"), error)),
        }
    }
    let name = names.first().copied().unwrap_or_default();
    Err(Error::Invalid(format!("Cannot locate specified Dockerfile: {name}")))
}
