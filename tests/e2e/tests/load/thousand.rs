//! A thousand containers (here sixty), started by 32 clients at once without an error: what the engine takes for them,
//! and how long what is asked of it then takes.
//!
//! `BERTH_THOUSAND=CONTAINERS` chooses another number (`cargo xtask storm thousand` takes 1000).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;
use serde_json::{Value, json};

use crate::client::Client;
use crate::{asked, gauge};

/// Clients at the same time.
const CLIENTS: usize = 32;
/// Starts and stops that are timed at each number.
const SAMPLES: usize = 9;
/// Milliseconds that no growth is seen in: a machine that is at work beside this has such.
const NOISE: f64 = 15.0;

/// What is measured at one number of containers.
struct Row {
    containers: usize,
    /// Milliseconds.
    start: f64,
    stop: f64,
    ps: f64,
    stats: f64,
    /// KiB.
    daemon: u64,
    shims: u64,
    kernel: u64,
    /// Seconds that the starts since the row before took, and how many.
    took: (f64, usize),
}

fn wish() -> Value {
    json!({ "Image": IMAGE, "Cmd": ["sleep", "100000"], "HostConfig": { "NetworkMode": "bridge" } })
}

fn create(client: &Client, name: &str) -> Result<String> {
    let made = client.ask("POST", &format!("/containers/create?name={name}"), &wish())?;
    Ok(made["Id"].as_str().context("no id")?.to_owned())
}

/// Does `work` for each number from many threads; the first failure counts.
fn at_once(numbers: std::ops::Range<usize>, work: impl Fn(usize) -> Result<()> + Sync) -> Result<f64> {
    let (next, end) = (AtomicUsize::new(numbers.start), numbers.end);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let run = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return Ok(());
                }
                work(number).with_context(|| format!("number {number}"))?;
            }
        };
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(run)).collect();
        let done = threads
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        done.collect::<Result<Vec<()>>>()
    })?;
    Ok(start.elapsed().as_secs_f64())
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn measure(berth: &Berth, client: &Client, containers: usize, idle: u64, took: (f64, usize)) -> Result<Row> {
    let (mut starts, mut stops) = (Vec::new(), Vec::new());
    for sample in 0..SAMPLES {
        let id = create(client, &format!("sample-{containers}-{sample}"))?;
        let verb =
            |verb: &str| client.ask("POST", &format!("/containers/{id}/{verb}"), &Value::Null).map(drop);
        starts.push(timed(|| verb("start"))?);
        stops.push(timed(|| verb("stop?t=0"))?);
        client.ask("DELETE", &format!("/containers/{id}?force=1"), &Value::Null)?;
    }
    let repeat = |args: &[&str]| -> Result<f64> {
        let once = || {
            timed(|| {
                let mut command = berth.berth_command(args)?;
                let lines =
                    programs::run_with(&mut command, b"", std::time::Duration::from_secs(300))?.ok()?;
                ensure!(lines.lines().count() == containers + 1, "{args:?} does not show {containers}");
                Ok(())
            })
        };
        Ok(gauge::least((0..5).map(|_| once()).collect::<Result<_>>()?))
    };
    let shims = gauge::shims(berth.root())?;
    ensure!(shims.len() == containers, "{} shims for {containers} containers", shims.len());
    Ok(Row {
        containers,
        start: gauge::least(starts),
        stop: gauge::least(stops),
        ps: repeat(&["ps"])?,
        stats: repeat(&["stats", "--no-stream"])?,
        daemon: gauge::pss(berth.pid()?)?,
        shims: shims.into_iter().map(gauge::pss).sum::<Result<u64>>()?,
        kernel: gauge::kernel()?.saturating_sub(idle),
        took,
    })
}

