//! `docs/compat.md`, written from the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::script::{Action, Circumstance, Difference, Everywhere, Row};
use super::subject;

const HEAD: &str = "\
# Likeness with Docker

Written by `cargo xtask compat` from the table in `tests/e2e/tests/suite/table/rows`; do not edit.

The test suite drives every step of that table three times in the same run: with the real `docker` client on Debian's `dockerd` 20.10, with the same client on
`berthd`, and with `berth` on `berthd`, all at API version 1.41. Exit code, output, error sentence, status, content type, JSON keys, types and values must be the same,
with what varies from run to run masked (ids, times, addresses, process ids, paths below a daemon's folder).
A difference that is not listed here fails the suite, and so does a listed one that no longer occurs.
";

#[derive(Default)]
struct Entry {
    steps: usize,
    spellings: BTreeSet<String>,
    flags: BTreeSet<String>,
    differences: BTreeSet<String>,
}

/// The document's text.
pub(super) fn write(rows: &[Row], everywhere: &[Everywhere]) -> String {
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    for step in rows.iter().flat_map(|row| &row.steps) {
        let subject = subject::of(step);
        let Some(name) = subject.first() else { continue };
        let entry = entries.entry(name.clone()).or_default();
        entry.steps += 1;
        entry.spellings.extend(subject.iter().skip(1).cloned());
        if let Action::Command(words) = &step.action {
            entry.flags.extend(flags(words));
        }
        entry.differences.extend(step.differences.iter().map(sentence));
    }
    for general in everywhere {
        if let Some(entry) = entries.get_mut(&general.subject) {
            entry.differences.insert(sentence(&general.difference));
        }
    }
    let mut text = HEAD.to_owned();
    let all: Vec<_> = everywhere.iter().filter(|general| general.subject == "*").collect();
    if !all.is_empty() {
        text += "\n## Everywhere\n\n";
        for general in all {
            let _ = writeln!(text, "- {}", sentence(&general.difference));
        }
    }
    text += "\n## Commands\n\n| command | also driven as | flags driven | steps | beside Docker 20.10 |\n|---|---|---|---|---|\n";
    let mut names: Vec<String> = subject::commands().into_iter().map(|(_, name)| name).collect();
    names.sort();
    names.dedup();
    for name in names {
        let Some(entry) = entries.get(&name) else { continue };
        let others: Vec<_> = entry.spellings.iter().filter(|other| **other != name).cloned().collect();
        let flags: Vec<_> = entry.flags.iter().map(|flag| format!("`{flag}`")).collect();
        let _ = writeln!(
            text,
            "| `{name}` | {} | {} | {} | {} |",
            others.join(", "),
            flags.join(" "),
            entry.steps,
            entry.verdict()
        );
    }
    text += "\n## Endpoints\n\n| endpoint | steps | beside Docker 20.10 |\n|---|---|---|\n";
    for name in subject::endpoints() {
        let Some(entry) = entries.get(&name) else { continue };
        let _ = writeln!(text, "| `{name}` | {} | {} |", entry.steps, entry.verdict());
    }
    text += "\n## Not compared\n\n";
    for (name, why) in subject::OPEN {
        let _ = writeln!(text, "- `{name}`: {why}");
    }
    text
}

impl Entry {
    fn verdict(&self) -> String {
        if self.differences.is_empty() {
            return "same".to_owned();
        }
        self.differences.iter().cloned().collect::<Vec<_>>().join("; ")
    }
}

fn sentence(difference: &Difference) -> String {
    let client = difference.client.as_ref().map(|client| format!(" with `{client}`")).unwrap_or_default();
    let only = match difference.only {
        Some(Circumstance::Old) => " beside Debian's client",
        Some(Circumstance::New) => " beside today's client",
        Some(Circumstance::V1) => " on cgroup v1",
        Some(Circumstance::V2) => " on cgroup v2",
        // the reason says it
        Some(Circumstance::Withheld) | None => "",
    };
    format!("`{}`{client}{only}: {}", difference.part, difference.why.replace('|', "\\|"))
}

/// The flags of a command line, up to the image or program whose arguments follow.
fn flags(words: &[String]) -> Vec<String> {
    let own = words.iter().take_while(|word| *word != "%image%" && *word != "--");
    own.filter(|word| word.starts_with('-') && word.len() > 1)
        .map(|word| word.split('=').next().unwrap_or_default().to_owned())
        .collect()
}
