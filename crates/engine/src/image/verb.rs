//! What can be done with images.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::{ImageSummary, ImageUse};

use super::{HistoryEntry, Image, ImageListOptions, Removed, convert};
use crate::Engine;
use crate::container::task::blocking;
use crate::error::{Error, Result};
use crate::filters::Filters;

/// Filters that list knows.
const FILTERS: [&str; 6] = ["before", "dangling", "label", "reference", "since", "until"];

impl Engine {
    /// Lists images, newest first.
    ///
    /// # Errors
    /// A filter is unknown or wrong.
    pub async fn image_list(&self, options: ImageListOptions) -> Result<Vec<Image>> {
        let filters = &options.filters;
        filters.only(&FILTERS)?;
        let dangling = filters.flag("dangling")?;
        let older = self.moment(filters, "before")?;
        let newer = self.moment(filters, "since")?;
        let until = filters.moment("until")?.map(jiff::Timestamp::as_second);
        let containers = self.0.containers.all();
        let driver = self.0.store.driver().name();
        let wanted = |image: &ImageSummary| {
            let unnamed = image.tags.is_empty() && image.digests.is_empty();
            let labels = image.image.config().config.labels.clone().unwrap_or_default();
            dangling.is_none_or(|dangling| dangling == image.tags.is_empty())
                && (options.all || dangling.is_some() || !unnamed || image.image.config().parent.is_none())
                && older.is_none_or(|moment| image.created < moment)
                && newer.is_none_or(|moment| image.created > moment)
                && until.is_none_or(|moment| image.created < moment)
                && filters.labels("label", &labels)
                && filters.any("reference", |pattern| names(image).iter().any(|name| matches(pattern, name)))
        };
        let engine = Arc::clone(&self.0);
        let usage = match options.shared_size {
            true => Some(blocking(move || Ok(engine.store.disk_usage())).await?),
            false => None,
        };
        let images = self.0.store.images();
        let listed = images.iter().filter(|image| wanted(image)).map(|summary| {
            let mut image = convert::image(&matching(summary, filters), driver);
            image.containers =
                containers.iter().filter(|entry| entry.snapshot().image_id == image.id).count();
            let shared = |usage: &store::DiskUsage| usage.shared.get(&summary.id).copied().unwrap_or(0);
            image.shared = usage.as_ref().map(shared);
            image
        });
        Ok(listed.collect())
    }

    /// When the image of a `before` or `since` filter was made, seconds.
    fn moment(&self, filters: &Filters, name: &str) -> Result<Option<i64>> {
        let Some(value) = filters.get(name).next() else { return Ok(None) };
        Ok(Some(self.0.find_image(value)?.created))
    }

    /// An image by reference, id or unambiguous id prefix.
    ///
    /// # Errors
    /// No such image; the prefix fits several.
    pub async fn image_inspect(&self, name: &str) -> Result<Image> {
        let summary = self.0.find_image(name)?;
        let directories = self.0.store.layers(&summary.id)?.graph_driver.data;
        Ok(Image { directories, ..convert::image(&summary, self.0.store.driver().name()) })
    }

    /// An image's steps, newest first.
    ///
    /// # Errors
    /// No such image.
    pub async fn image_history(&self, name: &str) -> Result<Vec<HistoryEntry>> {
        let id = self.0.find_image(name)?.id;
        Ok(self.0.store.history(&id)?.into_iter().map(convert::history).collect())
    }

    /// Puts another tag on an image.
    ///
    /// # Errors
    /// No such image; the reference is malformed.
    pub async fn image_tag(&self, name: &str, repository: &str, tag: &str) -> Result<()> {
        let wrong = |error: oci::ReferenceError| Error::bad_parameter(error.to_string());
        let reference = oci::Reference::parse(repository).map_err(wrong)?;
        if reference.digest().is_some() {
            return Err(Error::bad_parameter("refusing to create a tag with a digest reference"));
        }
        let reference = if tag.is_empty() {
            reference.with_default_tag()
        } else {
            reference.with_tag(tag).map_err(wrong)?
        };
        let id = self.0.find_image(name)?.id;
        let (engine, target) = (Arc::clone(&self.0), reference.clone());
        let id = blocking(move || {
            engine.store.tag(&id, &target)?;
            Ok(id)
        })
        .await?;
        self.image_event("tag", id.as_str(), &reference.familiar());
        Ok(())
    }

