//! The engine about itself.

mod model;
mod verb;

pub use model::*;
pub(crate) use verb::memory;
