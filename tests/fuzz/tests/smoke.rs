//! Every target over its seeds, and then over what comes of them, each for its share of the time.
//!
//! `BERTH_FUZZ=SECONDS[,SEED]` chooses another time than the suite's 30 seconds; `BERTH_FUZZ_TARGET` one target.
//! What fails is written to a file that the message names; it belongs among the seeds when it is mended.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test: what can't be read is a failure, and it tells what it has done"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use fuzzing::mutate::{Dice, mutated};
use fuzzing::{TARGETS, Target, check};

fn seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let dir = target.seeds();
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        (path.display().to_string(), std::fs::read(path).unwrap())
    };
    let mut seeds: Vec<_> = entries.map(read).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    seeds
}

fn size() -> (Duration, u64) {
    let asked = std::env::var("BERTH_FUZZ").unwrap_or_default();
    let (seconds, seed) = asked.split_once(',').unwrap_or((&asked, ""));
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    (
        Duration::from_secs(seconds.parse().unwrap_or(30)),
        seed.parse().unwrap_or_else(|_| clock.subsec_nanos().into()),
    )
}

#[test]
fn every_target_takes_what_comes() {
    let (lasts, seed) = size();
    let only = std::env::var("BERTH_FUZZ_TARGET").ok();
    let chosen: Vec<_> =
        TARGETS.iter().filter(|target| only.as_ref().is_none_or(|only| only == target.name)).collect();
    assert!(!chosen.is_empty(), "no target {only:?}");
    println!("fuzz: {} targets, {lasts:?}, seed {seed}", chosen.len());
    let share = lasts / u32::try_from(chosen.len()).unwrap();
    let failed: Vec<_> = chosen.into_iter().filter_map(|target| over(target, share, seed).err()).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Gives a target its seeds and what comes of them; its first failure.
fn over(target: &Target, share: Duration, seed: u64) -> Result<(), String> {
    let named = seeds(target);
    named.iter().try_for_each(|(name, data)| tried(target, data, name))?;
    let seeds: Vec<_> = named.into_iter().map(|(_, data)| data).collect();
    let (mut dice, start, mut inputs) = (Dice::new(seed), Instant::now(), 0_u64);
    while start.elapsed() < share {
        let data = mutated(&mut dice, &seeds, target.longest);
        tried(target, &data, &format!("input {inputs} of seed {seed}"))?;
        inputs += 1;
    }
    println!("fuzz: {:>12}: {} seeds, {inputs} inputs", target.name, seeds.len());
    Ok(())
}

fn tried(target: &Target, data: &[u8], what: &str) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| check(target.name, data))).map_err(|panic| {
        let said = panic.downcast::<String>().map_or_else(|_| "it panicked".to_owned(), |said| *said);
        let kept = std::env::temp_dir().join(format!("berth-fuzz-failed-{}", target.name));
        std::fs::write(&kept, data).unwrap();
        let said: String = said.chars().take(1000).collect();
        format!("{} failed with {what}, kept in {}: {said}", target.name, kept.display())
    })
}

#[test]
fn cargo_fuzz_knows_the_same_targets() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/Cargo.toml");
    let text = std::fs::read_to_string(manifest).unwrap();
    let listed: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("name = \"")).skip(1).collect();
    let known: Vec<_> = TARGETS.iter().map(|target| format!("{}\"", target.name)).collect();
    assert_eq!(listed, known);
}
