//! The table, on the terminal and in `docs/performance.md`.

use std::fmt::Write;
use std::process::Command;

use anyhow::{Context, Result};

use super::measure::{RUNS, Row};
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

pub(super) fn write(table: &str) -> Result<()> {
    let date = run::output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    let kernel = run::output(Command::new("uname").arg("-r"))?;
    let docker = run::output(Command::new("/usr/bin/docker").arg("--version"))?;
    let cores = std::thread::available_parallelism()?;
    let text = format!(
        "# Performance\n\nWritten by `cargo xtask bench` on {}: {cores} cores, Linux {}, {}. Medians of {RUNS} runs of each side,\n\
         taken in turn in one run; absolute times on a shared machine are noise, the ratio counts. `docker` is Debian's\n\
         docker.io with its own client, `crun` and `runc` are Debian's. Times are of the whole command. The last column\n\
         is peer / berth for times and memory, and berth / peer for rates.\n\n{table}",
        date.trim(),
        kernel.trim(),
        docker.trim(),
    );
    let path = run::root().join("docs/performance.md");
    std::fs::create_dir_all(run::root().join("docs"))?;
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
