//! Builds that are given up, and daemons that are killed in the middle of one.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::{leaks, programs};

use super::{Context, no_places};
use crate::dice::Dice;

/// Begins a build and waits until one of its steps says a word.
fn until_said(context: &Context<'_>, berth: &Berth, word: &str) -> Result<std::process::Child> {
    let mut command = berth.docker_command(["build"])?;
    command.env("DOCKER_BUILDKIT", "0").arg(context.path()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    for line in lines {
        if line?.trim() == word {
            return Ok(child);
        }
    }
    anyhow::bail!("the build has ended without saying {word}")
}

#[test]
fn a_client_that_goes_ends_the_step_whatever_it_forks() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE}\nRUN echo done > /first\nRUN echo begun; f() {{ (f & sleep 1000) & }}; for i in 1 2 3; do f; done; sleep 1000\n"
    );
    let context = Context::new(&berth, "bomb", &[("Dockerfile", &dockerfile)])?;
    // enough for a bomb of this size, and no more
    let mut command = berth.docker_command(["build"])?;
    command.env("DOCKER_BUILDKIT", "0").args(["--memory", "256m"]).arg(context.path());
    let mut child = until_said(&context, &berth, "begun")?;
    child.kill()?;
    child.wait()?;
    // the check at the end waits for the step's cgroup, shim, root file system and addresses to go
    berth.finish()
}

#[test]
fn a_killed_daemon_leaves_no_step_and_its_successor_knows_what_was_done() -> Result<()> {
    let mut berth = Berth::start()?;
    for time in 0..2 {
        let dockerfile = format!(
            "FROM {IMAGE}\nRUN cat /proc/sys/kernel/random/uuid > /first; echo {time}\nRUN echo begun; sleep 1000\n"
        );
        let context = Context::new(&berth, "killed", &[("Dockerfile", &dockerfile)])?;
        let mut child = until_said(&context, &berth, "begun")?;
        berth.kill()?;
        child.wait()?;
        berth.spawn()?;
        let shorter = dockerfile.replace("sleep 1000", "true");
        let context = Context::new(&berth, "killed", &[("Dockerfile", &shorter)])?;
        let said = context.build(&["-t", "killed"])?.ok()?;
        ensure!(said.matches("Using cache").count() == 1, "{said}");
        ensure!(berth.docker(["ps", "-aq"])?.ok()?.is_empty());
    }
    berth.finish()
}

/// Kills of the storm, and where it begins: `BERTH_BUILD_STORM=KILLS[,SEED]` (`cargo xtask storm build` takes 50).
fn storm() -> Result<(usize, u64)> {
    let asked = std::env::var("BERTH_BUILD_STORM").unwrap_or_else(|_| "3".to_owned());
    let mut numbers = asked.split(',').map(|text| text.trim().parse::<u64>());
    let mut next = || numbers.next().transpose().context("BERTH_BUILD_STORM=KILLS[,SEED]");
    let kills = next()?.context("how many kills")?;
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok((usize::try_from(kills)?, next()?.unwrap_or(clock.subsec_nanos().into())))
}

/// Two stages side by side, files from the context and from one another, and steps that make and remove.
fn stormed(context: &Context<'_>, number: usize) -> Result<()> {
    let steps = |stage: &str| -> String {
        (0..4)
            .map(|step| {
                format!("RUN cat /proc/sys/kernel/random/uuid > /{stage}-{step}; rm -rf /files/{step}; sleep 0.02\n")
            })
            .collect()
    };
    let dockerfile = format!(
        "FROM {IMAGE} AS one\nENV N={number}\nCOPY files /files\n{}\
         FROM {IMAGE} AS two\nENV N={number}\nWORKDIR /files\nCOPY files .\n{}\
         FROM one\nCOPY --from=two /two-3 /files /\nRUN cat /one-3 /two-3 > /both\n",
        steps("one"),
        steps("two")
    );
    Ok(std::fs::write(context.path().join("Dockerfile"), dockerfile)?)
}

/// What a build in plain lines has said: which steps were done by it, and which were not done again.
fn told(said: &str) -> (Vec<String>, Vec<String>) {
    let mut names = std::collections::HashMap::new();
    let (mut done, mut cached) = (Vec::new(), Vec::new());
    for line in said.lines() {
        let Some((number, rest)) = line.split_once(' ').filter(|(number, _)| number.starts_with('#')) else {
            continue;
        };
        if rest.starts_with('[') {
            names.insert(number, rest);
        }
        let name = || names.get(number).filter(|name| !name.contains("FROM") && !name.contains("[internal]"));
        if rest.starts_with("DONE ") {
            done.extend(name().map(|name| (*name).to_owned()));
        } else if rest == "CACHED" {
            cached.extend(name().map(|name| (*name).to_owned()));
        }
    }
    (done, cached)
}

