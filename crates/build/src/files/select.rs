//! Which things of a tree a copy's source means.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;
use sys::path::Root;

use dockerfile::glob;

use super::attributes;
use crate::graph::Copy;
use crate::{Error, Result};

/// Most things that one pattern may mean.
const MAX_FOUND: usize = 1 << 20;

/// Something that is to be copied.
#[derive(Debug)]
pub(super) struct Found {
    /// Where it is in the tree, without a slash in front.
    pub(super) path: PathBuf,
    /// The thing itself (`O_PATH`).
    pub(super) handle: OwnedFd,
    pub(super) stat: Stat,
}

impl Found {
    pub(super) fn is_dir(&self) -> bool {
        attributes::kind(&self.stat) == FileType::Directory
    }

    /// What a copy's patterns are compared with, as in BuildKit: what lies beneath the thing that is copied, or its own
    /// name; the whole path where that is kept.
    pub(super) fn compared(&self, copy: &Copy) -> String {
        let path = match (copy.parents, self.is_dir()) {
            (true, _) => self.path.as_os_str(),
            (false, true) => return String::new(),
            (false, false) => self.path.file_name().unwrap_or_default(),
        };
        path.to_string_lossy().into_owned()
    }
}

/// A path without `.`, `..` and slashes at its ends; `..` does not lead out of the tree.
pub(crate) fn clean(path: &str) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

/// Everything that the source of a copy means, in the order of names.
///
/// # Errors
/// There is nothing, the pattern is none, or a directory can't be read.
pub(super) fn select(tree: &Root, copy: &Copy) -> Result<Vec<Found>> {
    let path = clean(&copy.source);
    let names: Vec<String> =
        path.components().map(|name| name.as_os_str().to_string_lossy().into_owned()).collect();
    if !copy.wildcard || !names.iter().any(|name| glob::has_wildcard(name)) {
        return match open(tree, &path, copy.follow_symlinks) {
            Ok(found) => Ok(vec![found]),
            Err(Errno::NOENT | Errno::NOTDIR) if copy.wildcard && copy.empty_wildcard => Ok(Vec::new()),
            Err(error) => Err(missing(&copy.source, error)),
        };
    }
    let mut paths = vec![PathBuf::new()];
    for name in &names {
        paths = expand(tree, copy, paths, name)?;
    }
    let open = |path: PathBuf| match open(tree, &path, copy.follow_symlinks) {
        // a pattern means what is there
        Err(Errno::NOENT | Errno::NOTDIR) => None,
        other => Some(other.map_err(|error| missing(&path.to_string_lossy(), error))),
    };
    let found: Vec<Found> = paths.into_iter().filter_map(open).collect::<Result<_>>()?;
    if found.is_empty() && !copy.empty_wildcard {
        return Err(missing(&copy.source, Errno::NOENT));
    }
    Ok(found)
}

fn expand(tree: &Root, copy: &Copy, paths: Vec<PathBuf>, name: &str) -> Result<Vec<PathBuf>> {
    if !glob::has_wildcard(name) {
        return Ok(paths.into_iter().map(|path| path.join(name)).collect());
    }
    let mut found = Vec::new();
    for path in paths {
        let directory = match tree.open_dir(&path) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            other => other.map_err(|error| missing(&path.to_string_lossy(), error))?,
        };
        let names = tarball::names(directory).map_err(|error| Error::path(path.to_string_lossy(), error))?;
        for entry in names {
            let Ok(entry) = String::from_utf8(entry) else { continue };
            let fits = glob::matches(name, &entry);
            if fits.map_err(|error| Error::path(&copy.source, error))? {
                found.push(path.join(entry));
            }
        }
        if found.len() > MAX_FOUND {
            return Err(Error::path(&copy.source, format!("means more than {MAX_FOUND} files")));
        }
    }
    Ok(found)
}

fn open(tree: &Root, path: &Path, follow: bool) -> Result<Found, Errno> {
    let handle = if follow { tree.handle(path)? } else { tree.handle_nofollow(path)? };
    let stat = rustix::fs::fstat(&handle)?;
    Ok(Found { path: path.to_owned(), handle, stat })
}

fn missing(path: &str, error: Errno) -> Error {
    match error {
        Errno::NOENT | Errno::NOTDIR => Error::Missing { path: path.to_owned() },
        error => Error::path(path, error),
    }
}
