//! What a build has come to, as long as somebody wants something of it.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ::build::solve::Tree;
use oci::Digest;
use tarball::{Packer, Xattrs};
use tokio_util::io::SyncIoBridge;

use super::super::failed;
use super::super::trees::Trees;
use crate::Reader;
use crate::error::Result;

/// Bytes of an archive that wait for its reader.
const PIPE: usize = 256 << 10;

/// A finished build; its files stay as long as this.
pub struct RemoteBuilt {
    /// The image, if one was wanted.
    pub image: Option<Digest>,
    tree: Tree,
    trees: Arc<Trees>,
}

impl RemoteBuilt {
    pub(super) fn new(image: Option<Digest>, tree: Tree, trees: Arc<Trees>) -> Self {
        Self { image, tree, trees }
    }

    /// The files, as a directory that nothing can be written to.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn files(&self) -> Result<OwnedFd> {
        self.trees.mount(&self.tree).map_err(failed)
    }

    /// The files as a tar archive.
    ///
    /// # Errors
    /// The kernel's refusal; in the archive: whatever else.
    pub fn archive(&self) -> Result<Reader> {
        let root = self.files()?;
        let (near, far) = tokio::io::duplex(PIPE);
        tokio::task::spawn_blocking(move || {
            let packed = || {
                let mut packer = Packer::new(SyncIoBridge::new(far), Xattrs::All);
                packer.contents(&root)?;
                Ok::<_, tarball::Error>(packer.finish()?.flush())
            };
            // whoever reads finds an archive without its end
            if let Err(error) = packed() {
                tracing::warn!(%error, "an archive of a build's files broke off");
            }
        });
        Ok(Box::new(near))
    }
}
