//! BuildKit's protocol on the daemon's side: clients' sessions, and the service `moby.buildkit.v1.Control`.

mod attributes;
mod builds;
mod cache;
mod cache_options;
mod compression;
mod control;
mod convert;
mod export;
mod history;
mod http;
mod lent;
pub(crate) mod sessions;
mod solve;
mod uploads;

pub(crate) use attributes::Attributes;
pub(crate) use builds::Builds;
pub(crate) use control::Control;
pub(crate) use convert::graph;
pub(crate) use history::History;
pub(crate) use http::{build as build_by_buildkit, cancel_build};
pub(crate) use sessions::Sessions;
pub(crate) use uploads::Uploads;
