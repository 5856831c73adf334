//! Help texts in Docker's layout.

use super::{Command, Entry, GLOBAL, Group, tree};
use crate::error::{Error, Result};
use crate::flag::Flag;
use crate::flag::help::block;
use crate::out::{self, Out};

fn width() -> usize {
    out::columns().unwrap_or(80) - 1
}

fn rows<'a>(rows: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let rows: Vec<_> = rows.collect();
    let column = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).max(11);
    rows.iter().map(|(name, about)| format!("  {name:<column$} {about}\n")).collect()
}

/// `berth --help`.
pub(crate) fn root(program: &str) -> String {
    let mut text =
        format!("Usage:  {program} [OPTIONS] COMMAND\n\nRun containers, and make and move their images\n");
    for (title, entries) in tree::SECTIONS {
        text.push_str(&format!("\n{title}:\n"));
        text.push_str(&rows(entries.iter().map(|entry| match entry {
            Entry::Command(name, command) => (*name, command.about),
            Entry::Group(group) => (group.name, group.about),
            Entry::OutOfScope("trust") => ("trust", "Not part of Berth: sign with cosign"),
            Entry::OutOfScope(name) => (*name, "Not part of Berth: use Kubernetes"),
        })));
    }
    text.push_str("\nGlobal Options:\n");
    text.push_str(&block(GLOBAL, width()));
    text.push_str(&format!("\nRun '{program} COMMAND --help' for more information on a command.\n"));
    text
}

/// `berth container --help`.
pub(crate) fn group(program: &str, group: &Group) -> String {
    let path = format!("{program} {}", group.name);
    format!(
        "Usage:  {path} COMMAND\n\n{}\n\nCommands:\n{}\nRun '{path} COMMAND --help' for more information on a command.\n",
        group.about,
        rows(group.commands.iter().map(|command| (command.name, command.about)))
    )
}

/// `berth run --help`.
pub(crate) fn command(program: &str, path: &str, command: &Command) -> String {
    let mut text = format!("Usage:  {}\n\n{}\n", command.usage_line(path), command.about);
    if !command.paths.is_empty() {
        let paths: Vec<String> = command.paths.iter().map(|path| format!("{program} {path}")).collect();
        text.push_str(&format!("\nAliases:\n  {}\n", paths.join(", ")));
    }
    let mut flags = command.all_flags();
    if flags.iter().any(|flag| flag.short == Some('h')) {
        flags.push(Flag::bool("help", "Print this text"));
    }
    if !flags.is_empty() {
        text.push_str(&format!("\nOptions:\n{}", block(&flags, width())));
    }
    text
}

/// `berth help COMMAND`.
pub(crate) fn topic(program: &str, words: &[String], out: &Out) -> Result<()> {
    let Some(name) = words.first() else { return out.text(&root(program)) };
    let unknown = || Error::said(format!("unknown help topic: {}", words.join(" ")));
    match (tree::find(name), words.get(1)) {
        (Some(Entry::Command(_, found)), _) => {
            out.text(&command(program, &format!("{program} {name}"), found))
        }
        (Some(Entry::Group(found)), None) => out.text(&group(program, found)),
        (Some(Entry::Group(found)), Some(verb)) => {
            let leaf = found.find(verb).ok_or_else(unknown)?;
            out.text(&command(program, &format!("{program} {name} {verb}"), leaf))
        }
        _ => Err(unknown()),
    }
}
