//! What can be done with images.

use super::{HistoryEntry, Image, ImageListOptions, ImportOptions, Progress, Removed};
use crate::error::{Error, Result};
use crate::{Engine, Reader, Stream};

impl Engine {
    /// Lists images, newest first.
    ///
    /// # Errors
    /// A filter is unknown or wrong.
    pub async fn image_list(&self, _options: ImageListOptions) -> Result<Vec<Image>> {
        Ok(Vec::new())
    }

    /// An image by reference, id or unambiguous id prefix.
    ///
    /// # Errors
    /// No such image; the prefix fits several.
    pub async fn image_inspect(&self, name: &str) -> Result<Image> {
        Err(Error::no_such_image(name))
    }

    /// An image's steps, newest first.
    ///
    /// # Errors
    /// No such image.
    pub async fn image_history(&self, name: &str) -> Result<Vec<HistoryEntry>> {
        Err(Error::no_such_image(name))
    }

    /// Puts another tag on an image.
    ///
    /// # Errors
    /// No such image; the reference is malformed.
    pub async fn image_tag(&self, name: &str, _repository: &str, _tag: &str) -> Result<()> {
        Err(Error::no_such_image(name))
    }

    /// Removes a tag, and the image with its last one.
    ///
    /// # Errors
    /// No such image; a container uses it; several tags and `force` is off.
    pub async fn image_remove(&self, name: &str, _force: bool, _no_prune: bool) -> Result<Vec<Removed>> {
        Err(Error::no_such_image(name))
    }

    /// Loads an archive of images (`docker save` or OCI layout, compressed or not).
    ///
    /// # Errors
    /// In the stream: the archive is malformed, truncated, or lies about a digest.
    pub async fn image_load(&self, _archive: Reader, _quiet: bool) -> Result<Stream<Progress>> {
        Err(Error::unavailable("load"))
    }

    /// Makes an image of one layer out of a root file system's tar. The last message is the image's id.
    ///
    /// # Errors
    /// The archive is malformed; a change is not understood; the reference is malformed.
    pub async fn image_import(&self, _archive: Reader, _options: ImportOptions) -> Result<Stream<Progress>> {
        Err(Error::unavailable("import"))
    }

    /// An archive of these images (`docker save`).
    ///
    /// # Errors
    /// No such image.
    pub async fn image_save(&self, _names: Vec<String>) -> Result<Reader> {
        Err(Error::unavailable("save"))
    }
}