#[expect(clippy::print_stdout, reason = "a test's figures")]
fn show(rows: &[Row]) {
    println!(
        "| containers | start ms | stop ms | ps ms | stats ms | berthd MiB | shims MiB | kernel MiB | 32 clients |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mib = |kib: u64| kib as f64 / 1024.0;
    for row in rows {
        println!(
            "| {} | {:.1} | {:.1} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} | {} in {:.1} s |",
            row.containers,
            row.start,
            row.stop,
            row.ps,
            row.stats,
            mib(row.daemon),
            mib(row.shims),
            mib(row.kernel),
            row.took.1,
            row.took.0,
        );
    }
}

/// Nothing grows faster than the number of containers, and a start not at all.
fn judge(rows: &[Row]) -> Result<()> {
    let [first, .., before, last] = rows else { return Ok(()) };
    ensure!(
        last.start <= 2.0 * first.start + NOISE,
        "a start takes {:.1} ms, and took {:.1}",
        last.start,
        first.start
    );
    ensure!(
        last.stop <= 2.0 * first.stop + NOISE,
        "a stop takes {:.1} ms, and took {:.1}",
        last.stop,
        first.stop
    );
    let more = last.containers as f64 / before.containers as f64;
    for (what, now, then) in [("ps", last.ps, before.ps), ("stats", last.stats, before.stats)] {
        ensure!(
            now <= 1.5 * more * then + NOISE,
            "{what} takes {now:.0} ms, and took {then:.0}: {more:.1} times the containers"
        );
    }
    let each = |row: &Row| row.took.0 / row.took.1.max(1) as f64;
    ensure!(
        each(last) <= 2.0 * each(before) + NOISE / 1e3,
        "starts grow: {:.4} s each, and {:.4}",
        each(last),
        each(before)
    );
    let memory = |row: &Row| row.daemon + row.shims;
    let grown =
        (memory(last) - memory(before).min(memory(last))) / (last.containers - before.containers) as u64;
    ensure!(grown <= 1500, "each container more takes {grown} KiB");
    Ok(())
}

#[test]
fn many_containers_at_once() -> Result<()> {
    let [wanted] = asked("BERTH_THOUSAND", [60])?;
    let wanted = usize::try_from(wanted)?;
    let berth = Berth::start()?;
    let client = Client::new(berth.root());
    // What is made once, for the first container.
    client.ask("DELETE", &format!("/containers/{}?force=1", create(&client, "first")?), &Value::Null)?;
    let idle = gauge::kernel()?;
    let mut steps = vec![1, wanted / 10, wanted];
    steps.retain(|step| *step > 0);
    steps.dedup();
    let mut rows: Vec<Row> = Vec::new();
    let mut running = 0;
    for step in steps {
        let took = at_once(running..step, |number| {
            let id = create(&client, &format!("box-{number}"))?;
            client.ask("POST", &format!("/containers/{id}/start"), &Value::Null).map(drop)
        })?;
        rows.push(measure(&berth, &client, step, idle, (took, step - running))?);
        running = step;
    }
    show(&rows);
    let took = at_once(0..running, |number| {
        client.ask("DELETE", &format!("/containers/box-{number}?force=1&v=1"), &Value::Null).map(drop)
    })?;
    println!(
        "{running} containers removed in {took:.1} s, berthd then {:.1} MiB",
        gauge::pss(berth.pid()?)? as f64 / 1024.0
    );
    judge(&rows)?;
    berth.finish()
}

/// What containers have cost the daemon comes back when they are gone.
#[test]
fn memory_comes_back() -> Result<()> {
    let [wanted] = asked("BERTH_THOUSAND", [120])?;
    let wanted = usize::try_from(wanted)?.min(500);
    let berth = Berth::start()?;
    let client = Client::new(berth.root());
    let round = || -> Result<u64> {
        at_once(0..wanted, |number| create(&client, &format!("box-{number}")).map(drop))?;
        let full = gauge::own(berth.pid()?)?;
        at_once(0..wanted, |number| {
            client.ask("DELETE", &format!("/containers/box-{number}"), &Value::Null).map(drop)
        })?;
        Ok(full)
    };
    // The first round brings what stays whatever comes: stacks of threads, buffers that are used again.
    round()?;
    let before = gauge::own(berth.pid()?)?;
    let full = round()?;
    round()?;
    let seen = || gauge::own(berth.pid()?);
    let back =
        programs::eventually("memory comes back", || Ok(Some(seen()?).filter(|now| *now <= before + 2048)));
    println!("berthd: {before} KiB, with {wanted} containers {full} KiB, after them {} KiB", seen()?);
    back?;
    berth.finish()
}
