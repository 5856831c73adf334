//! Builds: a Dockerfile or an LLB definition becomes one graph of vertices, which a solver runs.
//!
//! - [`graph`] is the work as values, in the shape of BuildKit's LLB: both front ends (a Dockerfile lowered here, a
//!   definition that a client sends) end there.
//! - [`progress`] is what is told of the work: values that map one to one on BuildKit's `StatusResponse` and on the JSON
//!   lines of the classic builder.
//! - [`attest`] says of a result what is known of its making.
//! - [`solve`] runs a graph: only what is needed, side by side, with a content-addressed [`cache`].
//!
//! Nothing here knows a store, a registry or a runtime: whoever has them implements the traits.

pub mod attest;
pub mod cache;
mod cancel;
mod error;
pub mod files;
pub mod graph;
pub mod lower;
pub mod progress;
pub mod solve;

pub use cancel::{Cancel, CancelOnDrop, OnCancel};
pub use error::{Error, Result};
