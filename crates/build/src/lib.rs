//! Builds: a Dockerfile or an LLB definition becomes one graph of vertices, which a solver runs.
//!
//! - [`graph`] is the work as values, in the shape of BuildKit's LLB: both front ends (a Dockerfile lowered here, a
//!   definition that a client sends) end there.
//! - [`progress`] is what is told of the work: values that map one to one on BuildKit's `StatusResponse` and on the JSON
//!   lines of the classic builder.
//!
//! Nothing here knows a store, a registry or a runtime: whoever has them implements the traits.

pub mod graph;
pub mod progress;
