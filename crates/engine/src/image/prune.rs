//! `prune`: removes images that nothing uses.

use std::collections::HashSet;

use oci::Digest;
use store::{Accounts, ImageSummary};

use super::{Removed, convert};
use crate::Engine;
use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::Result;
use crate::events::EventKind;
use crate::filters::Filters;

/// What a prune has removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrunedImages {
    /// Names and images, in order.
    pub removed: Vec<Removed>,
    /// Bytes that have come free on the disk.
    pub bytes: u64,
}

/// What a prune of images is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImagePrune {
    /// Remove them.
    Remove,
    /// Tell what it would remove if these containers were gone.
    Foretell {
        /// Ids.
        gone: HashSet<String>,
    },
}

impl Engine {
    /// Removes what interrupted pulls have left, and images without a name, or with the filter `dangling=false` all that no container uses, if they pass the
    /// other filters (`label label! until`); or tells what would be removed.
    ///
    /// # Errors
    /// A filter is unknown or wrong; another prune is under way; files can't be read.
    pub async fn image_prune(&self, filters: Filters, what: ImagePrune) -> Result<PrunedImages> {
        filters.only(&["dangling", "label", "label!", "until"])?;
        let dangling = filters.flag("dangling")?.unwrap_or(true);
        let until = filters.until()?.map(jiff::Timestamp::as_second);
        let _turn = self.0.pruning.images()?;
        let engine = self.clone();
        let (removes, gone) = match what {
            ImagePrune::Remove => (true, HashSet::new()),
            ImagePrune::Foretell { gone } => (false, gone),
        };
        let pruned = blocking(move || {
            let accounts = engine.0.store.accounts()?.without_containers(&gone);
            let is_used = |id: &Digest| is_used(&engine.0, id, &gone);
            let wanted = |image: &ImageSummary| {
                let labels = image.image.config().config.labels.clone().unwrap_or_default();
                let unnamed = image.tags.is_empty() && image.digests.is_empty();
                (!dangling || image.tags.is_empty())
                    && !(unnamed && accounts.is_parent(&image.id))
                    && until.is_none_or(|until| image.created <= until)
                    && filters.spares_not(&labels)
                    && !is_used(&image.id)
            };
            let chosen: Vec<_> = engine.0.store.images().into_iter().filter(wanted).collect();
            let mut pruned = match removes {
                true => engine.remove_images(&accounts, &chosen),
                false => foretell(&accounts, &chosen, &is_used),
            };
            // What interrupted pulls have left bears no label, and its age is the store's business.
            if ["label", "label!", "until"].iter().all(|name| !filters.contains(name)) {
                let store = &engine.0.store;
                pruned.bytes += if removes { store.drop_leftovers() } else { store.leftovers() }?.bytes;
            }
            Ok(pruned)
        })
        .await?;
        if removes {
            self.0.events.pruned(EventKind::Image, pruned.bytes);
        }
        Ok(pruned)
    }

    /// Removes images name by name; one that is used meanwhile stays.
    fn remove_images(&self, accounts: &Accounts, chosen: &[ImageSummary]) -> PrunedImages {
        let options = store::RemoveOptions { force: false, prune: true };
        let uses = |image: &Digest| super::verb::uses(&self.0, image);
        let mut removed = Vec::new();
        for image in chosen {
            let labels = self.image_labels(image.id.as_str());
            let names = image.tags.iter().chain(&image.digests).map(ToString::to_string);
            let mut names: Vec<String> = names.collect();
            if names.is_empty() {
                names.push(image.id.as_str().to_owned());
            }
            for name in names {
                match self.0.store.remove(&name, options, &uses) {
                    Ok(records) => {
                        let records: Vec<_> = records.into_iter().map(convert::removed).collect();
                        self.tell_removed(image.id.as_str(), &records, &labels);
                        removed.extend(records);
                    }
                    // the name before it was the last that the image had, or it stays
                    Err(error) => tracing::debug!(image = %name, %error, "not pruned"),
                }
            }
        }
        let gone = removed.iter().filter_map(|one| match one {
            Removed::Deleted(id) => super::parse_id(id),
            Removed::Untagged(_) => None,
        });
        let bytes = accounts.freed_by(&gone.collect());
        PrunedImages { removed, bytes }
    }
}

/// Containers use it that are not among `gone`.
fn is_used(engine: &Inner, image: &Digest, gone: &HashSet<String>) -> bool {
    super::verb::uses(engine, image).iter().any(|user| !gone.contains(&user.container))
}

/// What the removal of these images would do.
fn foretell(accounts: &Accounts, chosen: &[ImageSummary], is_used: &dyn Fn(&Digest) -> bool) -> PrunedImages {
    let named: HashSet<Digest> = chosen.iter().map(|image| image.id.clone()).collect();
    let gone = accounts.with_parents(&named, is_used);
    let mut removed = Vec::new();
    for image in chosen {
        let names = image.tags.iter().chain(&image.digests);
        removed.extend(names.map(|name| Removed::Untagged(name.familiar())));
        removed.push(Removed::Deleted(image.id.as_str().to_owned()));
    }
    removed.extend(gone.difference(&named).map(|id| Removed::Deleted(id.as_str().to_owned())));
    PrunedImages { removed, bytes: accounts.freed_by(&gone) }
}
