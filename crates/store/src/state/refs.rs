//! Names of images, on disk and in memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use oci::{Digest, Reference};

use super::State;
use crate::Result;
use crate::disk::{encode, sync_dir, write_durable, write_plain};
use crate::error::Context as _;
use crate::layout::Layout;

/// The names as they are on disk.
fn encode_refs(refs: &BTreeMap<Reference, Digest>) -> Result<Vec<u8>> {
    let text: BTreeMap<String, &Digest> = refs.iter().map(|(name, id)| (name.to_string(), id)).collect();
    encode(&text)
}

/// All names as they will be, in a file that is as durable as what was written with it.
pub(crate) struct StagedRefs {
    file: PathBuf,
    refs: BTreeMap<Reference, Digest>,
}

impl StagedRefs {
    /// Writes them; a `sync_file_system` makes the file durable.
    pub(crate) fn write(file: PathBuf, refs: BTreeMap<Reference, Digest>) -> Result<Self> {
        write_plain(&file, &encode_refs(&refs)?)?;
        Ok(Self { file, refs })
    }

    pub(crate) fn refs(&self) -> &BTreeMap<Reference, Digest> {
        &self.refs
    }
}

impl State {
    /// As [`Self::set_refs`], of names whose file is durable already: no disk is waited for but for the rename.
    pub(crate) fn place_refs(&mut self, layout: &Layout, staged: StagedRefs) -> Result<()> {
        let path = layout.refs();
        fs::rename(&staged.file, &path).at("rename to", &path)?;
        path.parent().map_or(Ok(()), sync_dir)?;
        self.refs = staged.refs;
        Ok(())
    }

    /// Replaces all names at once: on disk first, then here.
    pub(crate) fn set_refs(&mut self, layout: &Layout, refs: BTreeMap<Reference, Digest>) -> Result<()> {
        write_durable(layout, &layout.refs(), &encode_refs(&refs)?)?;
        self.refs = refs;
        Ok(())
    }

    /// Notes when a name was given to an image.
    pub(crate) fn touch_image(&mut self, layout: &Layout, id: &Digest, now: i64) -> Result<()> {
        let Some(entry) = self.images.get(id) else { return Ok(()) };
        let mut record = entry.record.clone();
        record.last_tagged = now;
        self.write_image(layout, id, &record)?;
        if let Some(entry) = self.images.get_mut(id) {
            entry.record = record;
        }
        Ok(())
    }
}
