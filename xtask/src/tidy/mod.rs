//! `cargo xtask tidy`: what `ARCHITECTURE.md` promises and a program can check.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run;

mod absences;
mod budgets;
mod exceptions;
mod layers;

/// One broken promise: where, and what.
pub(crate) struct Finding {
    place: String,
    what: String,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

/// A source file of the workspace: its path below the checkout and its text up to the inline tests.
pub(crate) struct Source {
    path: String,
    text: String,
}

impl Source {
    fn crate_name(&self) -> &str {
        self.path.strip_prefix("crates/").and_then(|rest| rest.split('/').next()).unwrap_or("")
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.split('/').any(|part| matches!(part, "tests" | "benches" | "testing"))
    }

    /// Lines with their number from 1, comments left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

pub(crate) fn main() -> Result<()> {
    run::step("tidy");
    let sources = sources()?;
    let mut findings = layers::check()?;
    findings.extend(budgets::check(&sources));
    findings.extend(absences::check(&sources));
    findings.extend(absences::check_tests(&everything()?));
    if findings.is_empty() {
        run::say(&format!("{} files keep the promises\n", sources.len()));
        return Ok(());
    }
    for finding in &findings {
        run::complain(&format!("{}: {}\n", finding.place, finding.what));
    }
    bail!("{} findings", findings.len())
}

/// Every Rust file of the product; tests (a `tests` folder, a `tests.rs`, the inline module) are left out.
fn sources() -> Result<Vec<Source>> {
    let root = run::root();
    let mut found = Vec::new();
    walk(&root, &root.join("crates"), &mut found)?;
    walk(&root, &root.join("xtask"), &mut found)?;
    found.retain(|source| !source.is_test());
    for source in &mut found {
        source.text = without_inline_tests(&source.text).to_owned();
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Every Rust file, tests and all, as it is.
fn everything() -> Result<Vec<Source>> {
    let root = run::root();
    let mut found = Vec::new();
    for dir in ["crates", "tests", "xtask"] {
        walk(&root, &root.join(dir), &mut found)?;
    }
    Ok(found)
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<Source>) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path: PathBuf = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" {
                walk(root, &path, found)?;
            }
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path)?;
            let below = path.strip_prefix(root).unwrap_or(&path);
            found.push(Source { path: below.display().to_string(), text });
        }
    }
    Ok(())
}

/// The text before a trailing `#[cfg(test)] mod …`.
fn without_inline_tests(text: &str) -> &str {
    match text.find("\n#[cfg(test)]\nmod ") {
        Some(end) => &text[..=end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::without_inline_tests;

    #[test]
    fn inline_tests_do_not_count() {
        assert_eq!(without_inline_tests("fn a() {}\n\n#[cfg(test)]\nmod tests {}\n"), "fn a() {}\n\n");
        assert_eq!(without_inline_tests("fn a() {}\n"), "fn a() {}\n");
    }
}
