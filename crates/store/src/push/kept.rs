//! A blob that was kept as it came.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::Context;
use crate::layer::LayerBlob;
use crate::load::fill;
use crate::{Result, layout};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// A kept blob on its way out.
pub(super) struct Kept {
    file: File,
    pub(super) blob: LayerBlob,
}

impl Kept {
    /// The first of these blobs that is kept in a layer's directory.
    pub(super) fn find(dir: &Path, blobs: &[LayerBlob]) -> Result<Option<Self>> {
        for blob in blobs {
            let path = dir.join(layout::layer::COMPRESSED).join(blob.digest.hex());
            match File::open(&path) {
                Ok(file) => return Ok(Some(Self { file, blob: blob.clone() })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).at("open", &path),
            }
        }
        Ok(None)
    }

    /// The next bytes; none at the end.
    pub(super) fn next(&mut self) -> Result<Vec<u8>> {
        let mut chunk = vec![0; CHUNK];
        let filled = fill(&mut self.file.by_ref(), &mut chunk).context("read a kept blob")?;
        chunk.truncate(filled);
        Ok(chunk)
    }
}
