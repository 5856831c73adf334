//! What can be done with volumes.

mod create;
mod list;
mod protect;
mod prune;
mod remove;

pub use create::VolumeRequest;
pub(super) use create::{check_driver, check_name};
pub use prune::VolumePrune;

use crate::error::Error;

/// Docker's answer for a volume that does not exist.
fn no_such(name: &str) -> Error {
    Error::not_found(format!("get {name}: no such volume"))
}

/// The answer for a volume that is not to be removed.
fn is_protected(name: &str) -> Error {
    Error::conflict(format!(
        "remove {name}: volume is protected: \"berth volume unprotect {name}\" takes that back"
    ))
}
