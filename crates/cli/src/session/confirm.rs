//! "Are you sure?"

use std::io::BufRead;

use crate::command::Context;
use crate::error::{Error, Result};
use crate::flag::Matches;

/// Asks before something is removed, unless `--force` was given; anything but yes ends the command.
pub(crate) fn unless_forced(context: &Context<'_>, matches: &Matches, warning: &str) -> Result<()> {
    if matches.bool("force") {
        return Ok(());
    }
    context.out.text(&format!("{warning}\nAre you sure you want to continue? [y/N] "))?;
    context.out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(Error::io("read standard input"))?;
    if matches!(answer.trim(), "y" | "Y") { Ok(()) } else { Err(Error::Exit(0)) }
}
