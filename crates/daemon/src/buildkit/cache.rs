//! `DiskUsage` and `Prune` of BuildKit's Control.

use std::sync::Arc;

use buildkit::Status;
use buildkit::proto::control::{DiskUsageRequest, DiskUsageResponse, PruneRequest, UsageRecord};
use engine::build::{CacheFilter, CacheRecord, CacheRule};
use futures_util::{Stream, stream};
use jiff::{SignedDuration, Timestamp};

use super::convert::timestamp;
use crate::app::App;

fn filter(filters: &[String]) -> Result<CacheFilter, Status> {
    CacheFilter::parse(filters.iter().map(String::as_str))
        .map_err(|error| Status::invalid_argument(error.to_string()))
}

fn failed(error: engine::Error) -> Status {
    Status::internal(error.to_string())
}

/// What the cache holds.
pub(super) async fn disk_usage(app: &App, request: &DiskUsageRequest) -> Result<DiskUsageResponse, Status> {
    let filter = filter(&request.filter)?;
    let since = match request.age_limit {
        0 => None,
        limit => Timestamp::now().checked_sub(SignedDuration::from_nanos(limit)).ok(),
    };
    let usage = app.engine.build_cache().await.map_err(failed)?;
    let wanted = |record: &&CacheRecord| {
        filter.matches(record) && since.is_none_or(|since| record.last_used() <= since)
    };
    Ok(DiskUsageResponse { record: usage.records.iter().filter(wanted).map(convert).collect() })
}

/// Removes from the cache; each record is told that went.
pub(super) async fn prune(
    app: Arc<App>,
    request: PruneRequest,
) -> Result<impl Stream<Item = Result<UsageRecord, Status>> + Send + use<>, Status> {
    let space = |name: &str, bytes: i64| {
        u64::try_from(bytes).map_err(|_negative| Status::invalid_argument(format!("{name} is negative")))
    };
    let rule = CacheRule {
        filter: filter(&request.filter)?,
        all: request.all,
        keep_duration: Some(SignedDuration::from_nanos(request.keep_duration))
            .filter(|duration| *duration > SignedDuration::ZERO),
        reserved_space: space("reservedSpace", request.reserved_space)?,
        max_used_space: space("maxUsedSpace", request.max_used_space)?,
        min_free_space: space("minFreeSpace", request.min_free_space)?,
    };
    let pruned = app.engine.build_prune(rule, false).await.map_err(failed)?;
    Ok(stream::iter(pruned.records.into_iter().map(|record| Ok(convert(&record)))))
}

fn convert(record: &CacheRecord) -> UsageRecord {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    UsageRecord {
        id: record.id.clone(),
        mutable: record.mutable,
        in_use: record.in_use,
        size: number(record.size),
        parents: record.parents.clone(),
        created_at: Some(timestamp(record.created)),
        last_used_at: record.used.map(timestamp),
        usage_count: number(record.uses),
        description: record.description.clone(),
        record_type: record.kind.name().to_owned(),
        shared: record.shared,
        ..UsageRecord::default()
    }
}
