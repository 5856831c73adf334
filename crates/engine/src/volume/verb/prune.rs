//! `prune`

use std::collections::HashSet;
use std::sync::Arc;

use super::super::{ANONYMOUS, Volume, claims, event, store};
use crate::Engine;
use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::Result;
use crate::filters::Filters;

/// What a prune does.
#[derive(Debug)]
pub enum VolumePrune {
    /// It removes.
    Remove,
    /// It only tells what it would remove once these containers (by id) were gone.
    Foretell {
        /// Their ids.
        gone: HashSet<String>,
    },
}

impl Engine {
    /// Removes volumes that no container has: anonymous ones, and named ones with the filter `all`. What is protected
    /// stays, and so does what has driver options, whose files are elsewhere. Gives their names, and the bytes that are
    /// free now.
    ///
    /// # Errors
    /// An unknown filter; a volume can't be removed.
    pub async fn volume_prune(&self, filters: Filters, what: VolumePrune) -> Result<(Vec<String>, u64)> {
        filters.only(&["all", "label", "label!"])?;
        let all = filters.flag("all")?.unwrap_or(false);
        let engine = Arc::clone(&self.0);
        blocking(move || {
            let (mut names, mut bytes) = (Vec::new(), 0);
            for volume in store::list(&engine.layout) {
                let spared = filters.contains("label!") && filters.labels("label!", &volume.labels);
                let anonymous = volume.anonymous || volume.labels.contains_key(ANONYMOUS);
                let wanted = (all || anonymous) && filters.labels("label", &volume.labels) && !spared;
                if !wanted || !volume.options.is_empty() {
                    continue;
                }
                if let Some(size) = one(&engine, &volume, &what)? {
                    bytes += size;
                    names.push(volume.name);
                }
            }
            if matches!(what, VolumePrune::Remove) {
                event::pruned(&engine, bytes);
            }
            Ok((names, bytes))
        })
        .await
    }
}

/// Removes one; how many bytes that frees, or `None` when it stays.
fn one(engine: &Inner, volume: &Volume, what: &VolumePrune) -> Result<Option<u64>> {
    let size = super::super::size(&volume.mountpoint);
    let claims = claims::lock(engine);
    // it may have been protected, removed or claimed since it was listed
    let mut users = claims::users(engine, &claims, &volume.name);
    if let VolumePrune::Foretell { gone } = what {
        users.retain(|user| !gone.contains(user));
    }
    let now = store::read(&engine.layout, &volume.name);
    if !users.is_empty() || now.is_none_or(|now| now.protected) {
        return Ok(None);
    }
    if matches!(what, VolumePrune::Remove) {
        let gone = store::discard(&engine.layout, &volume.name)?;
        drop(claims);
        store::delete(&engine.layout, &gone)?;
    }
    Ok(Some(size))
}
