//! `cargo xtask vm powercut [N [SEED]]`: the guest's power is cut at random moments of a mixed load, and what it comes
//! up with is compared with what it had acknowledged.
//!
//! Workers on this side ask one thing at a time over ssh, so that what was acknowledged, and what was being done, is
//! known outside of the guest. Its disk forgets what was not flushed (`volatile`): all of it, each block by the dice,
//! or, as when only the processor stops, nothing.

mod check;
mod model;
mod worker;

use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use self::model::Model;
use self::worker::Worker;
use super::guest::Guest;
use super::root::{self, Kind, Root};
use super::volatile::{Dice, Fate, Medium, Server};
use super::{run, service, work};

/// How many ask at once.
const WORKERS: usize = 3;
/// So many operations are acknowledged at most before a cut, and what they may take.
const LOAD: u64 = 40;
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a moment is waited for at which the disk is being written to: ext4 commits its journal every five seconds.
const WRITES: Duration = Duration::from_secs(30);
/// What berthd may take to start, milliseconds of a machine as fast as this one.
const START: u64 = 5_000;

pub(super) fn main(words: &[&str]) -> Result<()> {
    let (cuts, seed) = match words {
        [] => (100, None),
        [cuts] => (cuts.parse()?, None),
        [cuts, seed] => (cuts.parse()?, Some(seed.parse()?)),
        _ => bail!("usage: cargo xtask vm powercut [CUTS [SEED]]"),
    };
    let seed: u64 = match seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as u64 % 1_000_000_000,
    };
    let (root, work) = (root::prepare(Kind::Small)?, work::prepare(Kind::Small, work::Purpose::Use)?.0);
    run::step(&format!("{cuts} power cuts, seed {seed}"));
    let place = tempfile::tempdir_in(run::root().join("target/vm"))?;
    let disk = place.path().join("disk");
    run::run(std::process::Command::new("cp").arg("--sparse=always").arg(&root.disk).arg(&disk))?;
    // the same programs until the last cut, whatever is built meanwhile
    let programs = place.path().join("work");
    std::fs::hard_link(&work, &programs)?;
    let server = Server::start(Medium::open(&disk)?, &place.path().join("disk.sock"))?;
    let mut trial =
        Trial { root, work: programs, server, dice: Dice::new(seed), workers: Vec::new(), worst: 0 };
    trial.workers.extend((0..WORKERS).map(|index| Worker::new(index, seed)));
    let guest = trial.set_up()?;
    let mut guest = Some(guest);
    for cut in 1..=cuts {
        let running = match guest.take() {
            Some(guest) => guest,
            None => trial.boot()?,
        };
        let told = trial.cut(running)?;
        let next = trial.boot()?;
        let (start, slower) = next
            .session()
            .and_then(|mut session| check::check(&mut session, &mut trial.workers))
            .map_err(|error| next.explained(error))
            .with_context(|| format!("cut {cut} of seed {seed}"))?;
        let scaled = start / slower;
        trial.worst = trial.worst.max(scaled);
        run::say(&format!("cut {cut}: {told}; berthd up in {start} ms, {scaled} ms of this machine\n"));
        ensure!(scaled < START, "berthd took {start} ms to start, where the guest was {slower} times slower");
        guest = Some(next);
    }
    let last = guest.context("no cut was asked for")?;
    check::nothing_is_left(&mut last.session()?)?;
    last.power_off()?;
    let done: u64 = trial.workers.iter().map(|worker| worker.done).sum();
    run::say(&format!(
        "{cuts} cuts, {done} operations acknowledged, none lost; slowest start of berthd {} ms of this machine\n",
        trial.worst
    ));
    Ok(())
}

/// One guest through all its cuts.
struct Trial {
    root: Root,
    work: std::path::PathBuf,
    server: Server,
    dice: Dice,
    workers: Vec<Worker>,
    /// The slowest start of berthd, milliseconds.
    worst: u64,
}

impl Trial {
    fn boot(&self) -> Result<Guest> {
        Guest::on(&self.root, &self.work, self.server.socket())
    }

    /// berthd and a registry as services, and the images that workers pull.
    fn set_up(&self) -> Result<Guest> {
        let guest = self.boot()?;
        service::install(&guest, "")?;
        service::install_registry(&guest, "127.0.0.1")?;
        let mut session = guest.session()?;
        for worker in &self.workers {
            for tag in 0..3 {
                let name = format!("localhost:5000/{}:{tag}", worker.name());
                session.must(&format!(
                    "printf 'FROM box\\nRUN head -c 300000 /dev/urandom > /data\\n' | berth build -q --no-cache -t {name} - && \
                     berth push -q {name} && berth rmi {name}"
                ))?;
            }
        }
        // this is not what is tried
        session.must("berth builder prune -af && sync")?;
        Ok(guest)
    }

    /// Lets the workers work, and cuts the power. Tells what was going on.
    fn cut(&mut self, guest: Guest) -> Result<String> {
        let load = self.dice.below(LOAD);
        let fate = [Fate::Lost, Fate::Dice, Fate::Dice, Fate::Kept][self.dice.below(4) as usize];
        // At most moments nothing is on its way to the disk: what is not there yet is in the guest's memory, and lost with
        // it. So three of four cuts wait for the middle of a burst of writes, early or late in it.
        let burst = 1 << self.dice.below(9);
        let amid = if self.dice.below(4) > 0 { Some(1 + self.dice.below(burst)) } else { None };
        let before: u64 = self.workers.iter().map(|worker| worker.done).sum();
        let mut sessions = Vec::new();
        for _ in &self.workers {
            sessions.push(guest.session()?);
        }
        let begun = Instant::now();
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| -> Result<()> {
            let pairs = self.workers.iter_mut().zip(&mut sessions);
            let threads: Vec<_> = pairs
                .map(|(worker, session)| {
                    let tell = tell.clone();
                    scope.spawn(move || worker.work(session, &tell))
                })
                .collect();
            drop(tell);
            // without one when it takes too long, or when the guest refuses something: then a worker tells
            for _ in 0..load {
                if told.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())).is_err() {
                    break;
                }
            }
            if let Some(writes) = amid {
                self.server.amid_writes(writes, WRITES);
            }
            guest.cut();
            for thread in threads {
                thread.join().map_err(|_panic| anyhow::anyhow!("a worker panicked"))??;
            }
            Ok(())
        })?;
        let (waiting, lost) = self.server.cut(fate, &mut self.dice)?;
        let done = self.workers.iter().map(|worker| worker.done).sum::<u64>() - before;
        Ok(format!(
            "after {:?} and {done} operations, {lost} of {waiting} unflushed blocks lost",
            begun.elapsed()
        ))
    }
}
