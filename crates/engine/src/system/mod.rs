//! The engine about itself.

mod counts;
mod df;
mod model;
mod outward;
mod prune;
mod verb;

pub(crate) use counts::Counters;
pub use counts::Counts;
pub(crate) use df::taken;
pub use model::*;
pub(crate) use prune::Pruning;
pub(crate) use verb::memory;
