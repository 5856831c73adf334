//! The commands, one file each.

mod create;
mod delete;
mod events;
mod exec;
mod features;
mod kill;
mod launch;
mod list;
mod pause;
mod ps;
mod spec;
mod start;
mod state;
mod stats;
mod update;

use std::io::Write;

use super::Failure;
use super::args::{Flag, Parsed};
use super::global::{self, Global};

/// What every command returns: the exit code.
type Outcome = Result<u8, Failure>;

/// One command.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    usage: &'static str,
    help: &'static str,
    pub(crate) flags: &'static [Flag],
    /// Whether flags may follow words.
    pub(crate) interspersed: bool,
    pub(crate) run: fn(&Global, &Parsed) -> Outcome,
}

const COMMANDS: &[Command] = &[
    create::CREATE,
    create::RUN,
    start::COMMAND,
    exec::COMMAND,
    kill::COMMAND,
    delete::COMMAND,
    state::COMMAND,
    list::COMMAND,
    ps::COMMAND,
    pause::PAUSE,
    pause::RESUME,
    update::COMMAND,
    events::COMMAND,
    spec::COMMAND,
    features::COMMAND,
];

pub(crate) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|c| c.name == name)
}

/// Writes to stdout; a reader that has gone away is no error of ours.
fn print(text: &str) -> u8 {
    let written = std::io::stdout().write_all(text.as_bytes());
    u8::from(written.is_err())
}

fn flags_text(flags: &[Flag]) -> String {
    let line = |f: &Flag| {
        let short = if f.short.is_empty() { String::new() } else { format!(", -{}", f.short) };
        let name = format!("--{}{short} {}", f.name, f.value);
        format!("   {name:<34} {}\n", f.help)
    };
    flags.iter().map(line).collect()
}

pub(crate) fn help() -> u8 {
    let commands: String = COMMANDS.iter().map(|c| format!("   {:<10} {}\n", c.name, c.help)).collect();
    let flags = flags_text(global::FLAGS);
    print(&format!(
        "NAME:\n   berth-oci - run containers as the OCI runtime specification says\n\n\
         USAGE:\n   berth-oci [global options] command [command options] [arguments...]\n\n\
         COMMANDS:\n{commands}\nGLOBAL OPTIONS:\n{flags}"
    ))
}

pub(crate) fn help_of(command: &Command) -> u8 {
    let (name, usage, help) = (command.name, command.usage, command.help);
    let flags = flags_text(command.flags);
    print(&format!(
        "NAME:\n   berth-oci {name} - {help}\n\nUSAGE:\n   berth-oci {name} [options] {usage}\n\nOPTIONS:\n{flags}"
    ))
}

pub(crate) fn version() -> u8 {
    let version = env!("CARGO_PKG_VERSION");
    print(&format!("berth-oci version {version}\nspec: {}\n", features::SPEC_VERSION))
}
