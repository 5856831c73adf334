//! Between Docker's JSON and the engine's nouns: pure, one file a theme.

use std::collections::BTreeMap;

mod config;
mod create;
mod event;
mod files;
mod host_config;
mod image;
mod inspect;
mod legacy;
mod mount;
mod network;
mod registry;
mod resources;
mod stats;
mod status;
mod summary;
mod system;
mod time;
mod usage;
mod volume;

pub(crate) use config::from_wire as config;
pub(crate) use create::{console_size, create, told, update};
pub(crate) use event::{event, reloaded};
pub(crate) use files::{change, path_stat};
pub(crate) use image::{history, load_progress, progress, removed};
pub(crate) use image::{image_inspect, image_listed, image_manifests, image_statement, image_verdict};
pub(crate) use inspect::{inspect, waited};
pub(crate) use legacy::understood;
pub(crate) use network::{
    check_network_filters, endpoint_from_wire, network, network_passes, network_request,
};
pub(crate) use registry::{credentials, distribution, found};
pub(crate) use stats::stats;
pub(crate) use summary::summary;
pub(crate) use system::{info, version};
pub(crate) use time::{moment, nanos};
pub(crate) use usage::{DfWanted, cache_rule, disk_usage};
pub(crate) use volume::volume;

/// Filters as the engine takes them.
pub(crate) fn filters(filters: &api::Filters) -> engine::filters::Filters {
    let mut out = engine::filters::Filters::default();
    for (name, values) in filters.iter() {
        for value in values {
            out.add(name, value);
        }
    }
    out
}

/// A storage driver, and where it keeps something.
fn graph_driver(name: &str, directories: BTreeMap<String, String>) -> api::image::DriverData {
    api::image::DriverData { name: name.to_owned(), data: Some(directories).filter(|all| !all.is_empty()) }
}

/// A count on the wire.
pub(crate) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Bytes on the wire.
fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The sum of some sizes.
fn total(sizes: impl Iterator<Item = u64>) -> i64 {
    size(sizes.fold(0, u64::saturating_add))
}
