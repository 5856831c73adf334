//! The command line: what was typed, to what it does, to an exit code.

mod args;
mod command;
mod console;
mod container;
mod foreground;
mod global;
mod lenient;
mod limits;
mod log;
mod sealed;
mod time;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, anyhow};

use self::args::Parsed;
use self::global::Global;

/// Runs the program; an error is written to the log (and to stderr) as runc writes it.
pub(crate) fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let mut log = log::Log::default();
    match run(words, &mut log) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            log.error(&failure.error);
            ExitCode::from(failure.code)
        }
    }
}

/// An error with the exit code that goes with it.
pub(crate) struct Failure {
    error: anyhow::Error,
    code: u8,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), code: 1 }
    }
}

fn run(words: impl Iterator<Item = OsString>, log: &mut log::Log) -> Result<u8, Failure> {
    let words: Vec<String> =
        words.map(|w| w.into_string().map_err(|w| anyhow!("{w:?}: not UTF-8"))).collect::<Result<_>>()?;
    let (global, rest) = args::parse_leading(global::FLAGS, &words)?;
    if global.has("help") || (rest.is_empty() && !global.has("version")) {
        return Ok(command::help());
    }
    if global.has("version") {
        return Ok(command::version());
    }
    let global = Global::new(&global, log)?;
    let (name, rest) = rest.split_first().ok_or_else(|| anyhow!("no command"))?;
    let command = command::find(name).ok_or_else(|| anyhow!("no help topic for '{name}'"))?;
    let parsed: Parsed = args::parse(command.flags, rest, command.interspersed)?;
    if parsed.has("help") {
        return Ok(command::help_of(command));
    }
    global.log.debug(&format!("{name} {}", rest.join(" ")));
    (command.run)(&global, &parsed)
}
