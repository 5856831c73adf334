//! `cargo xtask vm powercut [N [SEED]]`: the guest's power is cut at random moments of a mixed load, and what it comes
//! up with is compared with what it had acknowledged.
//!
//! Workers on this side ask one thing at a time over ssh, so that what was acknowledged, and what was being done, is
//! known outside of the guest. Its disk forgets what was not flushed (`volatile`): all of it, each block by the dice,
//! or, as when only the processor stops, nothing. Cuts are shared by guests beside each other, each with its own seed.

mod check;
mod model;
mod worker;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};

use self::model::Model;
use self::worker::Worker;
use super::guest::Guest;
use super::root::{self, Kind, Root};
use super::volatile::{Dice, Fate, Medium, Server};
use super::{run, service, work};

/// How many guests there are beside each other at most: each has 3 GiB.
const MOST_GUESTS: usize = 4;
/// How many ask a guest at once.
const WORKERS: usize = 3;
/// So many operations are acknowledged at most before a cut, and what they may take.
const LOAD: u64 = 40;
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a moment is waited for at which the disk is being written to: ext4 commits its journal every five seconds.
const WRITES: Duration = Duration::from_secs(30);
/// What berthd may take to start, milliseconds of a machine as fast as this one.
const START: u64 = 5_000;

pub(super) fn main(words: &[&str]) -> Result<()> {
    let (cuts, seed): (usize, _) = match words {
        [] => (100, None),
        [cuts] => (cuts.parse()?, None),
        [cuts, seed] => (cuts.parse()?, Some(seed.parse()?)),
        _ => bail!("usage: cargo xtask vm powercut [CUTS [SEED]]"),
    };
    ensure!(cuts > 0, "no cut was asked for");
    let seed: u64 = match seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis() as u64 % 1_000_000_000,
    };
    let (root, work) = (root::prepare(Kind::Small)?, work::prepare(Kind::Small, work::Purpose::Use)?.0);
    let place = tempfile::tempdir_in(run::root().join("target/vm"))?;
    // the same programs until the last cut, whatever is built meanwhile
    let programs = place.path().join("work");
    std::fs::hard_link(&work, &programs)?;
    // A guest has one processor, which one of ours emulates.
    let guests = std::thread::available_parallelism()?.get().min(MOST_GUESTS).min(cuts);
    run::step(&format!("{cuts} power cuts in {guests} guests, seed {seed}"));
    let score = Score::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..guests)
            .map(|index| {
                let (root, programs, place, score) = (&root, &programs, place.path(), &score);
                let share = cuts / guests + usize::from(index < cuts % guests);
                scope.spawn(move || {
                    let trial =
                        Trial::new(root, programs, &place.join(format!("disk-{index}")), seed + index as u64);
                    let ended = trial.and_then(|trial| trial.run(share, score));
                    if ended.is_err() {
                        score.failed.store(true, Ordering::Relaxed);
                    }
                    ended
                })
            })
            .collect();
        let ends = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        // all are waited for, whichever fails
        let ends: Vec<_> = ends.map(|end| end.unwrap_or_else(|_panic| bail!("a trial panicked"))).collect();
        ends.into_iter().collect::<Result<()>>()
    })?;
    run::say(&format!(
        "{cuts} cuts, {} operations acknowledged, none lost; slowest start of berthd {} ms of this machine\n",
        score.done.into_inner(),
        score.worst.into_inner()
    ));
    Ok(())
}

/// What all guests have come to.
#[derive(Debug, Default)]
struct Score {
    cuts: AtomicU64,
    /// Operations that were acknowledged.
    done: AtomicU64,
    /// The slowest start of berthd, milliseconds.
    worst: AtomicU64,
    /// One has lost something: the others need not go on.
    failed: AtomicBool,
}

/// One guest through all its cuts.
struct Trial<'a> {
    root: &'a Root,
    work: &'a Path,
    server: Server,
    seed: u64,
    dice: Dice,
    workers: Vec<Worker>,
}

impl<'a> Trial<'a> {
    /// On a copy of the root's disk.
    fn new(root: &'a Root, work: &'a Path, disk: &Path, seed: u64) -> Result<Self> {
        run::run(Command::new("cp").arg("--sparse=always").arg(&root.disk).arg(disk))?;
        let server = Server::start(Medium::open(disk)?, &disk.with_extension("sock"))?;
        let workers = (0..WORKERS).map(|index| Worker::new(index, seed)).collect();
        Ok(Self { root, work, server, seed, dice: Dice::new(seed), workers })
    }

    fn run(mut self, cuts: usize, score: &Score) -> Result<()> {
        let mut guest = self.set_up()?;
        for cut in 1..=cuts {
            if score.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let told = self.cut(guest)?;
            guest = self.boot()?;
            let (start, slower) = guest
                .session()
                .and_then(|mut session| check::check(&mut session, &mut self.workers))
                .map_err(|error| guest.explained(error))
                .with_context(|| format!("cut {cut} of seed {}", self.seed))?;
            let scaled = start / slower;
            score.worst.fetch_max(scaled, Ordering::Relaxed);
            run::say(&format!(
                "cut {}: {told}; berthd up in {start} ms, {scaled} ms of this machine\n",
                score.cuts.fetch_add(1, Ordering::Relaxed) + 1
            ));
            ensure!(
                scaled < START,
                "berthd took {start} ms to start, where the guest was {slower} times slower"
            );
        }
        check::nothing_is_left(&mut guest.session()?)?;
        guest.power_off()?;
        score.done.fetch_add(self.workers.iter().map(|worker| worker.done).sum(), Ordering::Relaxed);
        Ok(())
    }

    fn boot(&self) -> Result<Guest> {
        Guest::on(self.root, self.work, self.server.socket())
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
