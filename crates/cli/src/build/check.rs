//! `berth build --check`: what is found in the Dockerfile as it is here; nothing is built and no daemon is asked.

use dockerfile::lint::{self, Known};
use dockerfile::{Dockerfile, ignore};

use super::context::Contexts;
use crate::command::Context;
use crate::error::{Error, Result, reason};
use crate::flag::Matches;

/// Prints what is found; that anything was is an error.
pub(super) fn run(context: &Context<'_>, matches: &Matches, contexts: &Contexts) -> Result<()> {
    let path = contexts.dockerfile_path();
    let path = path.ok_or_else(|| Error::said("--check needs a Dockerfile on this machine"))?;
    let read = |path: &std::path::Path| {
        std::fs::read(path)
            .map_err(|error| Error::said(format!("open {}: {}", path.display(), reason(&error))))
    };
    let bytes = read(&path)?;
    let file = Dockerfile::parse(&bytes).map_err(|error| Error::said(error.report()))?;
    let own = path.with_file_name(ignore::own_file(&path.file_name().unwrap_or_default().to_string_lossy()));
    let left_out = match contexts.dirs.get("context") {
        _ if own.exists() => Some(own),
        Some(dir) => Some(dir.join(".dockerignore")).filter(|path| path.exists()),
        None => None,
    };
    let patterns = match left_out {
        Some(path) => {
            let patterns = ignore::Patterns::parse(&read(&path)?);
            Some(patterns.map_err(|error| Error::said(format!("{}: {error}", path.display())))?)
        }
        None => None,
    };
    let arguments: Vec<(String, String)> = matches
        .all("build-arg")
        .into_iter()
        .filter_map(|arg| arg.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let known = Known { arguments: &arguments, ignored: patterns.as_ref(), ..Known::default() };
    let warnings = lint::check(&file, &known);
    if warnings.is_empty() {
        return context.out.line("Check complete, no warnings found.");
    }
    let plural = if warnings.len() == 1 { "warning has" } else { "warnings have" };
    context.out.line(&format!("Check complete, {} {plural} been found!", warnings.len()))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for warning in &warnings {
        context.out.line(&format!("\nWARNING: {}\n{}", warning.rule.name(), warning.message))?;
        context.out.line(&format!("{name}:{}\n--------------------", warning.line))?;
        for number in warning.line.saturating_sub(2).max(1)..=(warning.last_line + 2).min(lines.len()) {
            let mark = if (warning.line..=warning.last_line).contains(&number) { ">>>" } else { "   " };
            let line = lines.get(number - 1).copied().unwrap_or_default();
            context.out.line(&format!("{number:>4} | {mark} {line}"))?;
        }
        context.out.line("--------------------")?;
    }
    Err(Error::Exit(1))
}
