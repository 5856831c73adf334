//! The build cache's records and what is asked of them.

use api::system as wire;
use api::{Query, Version};
use engine::build::{CacheFilter, CacheRecord, CacheRule, CacheUsage};
use jiff::SignedDuration;

use crate::convert::{count, filters, size};
use crate::error::{ApiError, Result};

/// What `POST /build/prune` asks for.
pub(crate) fn cache_rule(query: &Query, given: &api::Filters) -> Result<CacheRule> {
    let bytes = |name: &str| match query.int(name).map_err(ApiError::bad_request)? {
        None => Ok(0),
        Some(bytes) => u64::try_from(bytes)
            .map_err(|_negative| ApiError::bad_request(format!("{name} must not be negative: {bytes}"))),
    };
    // by its name, or by the one that it had before
    let reserved = if query.text("reserved-space").is_some() { "reserved-space" } else { "keep-storage" };
    let (filter, keep_duration) =
        CacheFilter::of(&filters(given)).map_err(|error| error.context("failed to prune build cache"))?;
    Ok(CacheRule {
        filter,
        all: query.flag("all"),
        keep_duration: keep_duration.filter(|duration| *duration > SignedDuration::ZERO),
        reserved_space: bytes(reserved)?,
        max_used_space: bytes("max-used-space")?,
        min_free_space: bytes("min-free-space")?,
    })
}

/// The cache in `GET /system/df`.
pub(super) fn build_cache_usage(usage: &CacheUsage, version: Version) -> wire::Usage<wire::BuildCache> {
    wire::Usage {
        active_count: count(usage.records.iter().filter(|record| record.in_use).count()),
        total_count: count(usage.records.len()),
        reclaimable: size(usage.reclaimable()),
        total_size: size(usage.total),
        items: usage.records.iter().map(|record| item(record, version)).collect(),
    }
}

fn item(record: &CacheRecord, version: Version) -> wire::BuildCache {
    let one = version < Version::minor(42);
    wire::BuildCache {
        id: record.id.clone(),
        parent: record.parents.first().filter(|_| one).cloned().unwrap_or_default(),
        parents: if one { Vec::new() } else { record.parents.clone() },
        kind: record.kind.name().to_owned(),
        description: record.description.clone(),
        in_use: record.in_use,
        shared: record.shared,
        size: size(record.size),
        created_at: record.created.to_string(),
        last_used_at: record.used.map(|used| used.to_string()),
        usage_count: i64::try_from(record.uses).unwrap_or(i64::MAX),
    }
}
