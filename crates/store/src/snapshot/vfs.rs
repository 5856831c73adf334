//! Plain copies: works everywhere, shares nothing (but blocks, where the file system can clone files).

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::OpenTreeFlags;

use super::Change;
use super::copy::Overlay;
use super::tree::{self, open_path};
use crate::{Error, Result};

/// Fills the empty directory `root` with what the layers (topmost first) show together.
pub(super) fn fill(root: &Path, lowers: &[PathBuf]) -> Result<()> {
    let root = open_path(root)?;
    for lower in lowers.iter().rev() {
        Overlay::new(&root).directory(&open_path(lower)?, &root, b"")?;
    }
    Ok(())
}

/// A detached mount of the directory.
pub(super) fn mount(root: &Path) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    rustix::mount::open_tree(CWD, root, flags).map_err(|error| Error::Driver {
        driver: "vfs",
        reason: format!("mount {}: {error}", root.display()),
    })
}

pub(super) fn changes(root: &Path, lowers: &[PathBuf], scaffold: &[&str]) -> Result<Vec<Change>> {
    Ok(tree::compare(root, lowers, true, scaffold)?.into_iter().map(|difference| difference.change).collect())
}

pub(super) fn changed_size(root: &Path, lowers: &[PathBuf]) -> Result<u64> {
    Ok(tree::size_of(&tree::compare(root, lowers, true, &[])?))
}
