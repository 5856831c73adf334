//! Commands that Berth does not have, and what it says instead.

use super::Context;
use crate::error::{Error, Result};
use crate::flag::Matches;

/// Swarm's nouns, and Notary's.
pub(crate) fn out_of_scope(name: &str) -> Error {
    if name == "trust" {
        return Error::said(
            "trust: Docker's content trust (Notary v1) has ended and does not exist in Berth: sign with cosign, let the \
             signature policy ask for it, and see who has signed with `berth image verify IMAGE`",
        );
    }
    Error::said(format!(
        "{name}: Swarm is out of scope for Berth; use Kubernetes to run services on several machines"
    ))
}

/// For commands that are planned.
pub(crate) fn sentence(path: &str) -> Error {
    let command = path.split_once(' ').map_or("", |(_, command)| command);
    Error::said(format!("{command}: not supported yet by this version of Berth"))
}

/// The same, as what a command does.
pub(crate) fn not_yet(context: &Context<'_>, _: &Matches) -> Result<()> {
    Err(sentence(&context.path))
}
