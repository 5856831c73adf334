//! The store's values as ours.

use jiff::Timestamp;
use oci::Digest;
use store::ImageSummary;

use super::{HistoryEntry, Image, Removed};
use crate::container::merge;
use crate::error::{Error, Kind};

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        let kind = match error.kind() {
            store::ErrorKind::NotFound => Kind::NotFound,
            store::ErrorKind::Conflict => Kind::Conflict,
            store::ErrorKind::Invalid => Kind::BadParameter,
            store::ErrorKind::NoSpace | store::ErrorKind::Internal => Kind::System,
        };
        Self::system(error.to_string()).of_kind(kind).with_source(error)
    }
}

/// A failed look-up, with the name as Docker completes it (`alpine` is `alpine:latest`).
pub(crate) fn named(name: &str, error: store::Error) -> Error {
    match &error {
        store::Error::NoSuchImage(_) => match oci::AnyReference::parse(name) {
            Ok(oci::AnyReference::Named(reference)) => {
                Error::no_such_image(&reference.with_default_tag().familiar())
            }
            Ok(oci::AnyReference::Id(_)) => Error::no_such_image(name),
            Err(malformed) => Error::bad_parameter(malformed.to_string()),
        },
        store::Error::Reference(reference) => Error::bad_parameter(reference.to_string()).with_source(error),
        _ => error.into(),
    }
}

/// An image's id, `sha256:…`.
pub(crate) fn parse_id(text: &str) -> Option<Digest> {
    text.parse().ok()
}

pub(super) fn image(summary: &ImageSummary, driver: &str) -> Image {
    let config = summary.image.config();
    let familiar = |refs: &[oci::Reference]| refs.iter().map(oci::Reference::familiar).collect();
    Image {
        id: summary.id.as_str().to_owned(),
        repo_tags: familiar(&summary.tags),
        repo_digests: familiar(&summary.digests),
        parent: config.parent.clone().unwrap_or_default(),
        comment: config.comment.clone().unwrap_or_default(),
        created: config.created.as_deref().and_then(|text| text.parse().ok()),
        author: config.author.clone().unwrap_or_default(),
        config: merge::from_image(&config.config),
        architecture: config.architecture.clone(),
        variant: config.variant.clone().unwrap_or_default(),
        os: config.os.clone(),
        os_version: config.os_version.clone().unwrap_or_default(),
        size: summary.size,
        layers: summary.image.diff_ids().iter().map(|id| id.as_str().to_owned()).collect(),
        storage_driver: driver.to_owned(),
        directories: Default::default(),
        last_tagged: Timestamp::from_nanosecond(summary.last_tagged.into())
            .ok()
            .filter(|_| summary.last_tagged > 0),
        containers: 0,
        shared: None,
    }
}

pub(super) fn history(item: store::HistoryItem) -> HistoryEntry {
    HistoryEntry {
        id: item.id.map_or_else(|| "<missing>".to_owned(), |id| id.as_str().to_owned()),
        created: Timestamp::from_second(item.created).ok().filter(|_| item.created > 0),
        created_by: item.created_by,
        tags: item.tags.iter().map(oci::Reference::familiar).collect(),
        size: item.size,
        comment: item.comment,
    }
}

pub(super) fn removed(removed: store::Removed) -> Removed {
    match removed {
        store::Removed::Untagged(name) => Removed::Untagged(name),
        store::Removed::Deleted(id) => Removed::Deleted(id.as_str().to_owned()),
    }
}
