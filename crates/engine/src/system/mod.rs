//! The engine about itself.

mod df;
mod model;
mod outward;
mod prune;
mod verb;

pub(crate) use df::taken;
pub use model::*;
pub(crate) use prune::Pruning;
pub(crate) use verb::memory;
