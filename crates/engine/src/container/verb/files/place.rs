//! Paths that a client names, and what is there.

use std::os::fd::OwnedFd;

use jiff::Timestamp;
use rustix::fs::{FileType, Stat};
use sys::path::Root;

use super::reason;
use crate::error::{Error, Result};

/// What is at a path, a last symbolic link not followed (but with a slash or `/.` behind it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// Last name of the path as it was asked for; `/` and `.` are such names.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Type and permissions, inode(7).
    pub mode: u32,
    /// Last change.
    pub modified: Option<Timestamp>,
    /// Where a symbolic link leads to in the end, as an absolute path; else empty.
    pub link_target: String,
}

/// What is there.
pub(super) struct Place {
    pub(super) handle: OwnedFd,
    pub(super) stat: PathStat,
}

/// A path as it counts in a container: absolute, `.` and `..` resolved by their text, as Docker does; a slash or
/// `/.` at the end stays, for it asks for a directory.
pub(super) fn absolute(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut text = format!("/{}", parts.join("/"));
    let bare = path.trim_end_matches('/');
    if bare == "." || bare.ends_with("/.") {
        if !text.ends_with('/') {
            text.push('/');
        }
        text.push('.');
    }
    if path.ends_with('/') && !text.ends_with('/') {
        text.push('/');
    }
    text
}

/// The last name of a path that [`absolute`] gave.
pub(super) fn base(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit('/').next() {
        None | Some("") => "/",
        Some(name) => name,
    }
}

/// Docker's answers to a path that leads nowhere.
pub(super) fn failed(container: &str, path: &str, error: sys::Errno) -> Error {
    match error {
        sys::Errno::NOENT => {
            Error::not_found(format!("Could not find the file {path} in container {container}"))
        }
        error => Error::system(format!("lstat {path}: {}", reason(&error.into()))),
    }
}

/// Looks a path up.
///
/// # Errors
/// Nothing is there.
pub(super) fn find(root: &Root, container: &str, asked: &str) -> Result<Place> {
    let path = absolute(asked);
    let failed = |error| failed(container, asked, error);
    let handle = root.handle_nofollow(&path).map_err(failed)?;
    let stat = rustix::fs::fstat(&handle).map_err(failed)?;
    let link_target = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => root.evaluate(&path).map_err(failed)?.to_string_lossy().into_owned(),
        _ => String::new(),
    };
    let stat = PathStat {
        name: base(&path).to_owned(),
        size: stat.st_size,
        mode: stat.st_mode,
        modified: modified(&stat),
        link_target,
    };
    Ok(Place { handle, stat })
}

fn modified(stat: &Stat) -> Option<Timestamp> {
    Timestamp::new(stat.st_mtime, i32::try_from(stat.st_mtime_nsec).unwrap_or(0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_keep_what_asks_for_a_directory() {
        for (path, cleaned, name) in [
            ("/", "/", "/"),
            ("/.", "/.", "."),
            ("a", "/a", "a"),
            ("/a/", "/a/", "a"),
            ("/a/.", "/a/.", "."),
            (".", "/.", "."),
            ("/a/../b//c", "/b/c", "c"),
            ("/..", "/", "/"),
            ("/a/./", "/a/.", "."),
        ] {
            let got = absolute(path);
            assert_eq!(got.trim_end_matches('/'), cleaned.trim_end_matches('/'), "{path}");
            assert_eq!(base(&got), name, "{path}");
        }
    }
}
