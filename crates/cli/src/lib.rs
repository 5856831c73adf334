//! berth: words into Engine API requests, answers into text.
//!
//! `command/<noun>/<verb>.rs` is one verb each; `opts` holds the long lists of flags; `flag` is the
//! parser, `client` the API's near end, `session` a terminal or pipe joined to a container,
//! `build` the near end of BuildKit's protocol, `login` who the user is at registries,
//! `contexts` the daemons that have names, `doctor` what this machine has of what containers need, `format` what turns answers into text. `out` is the only place that prints, and `error` the
//! only one that knows exit codes.

mod build;
mod client;
mod command;
mod contexts;
mod doctor;
mod error;
mod explorer;
mod flag;
mod format;
pub mod fuzzing;
mod login;
mod opts;
mod out;
mod session;

use std::path::Path;

/// Runs one command line and returns the exit code. The first word is the name of the program.
pub fn run(mut words: impl Iterator<Item = String>) -> u8 {
    let called = words.next().unwrap_or_default();
    let is_docker = Path::new(&called).file_name().is_some_and(|name| name == "docker");
    let program = if is_docker { "docker" } else { "berth" };
    let rest: Vec<String> = words.collect();
    command::dispatch(program, &rest, &out::Out::default())
}
