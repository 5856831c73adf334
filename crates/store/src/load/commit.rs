//! The last step: configs, stacks, images and names become durable, in this order, and then visible together.

use std::path::PathBuf;
use std::sync::Arc;

use oci::{Image, Reference};

use crate::Result;
use crate::disk::{encode, write_durable};
use crate::image::Progress;
use crate::state::{ImageEntry, ImageRecord, State, chain_name};
use crate::store::{Inner, now};

/// An image whose layers are in place.
#[derive(Debug)]
pub(crate) struct NewImage {
    pub(crate) image: Arc<Image>,
    pub(crate) names: Vec<Reference>,
    /// Keys of its layers, lowest first.
    pub(crate) keys: Vec<String>,
}

/// All of the images, or none.
pub(crate) fn commit_images(
    inner: &Inner,
    images: &[NewImage],
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<()> {
    let mut state = inner.lock();
    let mut written = Vec::new();
    let done = images
        .iter()
        .try_for_each(|image| write(inner, &mut state, image, &mut written))
        .and_then(|()| name(inner, &mut state, images, progress));
    if done.is_err() {
        for path in written {
            // What can't be removed now has no name, and is removed as any image.
            if let Err(error) = inner.trash.discard(&path) {
                tracing::warn!(path = %path.display(), %error, "a half-made image stays");
            }
        }
        return done;
    }
    for NewImage { image, .. } in images {
        let record = ImageRecord { last_tagged: now() };
        state.images.entry(image.id().clone()).or_insert_with(|| ImageEntry { image: image.clone(), record });
    }
    Ok(())
}

fn write(inner: &Inner, state: &mut State, new: &NewImage, written: &mut Vec<PathBuf>) -> Result<()> {
    let layout = &inner.layout;
    let id = new.image.id();
    let chain = chain_name(new.image.diff_ids());
    if !state.chains.contains_key(&chain) {
        write_durable(layout, &layout.chain(&chain), &encode(&new.keys)?)?;
        state.chains.insert(chain, Arc::new(new.keys.clone()));
    }
    if state.images.contains_key(id) {
        return Ok(());
    }
    written.push(layout.image(id));
    written.push(layout.blob(id));
    write_durable(layout, &layout.blob(id), new.image.raw())?;
    state.write_image(layout, id, &ImageRecord { last_tagged: now() })
}

fn name(
    inner: &Inner,
    state: &mut State,
    images: &[NewImage],
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<()> {
    let mut refs = state.refs.clone();
    let mut moved = Vec::new();
    for new in images {
        for name in &new.names {
            let old = refs.insert(name.clone(), new.image.id().clone());
            moved.extend(old.filter(|old| old != new.image.id()).map(|old| (name.clone(), old)));
        }
    }
    if refs != state.refs {
        state.set_refs(&inner.layout, refs)?;
    }
    moved.into_iter().for_each(|(name, old)| progress(Progress::Renamed { name, old }));
    Ok(())
}
