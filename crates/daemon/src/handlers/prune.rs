//! Prunes of containers, images and the build cache. With our own parameter `dry-run` they only tell what they would
//! remove, in the same form.

use std::collections::HashSet;

use engine::image::ImagePrune;

use crate::convert;
use crate::error::Result;
use crate::request::Asked;
use crate::response::{self, Response};

/// `POST /containers/prune`
pub(crate) async fn containers(asked: Asked) -> Result<Response> {
    let filters = convert::filters(&asked.filters()?);
    let pruned = asked.engine().container_prune(filters, asked.query.flag("dry-run")).await?;
    Ok(response::ok(&api::container::PruneResponse {
        containers_deleted: pruned.ids,
        space_reclaimed: pruned.bytes,
    }))
}

/// `POST /images/prune`
pub(crate) async fn images(asked: Asked) -> Result<Response> {
    let filters = convert::filters(&asked.filters()?);
    let what = if asked.query.flag("dry-run") {
        ImagePrune::Foretell { gone: pruned_before(&asked)? }
    } else {
        ImagePrune::Remove
    };
    let pruned = asked.engine().image_prune(filters, what).await?;
    Ok(response::ok(&api::image::PruneResponse {
        images_deleted: pruned.removed.into_iter().map(convert::removed).collect(),
        space_reclaimed: pruned.bytes,
    }))
}

/// The containers that a prune of containers would have removed before, with the filters in our own parameter
/// `after-containers`: what a dry run of several prunes needs.
pub(super) fn pruned_before(asked: &Asked) -> Result<HashSet<String>> {
    let Some(filters) = asked.query.text("after-containers") else { return Ok(HashSet::new()) };
    let filters = convert::filters(&api::Filters::parse(filters)?);
    Ok(asked.engine().container_prunable(&filters)?)
}

/// `POST /build/prune`
pub(crate) async fn build(asked: Asked) -> Result<Response> {
    let rule = convert::cache_rule(&asked.query, &asked.filters()?)?;
    let pruned = asked.engine().build_prune(rule, asked.query.flag("dry-run")).await?;
    Ok(response::ok(&api::image::BuildPruneResponse {
        caches_deleted: pruned.records.into_iter().map(|record| record.id).collect(),
        space_reclaimed: pruned.bytes,
    }))
}
