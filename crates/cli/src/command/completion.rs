//! `berth completion`: scripts made from the same tree that commands are found by.

use clap_complete::Shell;

use super::{Arity, Command, Context, Entry, GLOBAL, tree};
use crate::error::{Error, Result};
use crate::flag::{Flag, Matches};

pub(crate) static COMMAND: Command = Command::new(
    "completion",
    "bash|fish|powershell|zsh",
    "Write the script that completes commands in a shell",
    Arity::Exactly(1),
    run,
)
.flags(&[&[Flag::bool("no-descriptions", "Without descriptions").hidden()]]);

fn run(context: &Context<'_>, matches: &Matches) -> Result<()> {
    let shell: Shell = matches.arg(0).parse().map_err(|_error| {
        Error::said(format!("unknown shell {}: bash, fish, powershell or zsh", matches.arg(0)))
    })?;
    let mut script = Vec::new();
    clap_complete::generate(
        shell,
        &mut root(context.program, !matches.bool("no-descriptions")),
        context.program,
        &mut script,
    );
    context.out.bytes(&script)
}

/// The tree; `told` gives each command and flag its description.
fn root(program: &str, told: bool) -> clap::Command {
    let about = |text: &'static str| if told { text } else { "" };
    let mut root = with_flags(clap::Command::new(program.to_owned()), GLOBAL, told);
    for entry in tree::SECTIONS.iter().flat_map(|(_, entries)| entries.iter()) {
        root = match entry {
            Entry::Command(name, command) => root.subcommand(leaf(name, command, told)),
            Entry::Group(group) => root.subcommand(
                clap::Command::new(group.name)
                    .about(about(group.about))
                    .subcommands(group.commands.iter().map(|command| leaf(command.name, command, told))),
            ),
            Entry::OutOfScope(_) => root,
        };
    }
    root
}

fn leaf(name: &'static str, command: &'static Command, told: bool) -> clap::Command {
    let spec = clap::Command::new(name).about(if told { command.about } else { "" }).disable_help_flag(true);
    with_flags(spec, &command.all_flags(), told)
}

fn with_flags(command: clap::Command, flags: &[Flag], told: bool) -> clap::Command {
    flags.iter().filter(|flag| !flag.hidden).fold(
        command.disable_help_flag(true).disable_version_flag(true),
        |command, flag| {
            let action = if flag.is_switch() { clap::ArgAction::SetTrue } else { clap::ArgAction::Append };
            let help = flag.usage.lines().next().filter(|_| told).unwrap_or("");
            let mut arg = clap::Arg::new(flag.name).long(flag.name).help(help).action(action);
            if let Some(letter) = flag.short {
                arg = arg.short(letter);
            }
            command.arg(arg)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_makes_a_script() {
        let mut script = Vec::new();
        clap_complete::generate(Shell::Bash, &mut root("berth", true), "berth", &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("--publish") && script.contains("berth,container)"));
        let mut bare = Vec::new();
        clap_complete::generate(Shell::Fish, &mut root("berth", false), "berth", &mut bare);
        let bare = String::from_utf8(bare).unwrap();
        assert!(bare.contains("publish") && !bare.contains("Publish ports on the host"));
    }
}
