//! Logs: written fast, read from the end of a large file, followed through a flood.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::peers::Docker;
use e2e::{Berth, programs};

use super::IMAGE;
use super::measure::{RUNS, Row, in_turn, pss, time};

/// Bytes of output, in lines of 100.
const WRITTEN: u64 = 200_000_000;
/// How often that is written by each side.
const WRITES: usize = 3;
/// Bytes of output for a log of 1 GB, in lines of 1,000.
const LARGE: u64 = 930_000_000;
/// How long a flood is followed.
const FLOOD: Duration = Duration::from_secs(10);

/// How long one side may take to write a large log.
const PATIENCE: Duration = Duration::from_secs(600);

/// Rotation that both engines are told, so that they do the same.
const LIMITS: [&str; 4] = ["--log-opt", "max-size=50m", "--log-opt", "max-file=3"];

/// Runs a client's command line.
type Client<'a> = &'a dyn Fn(&[&str]) -> Result<Command>;

pub(super) fn rows(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let ours: Client<'_> = &|args| berth.berth_command(args);
    let theirs: Client<'_> = &|args| Ok(docker.command(args));
    let mut rows = Vec::new();
    let (a, b) =
        in_turn(|| write(ours, WRITTEN, 99, &LIMITS), || write(theirs, WRITTEN, 99, &LIMITS), WRITES)?;
    rows.push(Row::new("200 MB of 100-byte lines into json-file", "ms", a, "docker", b));
    write_large(ours, &["--log-opt", "max-size=-1"])?;
    write_large(theirs, &[])?;
    let tail = ["logs", "--tail", "10", "bench-large"];
    let (a, b) = in_turn(|| time(ours(&tail)?), || time(theirs(&tail)?), RUNS)?;
    rows.push(Row::new("logs --tail 10 of a 1 GB log", "ms", a, "docker", b));
    for client in [ours, theirs] {
        programs::run(&mut client(&["rm", "bench-large"])?)?.ok()?;
    }
    let (a, b) = (flood(ours, berth.pid()?)?, flood(theirs, docker.pid())?);
    rows.push(Row::new("logs -f through a 10 s flood: the daemon's growth, PSS", "MiB", a, "docker", b));
    Ok(rows)
}

/// Until the container has ended, and its log is written; milliseconds.
fn write(client: Client<'_>, bytes: u64, line: usize, options: &[&str]) -> Result<f64> {
    let start = Instant::now();
    run_to_end(client, "bench-write", bytes, line, options)?;
    let took = start.elapsed().as_secs_f64() * 1e3;
    programs::run(&mut client(&["rm", "bench-write"])?)?.ok()?;
    Ok(took)
}

fn write_large(client: Client<'_>, options: &[&str]) -> Result<()> {
    run_to_end(client, "bench-large", LARGE, 999, options)
}

fn run_to_end(client: Client<'_>, name: &str, bytes: u64, line: usize, options: &[&str]) -> Result<()> {
    let script = format!("yes {} | head -c {bytes}", "x".repeat(line));
    let start = ["run", "-d", "--network", "none", "--name", name].into_iter().chain(options.iter().copied());
    let start: Vec<&str> = start.chain([IMAGE, "sh", "-c", &script]).collect();
    programs::run(&mut client(&start)?)?.ok()?;
    programs::run_with(&mut client(&["wait", name])?, b"", PATIENCE)?.ok().map(drop)
}

/// The most that a daemon has grown by while its log was followed, in MiB.
fn flood(client: Client<'_>, pid: u32) -> Result<f64> {
    let line = "x".repeat(99);
    let start = ["run", "-d", "--network", "none", "--name", "bench-flood"].into_iter().chain(LIMITS);
    let start: Vec<&str> = start.chain([IMAGE, "yes", &line]).collect();
    let before = pss(pid)?;
    programs::run(&mut client(&start)?)?.ok()?;
    let mut follow = client(&["logs", "-f", "--tail", "0", "bench-flood"])?.stdout(Stdio::piped()).spawn()?;
    let mut output = follow.stdout.take().context("no output")?;
    let (mut buffer, mut most, begin) = (vec![0; 1 << 20], before, Instant::now());
    let mut looked = begin;
    while begin.elapsed() < FLOOD && output.read(&mut buffer)? > 0 {
        if looked.elapsed() > Duration::from_millis(100) {
            most = most.max(pss(pid)?);
            looked = Instant::now();
        }
    }
    programs::run(&mut client(&["rm", "-f", "bench-flood"])?)?.ok()?;
    std::io::copy(&mut output, &mut std::io::sink())?;
    programs::wait(&mut follow, PATIENCE)?.context("logs -f did not end")?;
    Ok(most - before)
}
