//! Names at the embedded resolver.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::lab::Namespace;
use e2e::lab::dns::{Told, question};
use e2e::peers::Docker;

use super::super::measure::{Row, in_turn, median};
use super::sides;

/// Questions of one run, one after another.
const QUESTIONS: u16 = 500;
/// Who ask at the same time, and for how long.
const ASKERS: usize = 8;
const LONG: Duration = Duration::from_secs(1);
const ROUNDS: usize = 5;
/// `A`.
const ADDRESS: u16 = 1;

/// A container asks for its neighbour.
pub(crate) fn lookups(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let engines = sides(berth, docker);
    let mut insides = Vec::new();
    for engine in &engines {
        engine.ok(&["network", "create", "bench-net"])?;
        engine.container("bench-b", &["--network", "bench-net"])?;
        insides.push(engine.container("bench-a", &["--network", "bench-net"])?.netns);
    }
    let one = in_turn(|| one_by_one(&insides[0]), || one_by_one(&insides[1]), ROUNDS);
    let many = in_turn(|| at_once(&insides[0]), || at_once(&insides[1]), ROUNDS);
    for engine in &engines {
        engine.remove(&["bench-a", "bench-b"])?;
        engine.ok(&["network", "rm", "bench-net"])?;
    }
    let ((ours, theirs), (ours_many, theirs_many)) = (one?, many?);
    Ok(vec![
        Row::new("a neighbour's name looked up", "µs", ours, "docker", theirs),
        Row::rate("names looked up by 8 at once", "/s", ours_many, "docker", theirs_many),
    ])
}

fn socket() -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.connect((Ipv4Addr::new(127, 0, 0, 11), 53))?;
    Ok(socket)
}

fn ask(socket: &UdpSocket, id: u16) -> Result<()> {
    let mut buffer = [0; 512];
    socket.send(&question(id, "bench-b", ADDRESS))?;
    let len = socket.recv(&mut buffer).context("an answer of the resolver is lost")?;
    let told = Told::read(&buffer[..len])?;
    ensure!(told.addresses.len() == 1, "the resolver said {told:?}");
    Ok(())
}

/// Microseconds of one question: the median, for a busy machine makes a few wait for milliseconds.
fn one_by_one(netns: &Namespace) -> Result<f64> {
    netns.within(|| {
        let socket = socket()?;
        let one = |id| {
            let start = Instant::now();
            ask(&socket, id).map(|()| start.elapsed().as_secs_f64() * 1e6)
        };
        (0..QUESTIONS).map(one).collect::<Result<_>>().map(median)
    })
}

/// Questions a second.
fn at_once(netns: &Namespace) -> Result<f64> {
    let (answered, start) = (AtomicU32::new(0), Instant::now());
    let asker = || {
        netns.within(|| {
            let socket = socket()?;
            for id in (0..=u16::MAX).cycle() {
                if start.elapsed() > LONG {
                    break;
                }
                ask(&socket, id)?;
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })
    };
    std::thread::scope(|scope| -> Result<()> {
        let askers: Vec<_> = (0..ASKERS).map(|_| scope.spawn(asker)).collect();
        askers.into_iter().try_for_each(|asker| asker.join().unwrap_or_else(|_| Ok(())))
    })?;
    Ok(f64::from(answered.into_inner()) / start.elapsed().as_secs_f64())
}
