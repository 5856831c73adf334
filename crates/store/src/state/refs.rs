//! Names of images, on disk and in memory.

use std::collections::BTreeMap;

use oci::{Digest, Reference};

use super::State;
use crate::Result;
use crate::disk::{encode, write_durable};
use crate::layout::Layout;

/// The names as they are on disk.
fn encode_refs(refs: &BTreeMap<Reference, Digest>) -> Result<Vec<u8>> {
    let text: BTreeMap<String, &Digest> = refs.iter().map(|(name, id)| (name.to_string(), id)).collect();
    encode(&text)
}

impl State {
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
