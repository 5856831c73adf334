//! What a build has come to, as long as somebody wants something of it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use ::build::solve::Tree;
use oci::{Descriptor, Digest};
use tarball::{Packer, Xattrs};

use super::super::failed;
use super::super::trees::Trees;
use crate::Reader;
use crate::error::{Error, Result};
use crate::image::written::written;

/// A finished build; its files stay as long as this.
pub struct RemoteBuilt {
    /// The image, if one was wanted.
    pub image: Option<Digest>,
    /// The manifest of the cache that was sent to a registry.
    pub cache: Option<Descriptor>,
    tree: Tree,
    trees: Arc<Trees>,
}

impl RemoteBuilt {
    pub(super) fn new(
        image: Option<Digest>,
        tree: Tree,
        trees: Arc<Trees>,
        cache: Option<Descriptor>,
    ) -> Self {
        Self { image, cache, tree, trees }
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
    /// The kernel's refusal; in the archive: a file can't be read.
    pub fn archive(&self) -> Result<Reader> {
        let failed = |error: tarball::Error| error.to_string();
        let root = sys::path::Root::in_root(self.files()?).open_dir("/");
        let root = root.map_err(|error| Error::because("open the result", error))?;
        Ok(written(move |output| {
            let mut packer = Packer::new(output, Xattrs::All);
            packer.contents(&root).map_err(failed)?;
            packer.finish().map(drop).map_err(failed)
        }))
    }
}
