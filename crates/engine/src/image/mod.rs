//! Images as Docker sees them, over crate `store`.

mod archive;
mod attestations;
pub(crate) mod change;
mod convert;
mod distribution;
mod import;
mod manifests;
mod model;
mod prune;
mod pull;
mod push;
mod sbom;
mod search;
mod verb;
pub(crate) mod written;

pub use attestations::Statement;
pub(crate) use convert::{named, parse_id};
pub use distribution::Distribution;
pub(crate) use manifests::REFERENCE_DIGEST;
pub use manifests::{ManifestKind, ManifestSummary, Manifests};
pub use model::*;
pub use prune::{ImagePrune, PrunedImages};
pub use pull::PullOptions;
pub(crate) use push::Blobs;
pub use push::PushOptions;
pub use search::{SearchHit, SearchOptions};

/// Go's name of the host's architecture, as images and Docker's answers use it.
#[must_use]
pub fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
