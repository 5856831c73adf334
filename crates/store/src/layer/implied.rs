//! Directories that a tar omits: they must look like the ones below, or an overlay would change them.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};

use super::meta::Meta;
use super::tree::is_whiteout;
use crate::error::Context;
use crate::snapshot::xattrs_of;
use crate::{Result, layout};
use tarball::{Time, is_reserved, show};

/// What a directory gets when nothing below has it.
const FRESH: Meta = Meta { mode: 0o755, uid: 0, gid: 0, mtime: Time { seconds: 0, nanos: 0 } };

/// Gives the implied directories of the layer in `dir` the attributes of the topmost one below.
/// `lowers` are the `diff` directories below, topmost first.
pub(crate) fn settle(dir: &Path, implied: &[Vec<u8>], lowers: &[PathBuf]) -> Result<()> {
    if implied.is_empty() {
        return Ok(());
    }
    let open = |path: &Path| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, path, flags, Mode::empty()).at("open", path)
    };
    let diff = open(&dir.join(layout::layer::DIFF))?;
    let lowers: Vec<OwnedFd> = lowers.iter().map(|lower| open(lower)).collect::<Result<_>>()?;
    for path in implied {
        let target = open_directory(&diff, path)?;
        match lowers.iter().find_map(|lower| look(lower, path)) {
            Some(Found::Directory(fd)) => {
                let stat = rustix::fs::fstat(&fd).context(&format!("stat {:?}", show(path)))?;
                let mut xattrs = xattrs_of(&fd)?;
                xattrs.retain(|(key, _)| !is_reserved(key));
                meta(&stat).apply(&target, &xattrs, path)?;
            }
            Some(Found::Other) | None => FRESH.apply(&target, &[], path)?,
        }
    }
    Ok(())
}

enum Found {
    Directory(OwnedFd),
    Other,
}

fn open_directory(root: &OwnedFd, path: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve).context(&format!("open {:?}", show(path)))
}

/// What one layer has at a path: nothing, a directory, or something that hides what lies below.
fn look(lower: &OwnedFd, path: &[u8]) -> Option<Found> {
    if let Ok(fd) = open_directory(lower, path) {
        return Some(Found::Directory(fd));
    }
    let mut end = 0;
    loop {
        end = path[end..].iter().skip(1).position(|&b| b == b'/').map_or(path.len(), |at| end + 1 + at);
        let stat = rustix::fs::openat2(
            lower,
            &path[..end],
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        )
        .and_then(rustix::fs::fstat)
        .ok()?;
        if is_whiteout(&stat) || FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Some(Found::Other);
        }
        if end == path.len() {
            return None;
        }
    }
}

pub(crate) fn meta(stat: &Stat) -> Meta {
    Meta {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Time { seconds: stat.st_mtime, nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0) },
    }
}
