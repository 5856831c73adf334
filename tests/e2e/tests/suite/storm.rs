//! The restart storm: containers with `restart=always` are killed at random while `berthd` is killed every few seconds.
//! Each end must be counted once, and each run must have left its line.
//!
//! `BERTH_STORM=CONTAINERS,SECONDS[,SEED]` chooses another size than the suite's (`cargo xtask storm` takes 50 and 120).

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::dice::Dice;

struct Size {
    containers: usize,
    lasts: Duration,
    seed: u64,
}

fn size() -> Result<Size> {
    let asked = std::env::var("BERTH_STORM").unwrap_or_else(|_| "20,20".to_owned());
    let mut numbers = asked.split(',').map(|text| text.trim().parse::<u64>());
    let mut next = || numbers.next().transpose().context("BERTH_STORM=CONTAINERS,SECONDS[,SEED]");
    let containers = next()?.context("how many containers")? as usize;
    let lasts = Duration::from_secs(next()?.context("how many seconds")?);
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let seed = next()?.unwrap_or(clock.subsec_nanos().into());
    Ok(Size { containers, lasts, seed })
}

/// A first process that has written its line: it is `sleep` by now.
struct Victim {
    pid: Pid,
    container: String,
    started: String,
}

fn victims(mark: &str) -> Result<Vec<Victim>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let pid = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else { continue };
        // whoever ends meanwhile is none
        found.extend(victim(&path, pid, mark));
    }
    Ok(found)
}

fn victim(proc: &Path, pid: Pid, mark: &str) -> Option<Victim> {
    let read = |name: &str| std::fs::read_to_string(proc.join(name)).ok();
    if read("cmdline")? != format!("sleep\0{mark}\0") {
        return None;
    }
    let cgroup = read("cgroup")?;
    let mut parts = cgroup.split(['/', '\n']);
    let container = parts.find(|part| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let stat = read("stat")?;
    // field 22 of proc_pid_stat(5), counted from the end of the name
    let started = stat.rsplit(')').next()?.split_whitespace().nth(19)?;
    Some(Victim { pid, container: container.to_owned(), started: started.to_owned() })
}

/// Kills one that is still who it was; whether it was.
fn kill(victim: &Victim, mark: &str) -> bool {
    let Ok(pidfd) = pidfd_open(victim.pid, PidfdFlags::empty()) else { return false };
    let proc = format!("/proc/{}", victim.pid.as_raw_nonzero());
    let same =
        self::victim(Path::new(&proc), victim.pid, mark).is_some_and(|now| now.started == victim.started);
    same && pidfd_send_signal(&pidfd, Signal::KILL).is_ok()
}

#[expect(clippy::disallowed_methods, reason = "the storm's own rhythm: it waits for nothing")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Kills containers until `over`; how many runs of each it has ended.
fn rage(mark: &str, mut dice: Dice, over: &AtomicBool) -> Result<BTreeMap<String, usize>> {
    let (mut ended, mut seen) = (BTreeMap::new(), HashSet::new());
    while !over.load(Ordering::Relaxed) {
        let alive = victims(mark)?;
        let one = (!alive.is_empty()).then(|| &alive[dice.below(alive.len() as u64) as usize]);
        if let Some(one) = one
            && kill(one, mark)
            && seen.insert((one.pid, one.started.clone()))
        {
            *ended.entry(one.container.clone()).or_default() += 1;
        }
        pause(dice.milliseconds(60));
    }
    Ok(ended)
}

#[test]
fn each_end_is_counted_once() -> Result<()> {
    let Size { containers, lasts, seed } = size()?;
    println!("storm: {containers} containers, {lasts:?}, seed {seed}");
    let mut dice = Dice(seed);
    let mut berth = Berth::start()?;
    let mark = format!("{}", 100_000_000 + dice.below(100_000_000));
    let script =
        format!("n=$(($(cat /n 2>/dev/null || echo 0) + 1)); echo $n > /n; echo run $n; exec sleep {mark}");
    let mut ids = Vec::new();
    for _ in 0..containers {
        let run = ["run", "-d", "--restart", "always", IMAGE, "sh", "-c", &script];
        ids.push(berth.berth(run)?.ok()?);
    }
    let (over, mut kills) = (AtomicBool::new(false), 0);
    let ended = std::thread::scope(|scope| {
        let raging = Dice(dice.next());
        let (mark, over) = (&mark, &over);
        let rage = scope.spawn(move || rage(mark, raging, over));
        let start = Instant::now();
        let mut storm = || -> Result<()> {
            while start.elapsed() < lasts {
                pause(dice.milliseconds(4000));
                berth.kill()?;
                kills += 1;
                pause(dice.milliseconds(300));
                berth.spawn()?;
            }
            Ok(())
        };
        let stormed = storm();
        over.store(true, Ordering::Relaxed);
        let ended = rage.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        stormed.and(ended)
    })?;
    // A new daemon waits for no back-off of the last one.
    berth.kill()?;
    berth.spawn()?;
    programs::eventually("all run again", || Ok((victims(&mark)?.len() == containers).then_some(())))?;
    let deaths: usize = ended.values().sum();
    println!("storm: {deaths} ends of containers, {} of berthd", kills + 1);
    ensure!(deaths > containers, "that was no storm");
    for id in &ids {
        let ended = ended.get(id).copied().unwrap_or_default();
        let state =
            berth.berth(["inspect", "-f", "{{.State.Status}} {{.RestartCount}} {{.State.Pid}}", id])?.ok()?;
        ensure!(state.starts_with(&format!("running {ended} ")), "{id}: {ended} ends, but {state}");
        let log = berth.berth(["logs", id])?.ok()?;
        let expected: Vec<String> = (1..=ended + 1).map(|n| format!("run {n}")).collect();
        ensure!(log.lines().eq(expected.iter()), "{id}: {ended} ends, and this log:\n{log}");
    }
    println!("storm: {} restarts counted, {} lines logged", deaths, deaths + containers);
    berth.finish()
}
