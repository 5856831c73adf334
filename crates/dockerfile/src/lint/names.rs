//! How keywords and stage names are written.

use super::{Rule, Warnings};
use crate::Location;
use crate::ast::Dockerfile;

/// Names that a stage must not have: they mean something else.
const RESERVED: [&str; 2] = ["context", "scratch"];

pub(super) fn check(file: &Dockerfile, warnings: &mut Warnings) {
    keywords(file, warnings);
    let mut seen: Vec<&str> = Vec::new();
    for stage in &file.stages {
        let (Some(name), Some((as_keyword, written))) = (&stage.name, &stage.written_name) else {
            continue;
        };
        if *written.text != **name {
            let message = format!("Stage name '{}' should be lowercase", written.text);
            warnings.add(Rule::StageNameCasing, &stage.at, message);
        }
        let from = &stage.at.keyword;
        if is_upper(from) != is_upper(as_keyword) || is_lower(from) != is_lower(as_keyword) {
            let message = format!("'{as_keyword}' and '{from}' keywords' casing do not match");
            warnings.add(Rule::FromAsCasing, &stage.at, message);
        }
        if RESERVED.contains(&name.as_str()) {
            let message = format!("Stage name should not use the same name as reserved stage {name:?}");
            warnings.add(Rule::ReservedStageName, &stage.at, message);
        }
        if seen.contains(&name.as_str()) {
            let message = format!("Duplicate stage name {name:?}, stage names should be unique");
            warnings.add(Rule::DuplicateStageName, &stage.at, message);
        }
        seen.push(name);
    }
    for line in &file.empty_continuations {
        let at = Location { first_line: *line, last_line: *line, ..Location::default() };
        warnings.add(Rule::NoEmptyContinuation, &at, "Empty continuation line");
    }
}

/// Keywords are in capitals or not, all of them as most of them are.
fn keywords(file: &Dockerfile, warnings: &mut Warnings) {
    let all: Vec<&Location> = file
        .args
        .iter()
        .map(|argument| &argument.at)
        .chain(file.stages.iter().flat_map(|stage| {
            [&stage.at].into_iter().chain(stage.instructions.iter().map(|instruction| &instruction.at))
        }))
        .collect();
    let lower = all.iter().filter(|at| is_lower(&at.keyword)).count();
    let upper = all.iter().filter(|at| is_upper(&at.keyword)).count();
    let (majority, fits): (_, fn(&str) -> bool) =
        if lower > upper { ("lowercase", is_lower) } else { ("uppercase", is_upper) };
    for at in all.into_iter().filter(|at| !fits(&at.keyword)) {
        let message =
            format!("Command '{}' should match the case of the command majority ({majority})", at.keyword);
        warnings.add(Rule::ConsistentInstructionCasing, at, message);
    }
}

fn is_upper(text: &str) -> bool {
    text == text.to_uppercase()
}

fn is_lower(text: &str) -> bool {
    text == text.to_lowercase()
}
