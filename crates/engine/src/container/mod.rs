//! Containers: what they are (`model`), what can be done (`verb`), and how a description becomes a process (`spec`).

mod model;
pub mod verb;

pub use model::*;
pub use verb::*;
