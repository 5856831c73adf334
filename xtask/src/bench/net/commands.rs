//! Starts on networks, and the commands that change them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Result;
use e2e::Berth;
use e2e::peers::Docker;

use super::super::IMAGE;
use super::super::measure::{RUNS, Row, in_turn, time};
use super::{Side, sides};

/// What Docker takes half a second for.
const FEW: usize = 5;
/// Starts, and who starts them.
const STARTS: usize = 50;
const CLIENTS: usize = 8;

/// With a published port; on three networks.
pub(crate) fn start(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let engines = sides(berth, docker);
    let run = ["run", "--rm", "-p", "127.0.0.1::80", IMAGE, "true"];
    let one = |side: &Side<'_>| time(side.command(&run)?);
    let (ours, theirs) = in_turn(|| one(&engines[0]), || one(&engines[1]), RUNS)?;
    let mut rows = vec![Row::new("run --rm -p 127.0.0.1::80 true", "ms", ours, "docker", theirs)];

    let names = ["bench-net-1", "bench-net-2", "bench-net-3"];
    for side in &engines {
        names.iter().try_for_each(|name| side.ok(&["network", "create", name]).map(drop))?;
    }
    let figures = in_turn(|| on_all(&engines[0], &names), || on_all(&engines[1], &names), FEW);
    for side in &engines {
        side.ok(&[&["network", "rm"], &names[..]].concat())?;
    }
    let (ours, theirs) = figures?;
    rows.push(Row::new("start of a container on 3 networks", "ms", ours, "docker", theirs));
    Ok(rows)
}

fn on_all(side: &Side<'_>, names: &[&str]) -> Result<f64> {
    side.ok(&["create", "--name", "bench", "--network", names[0], IMAGE, "sleep", "1000"])?;
    names[1..].iter().try_for_each(|name| side.ok(&["network", "connect", name, "bench"]).map(drop))?;
    let took = time(side.command(&["start", "bench"])?);
    side.remove(&["bench"])?;
    took
}

/// Fifty runs by eight clients.
pub(crate) fn many(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let [ours, theirs] = sides(berth, docker);
    let (ours, theirs) = (at_once(&ours)?, at_once(&theirs)?);
    Ok(vec![Row::new("50 runs by 8 clients, default bridge", "ms", ours, "docker", theirs)])
}

fn at_once(side: &Side<'_>) -> Result<f64> {
    let (next, start) = (AtomicUsize::new(0), Instant::now());
    let client = || -> Result<()> {
        while next.fetch_add(1, Ordering::Relaxed) < STARTS {
            time(side.command(&["run", "--rm", IMAGE, "true"])?)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().try_for_each(|client| client.join().unwrap_or_else(|_| Ok(())))
    })?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// A network made and removed; joined and left by a running container.
pub(crate) fn create(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let engines = sides(berth, docker);
    let pair = |side: &Side<'_>, one: &[&str], other: &[&str]| -> Result<f64> {
        Ok(time(side.command(one)?)? + time(side.command(other)?)?)
    };
    let made = |side| pair(side, &["network", "create", "bench-net"], &["network", "rm", "bench-net"]);
    let (ours, theirs) = in_turn(|| made(&engines[0]), || made(&engines[1]), FEW)?;
    let mut rows = vec![Row::new("network create + rm", "ms", ours, "docker", theirs)];
    for side in &engines {
        side.ok(&["network", "create", "bench-net"])?;
        side.container("bench", &[])?;
    }
    let [join, leave] = ["connect", "disconnect"].map(|verb| ["network", verb, "bench-net", "bench"]);
    let joined = |side| pair(side, &join, &leave);
    let figures = in_turn(|| joined(&engines[0]), || joined(&engines[1]), FEW);
    for side in &engines {
        side.remove(&["bench"])?;
        side.ok(&["network", "rm", "bench-net"])?;
    }
    let (ours, theirs) = figures?;
    rows.push(Row::new("network connect + disconnect, running", "ms", ours, "docker", theirs));
    Ok(rows)
}
