//! Chaos: `berthd` and shims are killed at random while everything is under way, and containers that nobody has hit
//! notice nothing: what they write is in their logs line by line, who speaks with them through published ports goes on
//! speaking. A container whose shim was killed is reported, and started again by its policy. In the end nothing is left.
//!
//! `BERTH_CHAOS=KILLS[,SEED[,DAEMONS]]` chooses another size than the suite's 60 kills at two daemons side by side
//! (`cargo xtask storm chaos` takes 10000).

mod victims;
mod watched;
mod work;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::daemon::Berth;
use e2e::programs;
use serde_json::Value;

use crate::client::Client;
use crate::dice::Dice;
use crate::{any_seed, asked, pause};
use victims::Victims;
use watched::Watched;

/// Hands that give a daemon work.
const HANDS: usize = 3;
/// Containers that are hit, of each daemon.
const VICTIMS: usize = 4;

/// What has happened to all daemons.
#[derive(Default)]
struct Score {
    daemons: AtomicU64,
    early: AtomicU64,
    shims: AtomicU64,
    works: AtomicU64,
    refused: AtomicU64,
    lines: AtomicU64,
    echoes: AtomicU64,
    restarts: AtomicU64,
    /// Milliseconds that daemons took to start, in sum and at most.
    started: AtomicU64,
    slowest: AtomicU64,
}

fn add(to: &AtomicU64, number: u64) {
    to.fetch_add(number, Ordering::Relaxed);
}

fn read(of: &AtomicU64) -> u64 {
    of.load(Ordering::Relaxed)
}

/// One daemon's storm.
struct Storm<'a> {
    berth: Berth,
    dice: Dice,
    victims: Victims,
    score: &'a Score,
}

impl Storm<'_> {
    /// A kill of the daemon, of a shim, or of both.
    fn strike(&mut self, watched: &Watched) -> Result<u64> {
        pause(self.dice.milliseconds(120));
        let mut kills = 0;
        let aim = match self.dice.below(5) {
            0..3 => self.victims.aim(&self.berth, &mut self.dice, watched)?,
            _ => None,
        };
        let both = self.dice.below(4) == 0;
        if both || aim.is_none() {
            self.berth.kill()?;
            add(&self.score.daemons, 1);
            kills += 1;
        }
        if let Some(aim) = aim {
            let struck = self.victims.fire(aim);
            add(&self.score.shims, struck);
            kills += struck;
            if !both {
                return Ok(kills);
            }
        }
        // A daemon that is killed while it looks what its predecessor has left.
        while self.dice.below(4) == 0 {
            self.berth.spawn_for(self.dice.milliseconds(60))?;
            add(&self.score.early, 1);
            kills += 1;
        }
        let start = Instant::now();
        self.berth.spawn()?;
        let took = start.elapsed().as_millis() as u64;
        add(&self.score.started, took);
        self.score.slowest.fetch_max(took, Ordering::Relaxed);
        Ok(kills)
    }

    fn rage(&mut self, kills: u64, watched: &Watched) -> Result<()> {
        let mut done = 0;
        while done < kills {
            done += self.strike(watched).with_context(|| format!("after {done} kills"))?;
        }
        // A new daemon waits for no back-off of the last one.
        self.berth.kill()?;
        self.berth.spawn()
    }
}

/// So many kills at one daemon of its own.
fn storm(kills: u64, seed: u64, score: &Score) -> Result<()> {
    let mut dice = Dice(seed);
    let berth = Berth::start()?;
    let client = Client::new(berth.root());
    let watched = Watched::start(&client)?;
    let victims = Victims::start(&client, VICTIMS, dice.next())?;
    let mut storm = Storm { berth, dice, victims, score };
    let (over, root) = (AtomicBool::new(false), storm.berth.root().to_owned());
    let stormed = std::thread::scope(|scope| {
        let mut others: Vec<_> = (0..HANDS)
            .map(|number| {
                let hand = work::Hand::new(&root, number, Dice(storm.dice.next()));
                let over = &over;
                scope.spawn(move || hand.work(over, score))
            })
            .collect();
        let over = &over;
        others.extend(watched.ports().map(|port| scope.spawn(move || watched::converse(port, over, score))));
        let stormed = storm.rage(kills, &watched);
        over.store(true, Ordering::Relaxed);
        let ended =
            others.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        let ended = ended.collect::<Result<Vec<()>>>();
        stormed.and(ended.map(drop))
    });
    let end = stormed.and_then(|()| {
        add(&score.restarts, storm.victims.judge(&client)?);
        add(&score.lines, watched.judge(&client)?);
        work::clear(&client)
    });
    end.with_context(|| storm.berth.log().lines().rev().take(60).collect::<Vec<_>>().join("\n"))?;
    storm.berth.finish()
}

#[test]
fn kills_at_random_touch_nobody_else() -> Result<()> {
    let [kills, seed, daemons] = asked("BERTH_CHAOS", [60, any_seed(), 2])?;
    ensure!(daemons > 0, "no daemon to kill");
    println!("chaos: {kills} kills, seed {seed}, {daemons} daemons side by side");
    let (score, start) = (Score::default(), Instant::now());
    let all = std::thread::scope(|scope| {
        let storms: Vec<_> = (0..daemons)
            .map(|number| {
                let (share, score) = (kills.div_ceil(daemons), &score);
                scope.spawn(move || storm(share, seed.wrapping_add(number << 32), score))
            })
            .collect();
        let ended =
            storms.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.collect::<Result<Vec<()>>>()
    });
    let daemons = read(&score.daemons);
    println!(
        "chaos: {:?}: {daemons} kills of berthd and {} of one that was starting, {} of shims",
        start.elapsed(),
        read(&score.early),
        read(&score.shims),
    );
    println!(
        "chaos: {} requests were answered and {} broke off; {} lines in logs, {} echoes through ports, {} restarts counted",
        read(&score.works),
        read(&score.refused),
        read(&score.lines),
        read(&score.echoes),
        read(&score.restarts),
    );
    println!(
        "chaos: a start took {} ms, at most {}",
        read(&score.started) / daemons.max(1),
        read(&score.slowest)
    );
    all.with_context(|| format!("seed {seed}"))?;
    ensure!(read(&score.works) > kills / 4 && read(&score.echoes) > kills, "that was no load");
    Ok(())
}

/// Asks until the daemon answers.
fn settled(client: &Client, path: &str) -> Result<Value> {
    programs::eventually("an answer", || match client.call("GET", path, &Value::Null) {
        Ok(said) if said.status == 200 => Ok(Some(serde_json::from_slice(&said.body)?)),
        _ => {
            pause(Duration::from_millis(20));
            Ok(None)
        }
    })
}
