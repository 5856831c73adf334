//! A container's changes as the layer of an image: what is new or different as it is, what is gone as a mark in
//! AUFS's form (image specification, "Whiteouts").

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;
use sys::idmap::Map;
use sys::mount::{Attr, Change as MountChange};
use sys::path::Root;
use tarball::{Packer, Xattrs};

use super::{Change, ChangeKind};
use crate::Result;
use crate::error::Context;

/// The prefix of names that hide something below.
const WHITEOUT: &[u8] = b".wh.";

/// Writes the changed paths of the directory `top`, which are in order. It may be in use: what is gone meanwhile
/// is left out. Reached through a mount on which no device can be opened, whatever is put there. With `owners`, those
/// on the disk are what they are inside of that mapping.
pub(crate) fn pack(top: &Path, owners: Option<&Map>, changes: &[Change], output: impl Write) -> Result<()> {
    let mount = sys::mount::clone_path(top, false).at("mount", top)?;
    pack_mount(mount, owners, changes, output)
}

/// The same of a mount that is for nothing else.
pub(super) fn pack_mount(
    mount: OwnedFd,
    owners: Option<&Map>,
    changes: &[Change],
    output: impl Write,
) -> Result<()> {
    let set = Attr(Attr::NODEV.0 | Attr::NOSUID.0 | Attr::NOEXEC.0);
    sys::mount::change(&mount, &MountChange { set, ..MountChange::default() })
        .context("make a mount harmless")?;
    let root = Root::strict(mount);
    let mut packer = Packer::new(output, Xattrs::All).inside(owners.cloned());
    // the directory of the last change: mostly that of the next
    let mut last: Option<(&Path, OwnedFd)> = None;
    for change in changes {
        let path = change.path.strip_prefix("/").unwrap_or(&change.path);
        let (Some(up), Some(name)) = (path.parent(), path.file_name()) else { continue };
        if last.as_ref().is_none_or(|(known, _)| *known != up) {
            last = match root.parent(path) {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::INVAL) => continue,
                found => Some((up, found.at("open", path)?.0)),
            };
        }
        let Some((_, parent)) = &last else { continue };
        let (path, name) = (path.as_os_str().as_bytes(), name.as_bytes());
        if change.kind == ChangeKind::Deleted {
            let up = &path[..path.len() - name.len()];
            packer.mark(&[up, WHITEOUT, name].concat())?;
        } else {
            packer.one(parent.as_fd(), name, path)?;
        }
    }
    packer.finish()?;
    Ok(())
}