    /// Removes a tag, and the image with its last one.
    ///
    /// # Errors
    /// No such image; a container uses it; several tags and `force` is off.
    pub async fn image_remove(&self, name: &str, force: bool, no_prune: bool) -> Result<Vec<Removed>> {
        let id = self.0.find_image(name)?.id;
        let labels = self.image_labels(id.as_str());
        let (engine, name) = (Arc::clone(&self.0), name.to_owned());
        let removed = blocking(move || {
            let uses = |image: &oci::Digest| uses(&engine, image);
            let options = store::RemoveOptions { force, prune: !no_prune };
            Ok(engine.store.remove(&name, options, &uses)?)
        })
        .await?;
        let removed: Vec<_> = removed.into_iter().map(convert::removed).collect();
        self.tell_removed(id.as_str(), &removed, &labels);
        Ok(removed)
    }

    /// Tells of a removal of an image that had these labels, or of its names, and forgets its signatures.
    pub(super) fn tell_removed(&self, id: &str, removed: &[Removed], labels: &BTreeMap<String, String>) {
        let gone = removed.iter().filter_map(|one| match one {
            Removed::Deleted(gone) => Some(gone.as_str()),
            Removed::Untagged(_) => None,
        });
        crate::trust::forget(&self.0, gone);
        for one in removed {
            match one {
                Removed::Untagged(_) => self.image_event_with("untag", id, id, labels.clone()),
                Removed::Deleted(gone) if gone == id => self.image_event("delete", gone, gone),
                Removed::Deleted(_) => {}
            }
        }
    }
}

/// Containers that stand on an image.
pub(super) fn uses(engine: &crate::engine::Inner, image: &oci::Digest) -> Vec<ImageUse> {
    let containers = engine.containers.all();
    let users = containers
        .iter()
        .map(|entry| entry.snapshot())
        .filter(|one| one.image_id == image.as_str() || crate::volume::is_image_of(one, image.as_str()));
    users.map(|one| ImageUse { container: one.id.clone(), running: one.state.is_running() }).collect()
}

/// An image with those of its names that the `reference` filter lets through.
fn matching(image: &ImageSummary, filters: &Filters) -> ImageSummary {
    let wanted = |reference: &oci::Reference| {
        let name = (reference.familiar(), reference.familiar_name());
        filters.any("reference", |pattern| matches(pattern, &name))
    };
    let mut image = image.clone();
    image.tags.retain(wanted);
    image.digests.retain(wanted);
    image
}

fn names(image: &ImageSummary) -> Vec<(String, String)> {
    let refs = image.tags.iter().chain(&image.digests);
    refs.map(|reference| (reference.familiar(), reference.familiar_name())).collect()
}

/// `alpine`, `alpine:3.*`, `*/alpine`: with or without the tag, `*` and `?` within one part.
fn matches(pattern: &str, (whole, name): &(String, String)) -> bool {
    glob(pattern.as_bytes(), whole.as_bytes()) || glob(pattern.as_bytes(), name.as_bytes())
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            let stop = text.iter().position(|letter| *letter == b'/').unwrap_or(text.len());
            (0..=stop).any(|skip| glob(rest, &text[skip..]))
        }
        (Some((b'?', rest)), Some((letter, more))) => *letter != b'/' && glob(rest, more),
        (Some((wanted, rest)), Some((letter, more))) => wanted == letter && glob(rest, more),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_match_by_pattern() {
        let name = ("alpine:3.20".to_owned(), "alpine".to_owned());
        assert!(matches("alpine", &name) && matches("alpine:3.*", &name) && matches("al?ine", &name));
        assert!(!matches("busybox", &name) && !matches("alpine:2*", &name));
        assert!(!glob(b"*", b"a/b") && glob(b"*/b", b"a/b"));
    }
}
