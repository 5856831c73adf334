//! A saved image, layer by layer: what each adds, changes and removes, and which of its bytes nobody will see
//! again. Reads the stream of `docker save` (Docker's layout and OCI's, layers plain or compressed) once and keeps
//! of it only what headers say. No I/O of its own, no terminal.
//!
//! [`read`] takes the stream apart, [`Image::choose`] stacks the layers of one image into a [`Tree`], a [`View`]
//! looks at the tree from one layer, [`report`] is all of it as JSON, and [`rules`] judge it.

mod archive;
mod error;
mod image;
mod limits;
mod listing;
pub mod report;
pub mod rules;
mod tree;

pub use archive::{Archive, read};
pub use error::{Error, Result};
pub use image::{Choice, Image, Layer, Wasted};
pub use limits::Limits;
pub use tree::view::{Row, Scope, Sort, View};
pub use tree::{Change, Changes, Event, Kind, Meta, NodeId, Tree};

#[cfg(test)]
mod tests;
