//! `berth registry serve`: becomes the registry, which is `berthd`'s program by another name.

use std::os::unix::process::CommandExt as _;
use std::process;

use crate::client::autostart;
use crate::command::{Arity, Command, Context};
use crate::error::{Error, Result, reason};
use crate::flag::{Flag, Matches};

/// What that program is called as, so that it is a registry.
const PROGRAM: &str = "berth-registry";

pub(crate) static COMMAND: Command = Command::new(
    "serve",
    "--config FILE",
    "Serve a registry until SIGTERM; SIGHUP reads certificates and passwords anew",
    Arity::None,
    run,
)
.flags(&[&[Flag::string("config", "The registry's configuration, in TOML (see docs/registry.md)")]]);

fn run(_context: &Context<'_>, matches: &Matches) -> Result<()> {
    let Some(config) = matches.given("config").filter(|path| !path.is_empty()) else {
        return Err(Error::said("--config FILE is required: the registry's configuration, in TOML"));
    };
    let program = autostart::program();
    // only comes back when it failed
    let error = process::Command::new(&program).arg0(PROGRAM).arg("--config").arg(config).exec();
    Err(Error::said(format!("cannot start {}: {}", program.display(), reason(&error))))
}
