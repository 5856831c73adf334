//! The end of a copy that is on this machine.

use std::fs::Metadata;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::paths;
use super::rules::End;
use crate::error::{Error, Result, reason};

/// Links at the destination that are followed one after another, as Docker counts them.
const MAX_LINKS: usize = 10;

fn failed(verb: &str, path: &str, error: &io::Error) -> Error {
    Error::said(format!("{verb} {path}: {}", reason(error)))
}

/// Absolute, with the given end.
pub(super) fn absolute(path: &str) -> Result<String> {
    let here = std::env::current_dir().map_err(Error::io("find the current directory"))?;
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", here.display()) };
    Ok(paths::keep_end(paths::clean(&joined), path))
}

/// A handle on what is at a path of the user's own.
pub(super) fn handle(path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC | flags, Mode::empty())?)
}

/// Where a path leads, all links followed.
fn follow(path: &str) -> Result<String> {
    let handle = handle(path, OFlags::empty()).map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory => Error::said("not a directory"),
        _ => failed("lstat", path, &error),
    })?;
    let real =
        std::fs::read_link(sys::fd::proc_path(&handle)).map_err(|error| failed("lstat", path, &error))?;
    Ok(real.to_string_lossy().into_owned())
}

/// What is to be copied. Links in the way are followed; the last one if that is wished for.
pub(super) fn source(path: &str, follow_link: bool) -> Result<End> {
    let (path, renamed) = if follow_link {
        paths::followed(path, follow(path)?)
    } else {
        let at = path.rfind('/').map_or(0, |at| at + 1);
        let resolved = format!("{}/{}", follow(&path[..at])?.trim_end_matches('/'), &path[at..]);
        let name = paths::base(path);
        let renamed = path.ends_with('/') && name != paths::base(&resolved);
        (resolved, renamed.then(|| name.to_owned()))
    };
    let found = std::fs::symlink_metadata(&path).map_err(|error| failed("lstat", &path, &error))?;
    Ok(End { path, exists: true, is_dir: found.is_dir(), renamed })
}

/// Where something is to be copied to. A link is followed, also to what is not there yet.
pub(super) fn destination(given: &str) -> Result<End> {
    let mut path = given.to_owned();
    for _ in 0..=MAX_LINKS {
        let found = match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return missing(path),
            found => found.map_err(|error| failed("lstat", &path, &error))?,
        };
        if !found.is_symlink() {
            return Ok(End { path, exists: true, is_dir: found.is_dir(), renamed: None });
        }
        let target = std::fs::read_link(&path).map_err(|error| failed("readlink", &path, &error))?;
        let (parent, _) = paths::split(&path);
        path = paths::clean(&Path::new(&parent).join(target).to_string_lossy());
    }
    Err(Error::said(format!("too many symlinks in {given}")))
}

fn missing(path: String) -> Result<End> {
    let (parent, _) = paths::split(&path);
    let found = std::fs::metadata(&parent).map_err(|error| failed("stat", &parent, &error))?;
    if !found.is_dir() {
        return Err(Error::said("not a directory"));
    }
    Ok(End { path, ..End::default() })
}

/// Refuses a destination that can't be, before the daemon is asked for anything.
pub(super) fn check(path: &str) -> Result<()> {
    let parent = paths::dir(&paths::clean(path));
    let absent = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    if parent != "." && std::fs::metadata(&parent).is_err_and(absent) {
        return Err(Error::said(format!("invalid output path: directory {parent:?} does not exist")));
    }
    match std::fs::metadata(path) {
        Ok(found) if is_device(&found) => Err(Error::said(format!(
            "invalid output path: {path:?} must be a directory or a regular file: got a device"
        ))),
        _ => Ok(()),
    }
}

fn is_device(found: &Metadata) -> bool {
    found.file_type().is_block_device() || found.file_type().is_char_device()
}
