//! Images as Docker sees them, over crate `store`.

mod archive;
pub(crate) mod change;
mod convert;
mod model;
mod prune;
mod verb;

pub(crate) use convert::{named, parse_id};
pub use model::*;
pub use prune::{ImagePrune, PrunedImages};

/// Go's name of the host's architecture, as images and Docker's answers use it.
#[must_use]
pub fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