#[test]
fn a_daemon_killed_at_any_moment_leaves_nothing_and_loses_no_finished_step() -> Result<()> {
    let (kills, seed) = storm()?;
    println!("storm: {kills} kills of berthd in builds, seed {seed}");
    let mut dice = Dice(seed);
    let mut berth = Berth::start()?;
    let names: Vec<String> = (0..100).map(|file| format!("files/{}/{file}", file / 20)).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "words")).collect();
    let place = Context::new(&berth, "storm", &files)?.path().clone();
    let build = |berth: &Berth| -> Result<std::process::Child> {
        let context = Context { berth, path: place.clone() };
        let mut command = context.own_command(&["--progress", "plain", "-t", "stormed"])?;
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().context("cannot run berth")
    };
    let before = named_on_disk(&berth)?;
    stormed(&Context { berth: &berth, path: place.clone() }, 0)?;
    let start = Instant::now();
    let whole = build(&berth)?.wait_with_output()?;
    let takes = start.elapsed();
    let (all, _) = told(&String::from_utf8_lossy(&whole.stderr));
    ensure!(whole.status.success() && all.len() == 13, "{}", String::from_utf8_lossy(&whole.stderr));
    let (mut kept, mut midway) = (0, 0);
    for number in 1..=kills {
        stormed(&Context { berth: &berth, path: place.clone() }, number)?;
        let child = build(&berth)?;
        let moment = dice.milliseconds(u64::try_from(takes.as_millis())?.max(1));
        pause(moment);
        berth.kill()?;
        let killed = child.wait_with_output()?;
        let (done, _) = told(&String::from_utf8_lossy(&killed.stderr));
        berth.spawn()?;
        let again = build(&berth)?.wait_with_output()?;
        let said = String::from_utf8_lossy(&again.stderr);
        let (_, cached) = told(&said);
        let place = format!("kill {number} of seed {seed}, after {moment:?}");
        ensure!(again.status.success(), "{place}: {said}");
        let lost: Vec<&String> = done.iter().filter(|step| !cached.contains(step)).collect();
        ensure!(lost.is_empty(), "{place}: {lost:#?} were done and are done again:\n{said}");
        let made =
            berth.berth(["run", "--rm", "stormed", "sh", "-c", "cat /one-3 /two-3 | cmp - /both; ls /0"])?;
        made.fails(1, "No such file").context(place)?;
        (kept, midway) = (kept + done.len(), midway + usize::from(!killed.status.success()));
        ensure!(berth.berth(["ps", "-aq"])?.ok()?.is_empty());
        no_places(&berth)?;
        leaks::no_container(&berth)?;
    }
    println!("storm: {midway} builds ended midway, {kept} finished steps were used again");
    nothing_on_disk(&berth)?;
    let shown = no_record_leaks(&berth, &before)?;
    println!("storm: {shown} records of the cache, each of them in du and in no build");
    berth.finish()
}

/// Names of everything that the cache and the store have on disk.
fn named_on_disk(berth: &Berth) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for dir in [
        "build/cache",
        "build/sources",
        "store/layers",
        "store/chains",
        "store/images",
        "store/blobs/sha256",
        "store/cache-mounts",
    ] {
        match std::fs::read_dir(berth.data_root().join(dir)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            entries => {
                for entry in entries? {
                    names.insert(format!("{dir}/{}", entry?.file_name().to_string_lossy()));
                }
            }
        }
    }
    Ok(names)
}

/// No record is in use when no build is, none is of bytes that `du` does not count, and when images and cache go,
/// everything is as it was before the first build. Says how many records there were.
fn no_record_leaks(berth: &Berth, before: &BTreeSet<String>) -> Result<usize> {
    let format = "{{.Reclaimable}} {{.Shared}} {{.ID}}";
    let told = berth.berth(["builder", "du", "--format", format])?.ok()?;
    ensure!(told.lines().count() > 1, "{told}");
    ensure!(
        told.lines().all(|line| line.starts_with("true ")),
        "a record is in use without a build:\n{told}"
    );
    let mut records = 0;
    for entry in std::fs::read_dir(berth.data_root().join("build/cache"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "json") {
            let record: serde_json::Value = serde_json::from_slice(&std::fs::read(path)?)?;
            // the builder's own notes take no space that is counted
            records += usize::from(record["kind"] != "internal");
        }
    }
    let sources = std::fs::read_dir(berth.data_root().join("build/sources"))?.count();
    let (on_disk, shown) = (records + sources, told.lines().count());
    ensure!(on_disk == shown, "{on_disk} records are on disk, {shown} in du:\n{told}");
    berth.berth(["rmi", "--force", "stormed"])?.ok()?;
    berth.berth(["image", "prune", "--force"])?.ok()?;
    berth.berth(["builder", "prune", "--all", "--force"])?.ok()?;
    ensure!(berth.berth(["builder", "du", "--format", format])?.ok()?.is_empty());
    let after = named_on_disk(berth)?;
    let leaked: Vec<_> = after.difference(before).collect();
    ensure!(leaked.is_empty(), "what {before:?} did not have stays: {leaked:#?}");
    Ok(shown)
}

/// No root file system of a step is on disk, nothing waits to be removed, and each layer is one of an image or of the
/// cache.
fn nothing_on_disk(berth: &Berth) -> Result<()> {
    let store = berth.data_root().join("store");
    for name in ["snapshots", "trash", "tmp"] {
        programs::eventually("what steps had on disk goes", || {
            Ok(std::fs::read_dir(store.join(name))?.next().is_none().then_some(()))
        })
        .with_context(|| name.to_owned())?;
    }
    let mut named = std::collections::HashSet::new();
    for entry in std::fs::read_dir(store.join("chains"))? {
        let keys: Vec<String> = serde_json::from_slice(&std::fs::read(entry?.path())?)?;
        named.extend(keys);
    }
    for entry in std::fs::read_dir(store.join("layers"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(named.contains(&name), "layer {name} belongs to no stack");
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the storm's own rhythm: it waits for nothing")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
