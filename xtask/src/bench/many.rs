//! What is seen of many containers: statistics, lists, and the daemon's memory.

use std::process::Command;

use anyhow::Result;
use e2e::Berth;
use e2e::peers::Docker;
use e2e::programs;

use super::IMAGE;
use super::measure::{Row, in_turn, processes, pss, time};

/// Containers that run for the statistics.
const RUNNING: usize = 100;
/// Containers that are listed. They were only created: five hundred starts take Docker minutes.
const LISTED: usize = 500;
/// Docker's answer to `stats` takes seconds.
const RUNS: usize = 5;

/// `stats --no-stream` and `ps` of a hundred running containers.
pub(super) fn stats(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let verb = ["run", "-d", "--network", "none"];
    with(RUNNING, &verb, &["sleep", "1000"], berth, docker, || {
        let work = |what: &str| format!("{what}, {RUNNING} running");
        let mut rows = vec![row(&work("stats --no-stream"), berth, docker, &["stats", "--no-stream"])?];
        rows.push(row(&work("ps"), berth, docker, &["ps"])?);
        Ok(rows)
    })
}

/// `ps --all` of five hundred containers, and what they cost the idle daemon.
pub(super) fn listed(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    with(LISTED, &["create"], &["true"], berth, docker, || {
        let work = |what: &str| format!("{what}, {LISTED} created");
        let mut rows = vec![row(&work("ps --all"), berth, docker, &["ps", "--all"])?];
        let engine = processes("containerd", &docker.root().display().to_string());
        let theirs = engine.iter().try_fold(pss(docker.pid())?, |sum, pid| anyhow::Ok(sum + pss(*pid)?))?;
        rows.push(Row::new(&work("daemon, PSS"), "MiB", pss(berth.pid()?)?, "docker", theirs));
        Ok(rows)
    })
}

fn row(work: &str, berth: &Berth, docker: &Docker, args: &[&str]) -> Result<Row> {
    let (ours, theirs) = in_turn(|| time(berth.berth_command(args)?), || time(docker.command(args)), RUNS)?;
    Ok(Row::new(work, "ms", ours, "docker", theirs))
}

/// So many containers on both engines while `work` runs.
fn with(
    count: usize,
    verb: &[&str],
    program: &[&str],
    berth: &Berth,
    docker: &Docker,
    work: impl FnOnce() -> Result<Vec<Row>>,
) -> Result<Vec<Row>> {
    let names: Vec<String> = (0..count).map(|n| format!("bench-many-{n}")).collect();
    for name in &names {
        let args = [verb, &["--name", name, IMAGE], program].concat();
        berth.berth(&args)?.ok()?;
        docker.run(&args)?.ok()?;
    }
    let rows = work();
    for part in names.chunks(50) {
        let remove: Vec<&str> = ["rm", "-f"].into_iter().chain(part.iter().map(String::as_str)).collect();
        berth.berth(&remove)?.ok()?;
        whatever_it_takes(docker.command(&remove))?;
    }
    rows
}

/// Runs a command to its end: Docker removes fifty running containers in longer than a test waits.
fn whatever_it_takes(mut command: Command) -> Result<()> {
    programs::run_with(&mut command, b"", std::time::Duration::from_secs(600))?.ok().map(drop)
}
