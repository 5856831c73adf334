//! berthd: the Docker Engine API over HTTP, on top of the engine.
//!
//! `listen` gives connections, `serve` turns them into requests, `router` sends each to its
//! handler, and `convert` is the only place that knows both Docker's JSON and the engine's nouns.

mod app;
mod authz;
mod buildkit;
mod config;
mod convert;
mod descriptors;
mod error;
pub mod fuzzing;
mod handlers;
mod listen;
mod logging;
mod manifests;
mod metrics;
mod pidfile;
pub mod registry;
mod request;
mod response;
mod rest;
mod rootless;
mod router;
mod run;
mod serve;

pub use run::run;
