//! `cargo xtask bench`: our figures beside the installed peers', taken in turn in one run.
//!
//! Absolute times on a shared machine are noise; the ratio of medians of interleaved runs is what counts.
//! Everything runs in a network and mount namespace of its own, so that the peer's bridge and firewall rules
//! die with it, and without the hybrid cgroup2 mount, which crun refuses.

use std::process::Command;

use anyhow::{Context, Result};
use e2e::image::Image;
use e2e::{Berth, programs};

use crate::{host, run};

mod build;
mod files;
mod images;
mod logs;
mod many;
mod measure;
mod net;
mod oci;

mod report;
mod rows;

use e2e::peers::Docker;
use measure::Row;
use rows::Section;

/// Set in the environment of the copy of this program that runs in the private namespaces.
const INSIDE: &str = "BERTH_BENCH_INSIDE";
/// Asks for little: to see that it works, not to measure.
const SMALL: &str = "--small";
/// The image under test, in both engines.
const IMAGE: &str = "bench/busybox:latest";

pub(crate) fn main(only: &[String]) -> Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return inside(only);
    }
    host::install(host::BUILD)?;
    host::install(host::DEMO)?;
    host::install(host::PEERS)?;
    if wanted(only, "images") {
        images::prepare(is_small(only))?;
    }
    run::step("cargo build --release");
    run::run(&mut run::cargo(["build", "--release", "--workspace", "--bins"]))?;
    let script = "ip link set lo up; umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$0\" bench \"$@\"";
    let me = std::env::current_exe()?;
    run::run(
        Command::new("unshare")
            .args(["--net", "--mount", "sh", "-c", script])
            .arg(me)
            .args(only)
            .env(INSIDE, "1"),
    )
}

/// Whether less material than in the report is asked for.
fn is_small(only: &[String]) -> bool {
    only.iter().any(|word| word == SMALL)
}

fn small() -> bool {
    std::env::args().any(|arg| arg == SMALL)
}

/// Whether a row was asked for: all are when none is named.
fn wanted(only: &[String], name: &str) -> bool {
    let mut named = only.iter().filter(|word| *word != SMALL).peekable();
    named.peek().is_none() || named.any(|word| name.contains(word.as_str()))
}

fn inside(only: &[String]) -> Result<()> {
    programs::take_from(run::programs("release")?);
    run::step("engines: berthd and Debian's dockerd, each in a root of its own");
    let archive = tempfile::NamedTempFile::new()?;
    Image::busybox()?.save(archive.path(), IMAGE)?;
    let berth = Berth::bare(&[])?;
    let archive = archive.path().to_str().context("the temporary folder's name is not UTF-8")?;
    berth.berth(["load", "-i", archive])?.ok()?;
    let docker = Docker::start(&[])?;
    docker.run(&["load", "-i", archive])?.ok()?;

    let mut done: Vec<(&str, Vec<Row>)> = Vec::new();
    for Section { title, rows } in rows::ALL {
        let chosen: Vec<_> = rows.iter().filter(|(name, _)| wanted(only, name)).collect();
        let mut measured: Vec<Row> = Vec::new();
        for (name, measure) in &chosen {
            run::say(&format!("… {name}\n"));
            measured.extend(measure(&berth, &docker).with_context(|| format!("row {name:?}"))?);
        }
        run::say(&format!("\n{}", report::table(&measured)));
        if chosen.len() == rows.len() && !is_small(only) {
            done.push((title, measured));
        }
    }
    docker.stop()?;
    berth.finish()?;
    report::write(&done)
}
