//! The facade.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use oci::{Digest, Reference};

use crate::image::{
    DiskUsage, HistoryItem, ImageLayers, ImageSummary, ImageUse, ImportOptions, Loaded, Progress,
    RemoveOptions, Removed,
};
use crate::layout::Layout;
use crate::snapshot::{Driver, DriverChoice};
use crate::{Error, Result};

/// Images and the root file systems of containers. Cheap to clone; every method blocks.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    layout: Layout,
}

impl Store {
    /// Opens (or makes) the store in `dir`, alone: a second process is refused. Removes what an interrupted
    /// operation left.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Version`], [`Error::Driver`] when `driver` doesn't work here.
    pub fn open(dir: &Path, driver: DriverChoice) -> Result<Self> {
        let _ = driver;
        Ok(Self { inner: Arc::new(Inner { layout: Layout::new(dir) }) })
    }

    /// The driver in use.
    pub fn driver(&self) -> Driver {
        Driver::Overlay
    }

    /// Reads an archive of images: `docker save`'s old and new layout or an OCI layout, compressed or not.
    /// All of its images, or none: when it returns, they are on disk for good.
    ///
    /// # Errors
    /// What is wrong with the archive; [`Error::NoSpace`]. Nothing stays behind.
    pub fn load(
        &self,
        input: &mut (dyn Read + Send),
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Vec<Loaded>> {
        let _ = (input, progress);
        Err(Error::Archive("not yet".into()))
    }

    /// Writes the images of these names or ids as an archive in `docker save`'s layout.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`] before anything is written; a failure of `output`.
    pub fn save(&self, names: &[String], output: &mut (dyn Write + Send)) -> Result<()> {
        let _ = (names, output);
        Err(Error::Archive("not yet".into()))
    }

    /// Makes an image of one layer out of a root file system's tar, compressed or not.
    ///
    /// # Errors
    /// What is wrong with the tar; [`Error::NoSpace`]. Nothing stays behind.
    pub fn import(&self, input: &mut (dyn Read + Send), options: ImportOptions) -> Result<Digest> {
        let _ = (input, options);
        Err(Error::Archive("not yet".into()))
    }

    /// All images, newest first.
    pub fn images(&self) -> Vec<ImageSummary> {
        Vec::new()
    }

    /// One image.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn image(&self, id: &Digest) -> Result<ImageSummary> {
        Err(Error::NoSuchImage(id.to_string()))
    }

    /// The image that a user means: a reference (`:latest` when it has no tag), an id, or the beginning of one.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::Ambiguous`], [`Error::Reference`].
    pub fn resolve(&self, name: &str) -> Result<Digest> {
        Err(Error::NoSuchImage(name.into()))
    }

    /// Gives an image a name (`:latest` when it has no tag). Returns the image that had it before.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn tag(&self, id: &Digest, name: &Reference) -> Result<Option<Digest>> {
        let _ = name;
        Err(Error::NoSuchImage(id.to_string()))
    }

    /// Takes a name away and leaves the image. Returns the image.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn untag(&self, name: &Reference) -> Result<Digest> {
        Err(Error::NoSuchImage(name.familiar()))
    }

    /// Removes a name, or the image with its last name, by Docker's rules. `uses` says which containers use an
    /// image; layers that containers still stand on stay until the last of them is gone.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::Conflict`] in Docker's words.
    pub fn remove(
        &self,
        name: &str,
        options: RemoveOptions,
        uses: &dyn Fn(&Digest) -> Vec<ImageUse>,
    ) -> Result<Vec<Removed>> {
        let _ = (options, uses);
        Err(Error::NoSuchImage(name.into()))
    }

    /// An image's history, newest first.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn history(&self, id: &Digest) -> Result<Vec<HistoryItem>> {
        Err(Error::NoSuchImage(id.to_string()))
    }

    /// An image's layers, for `inspect`.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn layers(&self, id: &Digest) -> Result<ImageLayers> {
        Err(Error::NoSuchImage(id.to_string()))
    }

    /// Bytes held, from records alone.
    pub fn disk_usage(&self) -> DiskUsage {
        let _ = self.inner.layout.dir();
        DiskUsage::default()
    }
}
