//! The Docker Engine API: the types and routes that client and server share.
//!
//! `routes` is the closed table of what can be asked, `version` who may ask it how, and the noun
//! modules are the JSON bodies as `engine-api-v1.55.yaml` documents them. Reading is lenient as
//! Docker's is: unknown fields are ignored, `null` and absence both mean the default.

#[macro_use]
mod wire;

pub mod auth;
pub mod container;
pub mod error;
pub mod events;
pub mod exec;
pub mod filters;
pub mod image;
pub mod network;
pub mod place;
pub mod progress;
pub mod query;
pub mod routes;
pub mod stdcopy;
pub mod system;
pub mod units;
pub mod version;
pub mod volume;

pub use error::ErrorResponse;
pub use filters::Filters;
pub use query::Query;
pub use routes::{Action, Method};
pub use version::Version;
pub use wire::{Empty, StringSet, Words};
