//! The system call filter: installed as late as possible, so that the steps before need no holes in it.

use crate::Filter;
use crate::error::{Context, Result};
use crate::link::{Link, Message};

/// Installs it, and sends its notification descriptor out if it has one.
pub(super) fn install(filter: Option<Filter<'_>>, link: &Link) -> Result<()> {
    let Some(filter) = filter else { return Ok(()) };
    match sys::seccomp::install(filter.program, filter.flags).step("seccomp", "")? {
        Some(listener) => link.send(&Message::Notify(listener)),
        None => Ok(()),
    }
}
