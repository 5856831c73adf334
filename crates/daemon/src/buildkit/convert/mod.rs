//! Between BuildKit's messages and the values of `build`.

mod failure;
mod llb;
mod status;

pub(super) use failure::failure;
pub(super) use llb::context;
pub(crate) use llb::graph;
pub(super) use status::{Counts, Teller, timestamp};
