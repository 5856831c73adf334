//! `berth build --check`

use super::context::Contexts;
use crate::command::Context;
use crate::error::{Error, Result};
use crate::flag::Matches;

/// Looks for what is wrong with the Dockerfile.
pub(super) fn run(_: &Context<'_>, _: &Matches, contexts: &Contexts) -> Result<()> {
    let path = contexts.dockerfile_path();
    let path = path.ok_or_else(|| Error::said("--check needs a Dockerfile on this machine"))?;
    Err(Error::said(format!("--check of {} is not supported yet by this version of Berth", path.display())))
}
