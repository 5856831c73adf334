//! The table, on the terminal and in `docs/performance.md`.

use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result};

use super::measure::{RUNS, Row};
use super::rows::{self, Section};
use crate::run;

pub(super) fn table(rows: &[Row]) -> String {
    let mut text = String::from("| work | berth | peer | | times better |\n|---|---|---|---|---|\n");
    for row in rows {
        let Row { work, ours, peer, theirs, unit, rate } = row;
        let ratio = match row.ratio() {
            // Beside a bare path, hundredths count.
            Some(ratio) if *rate => format!("{ratio:.2}×"),
            Some(ratio) => format!("{ratio:.1}×"),
            None => "–".to_owned(),
        };
        let _ = writeln!(text, "| {work} | {ours:.2} {unit} | {peer} | {theirs:.2} {unit} | {ratio} |");
    }
    text
}

/// Replaces the sections that were measured as a whole; the others keep the figures of their own day.
pub(super) fn write(measured: &[(&str, Vec<Row>)]) -> Result<()> {
    let path = run::root().join("docs/performance.md");
    std::fs::create_dir_all(run::root().join("docs"))?;
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let taken = circumstances()?;
    let mut text = introduction();
    for Section { title, .. } in rows::ALL {
        match measured.iter().find(|(name, _)| name == title) {
            Some((_, rows)) => {
                let _ = write!(text, "\n{}{taken}\n\n{}", heading(title), table(rows));
            }
            None => text.extend(section(&before, title).map(|old| format!("\n{}\n", old.trim_end()))),
        }
    }
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn introduction() -> String {
    format!(
        "# Performance\n\nWritten by `cargo xtask bench`. Medians of {RUNS} runs of each side where nothing else is said, taken in turn in\n\
         one run; absolute times on a shared machine are noise, the ratio counts. `docker` is Debian's docker.io with its\n\
         own client; the other peers are Debian's, too. Times are of the whole command. The last column is peer / berth\n\
         for times and memory, and berth / peer for rates.\n"
    )
}

fn heading(title: &str) -> String {
    format!("## {title}\n\n")
}

/// A section of the file as it was, from its heading on.
fn section<'a>(text: &'a str, title: &str) -> Option<&'a str> {
    let start = text.find(&heading(title))?;
    let rest = text.get(start..)?;
    let end = rest.match_indices("\n## ").next().map_or(rest.len(), |(at, _)| at);
    rest.get(..end)
}

/// When, and on what.
fn circumstances() -> Result<String> {
    let date = run::output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    let kernel = run::output(Command::new("uname").arg("-r"))?;
    let docker = run::output(Command::new("/usr/bin/docker").arg("--version"))?;
    let cores = std::thread::available_parallelism()?;
    Ok(format!("{}: {cores} cores, Linux {}, {}.", date.trim(), kernel.trim(), docker.trim()))
}
