//! Listing and describing images.

use std::collections::{BTreeMap, HashMap};

use oci::Digest;

use super::{DiskUsage, HistoryItem, ImageLayers, ImageSummary};
use crate::snapshot::image_graph_driver;
use crate::state::{ImageEntry, State};
use crate::{Error, Result, Store};

/// Seconds since 1970 of an RFC 3339 time; 0 when there is none.
fn seconds(time: Option<&str>) -> i64 {
    time.and_then(|time| time.parse::<jiff::Timestamp>().ok()).map_or(0, jiff::Timestamp::as_second)
}

fn summary(state: &State, entry: &ImageEntry) -> ImageSummary {
    let id = entry.image.id();
    let (tags, digests) = state.names_of(id).into_iter().partition(|name| name.digest().is_none());
    ImageSummary {
        id: id.clone(),
        created: seconds(entry.image.config().created.as_deref()),
        size: state.size_of(&entry.image),
        tags,
        digests,
        last_tagged: entry.record.last_tagged,
        image: entry.image.clone(),
    }
}

pub(super) fn entry<'a>(state: &'a State, id: &Digest) -> Result<&'a ImageEntry> {
    state.images.get(id).ok_or_else(|| Error::NoSuchImage(id.to_string()))
}

impl Store {
    /// All images, newest first.
    pub fn images(&self) -> Vec<ImageSummary> {
        let state = self.inner().lock();
        let mut images: Vec<ImageSummary> =
            state.images.values().map(|entry| summary(&state, entry)).collect();
        images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        images
    }

    /// One image.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn image(&self, id: &Digest) -> Result<ImageSummary> {
        let state = self.inner().lock();
        Ok(summary(&state, entry(&state, id)?))
    }

    /// An image's history, newest first.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn history(&self, id: &Digest) -> Result<Vec<HistoryItem>> {
        let state = self.inner().lock();
        let image = &entry(&state, id)?.image;
        let mut sizes = state.sizes_of(image).into_iter();
        let step = |step: &oci::History| HistoryItem {
            id: None,
            created: seconds(step.created.as_deref()),
            created_by: step.created_by.clone().unwrap_or_default(),
            comment: step.comment.clone().unwrap_or_default(),
            tags: Vec::new(),
            size: if step.empty_layer { 0 } else { sizes.next().unwrap_or(0) },
        };
        let mut items: Vec<HistoryItem> = image.config().history.iter().map(step).collect();
        items.reverse();
        if let Some(newest) = items.first_mut() {
            newest.id = Some(id.clone());
            newest.tags = state.names_of(id).into_iter().filter(|name| name.tag().is_some()).collect();
        }
        Ok(items)
    }

    /// An image's layers, for `inspect`.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`].
    pub fn layers(&self, id: &Digest) -> Result<ImageLayers> {
        let state = self.inner().lock();
        let image = &entry(&state, id)?.image;
        let keys = state.chain_of(image).unwrap_or_default();
        Ok(ImageLayers {
            diff_ids: image.diff_ids().to_vec(),
            graph_driver: image_graph_driver(self.inner(), &keys),
        })
    }

    /// Bytes held, from records alone.
    pub fn disk_usage(&self) -> DiskUsage {
        let state = self.inner().lock();
        let mut users: HashMap<String, usize> = HashMap::new();
        for entry in state.images.values() {
            for key in state.chain_of(&entry.image).unwrap_or_default().iter() {
                *users.entry(key.clone()).or_default() += 1;
            }
        }
        let sum = |entry: &ImageEntry, shared: bool| -> u64 {
            let keys = state.chain_of(&entry.image).unwrap_or_default();
            let mine = |key: &&String| (users.get(*key).copied().unwrap_or(0) > 1) == shared;
            keys.iter().filter(mine).filter_map(|key| Some(state.layers.get(key)?.record.size)).sum()
        };
        let by_image = |shared: bool| -> BTreeMap<Digest, u64> {
            state.images.iter().map(|(id, entry)| (id.clone(), sum(entry, shared))).collect()
        };
        DiskUsage {
            layers: state.layers.values().map(|layer| layer.record.size).sum(),
            unique: by_image(false),
            shared: by_image(true),
        }
    }
}
