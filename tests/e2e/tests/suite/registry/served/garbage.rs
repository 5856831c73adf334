//! Garbage is collected without a pause while four programs push, pull and delete.
//!
//! `BERTH_REGISTRY_STORM=SECONDS` chooses another length than the suite's (`cargo xtask storm registry` takes 120).

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::image::{Image, sha256};
use e2e::peers::Docker;
use e2e::registry::copiers::Copier;
use e2e::registry::engines::Ours;
use e2e::registry::{Engine, Kind, Registry, Wants, noise};
use e2e::{Berth, programs};

use super::kept;

/// Seconds in the suite.
const LENGTH: u64 = 15;
/// How long something must have been of use to nobody. A push has half of it.
const GRACE: Duration = Duration::from_secs(10);
/// Images that each program leaves in its repository.
const LEFT: usize = 2;

fn length() -> Result<Duration> {
    let seconds = std::env::var("BERTH_REGISTRY_STORM").unwrap_or_else(|_| LENGTH.to_string());
    Ok(Duration::from_secs(seconds.parse().context("BERTH_REGISTRY_STORM=SECONDS")?))
}

/// An image whose lowest layer others have as well.
fn save(lane: u64, round: u64, archive: &Path, name: &str) -> Result<String> {
    let mut image = Image::scratch();
    image.layer(|layer| layer.file("shared", 0o644, &noise(round % 5, 40_000)))?;
    image.layer(|layer| layer.file("own", 0o644, &noise(1000 * (lane + 1) + round, 20_000)))?;
    image.save(archive, name)
}

/// A program that pushes and pulls.
enum Way<'a> {
    Engine(&'a (dyn Engine + Sync)),
    Skopeo(&'a Copier),
}

impl Way<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Engine(engine) => engine.name(),
            Self::Skopeo(_) => "skopeo",
        }
    }

    /// Loads what lies in the archive, pushes it, and forgets it.
    fn push(&self, registry: &Registry, archive: &Path, name: &str) -> Result<()> {
        let (path, target) = (archive.to_str().context("path")?, registry.site().name(name));
        match self {
            Self::Engine(engine) => {
                engine.run(&["load", "-i", path])?.ok()?;
                let pushed = engine.push(registry.site(), name).map(drop);
                engine.remove(&target)?;
                pushed
            }
            Self::Skopeo(skopeo) => {
                let (from, to) = (format!("docker-archive:{path}"), format!("docker://{target}"));
                skopeo.run(&["copy", "--quiet", "--dest-tls-verify=false", &from, &to])?.ok().map(drop)
            }
        }
    }

    /// Pulls it, looks whether it is the right one, and forgets it.
    fn pull(&self, registry: &Registry, name: &str, id: &str) -> Result<()> {
        match self {
            Self::Engine(engine) => {
                engine.pull(registry.site(), name)?;
                let target = registry.site().name(name);
                ensure!(engine.id(&target)? == id, "{target} is another image");
                engine.remove(&target)
            }
            Self::Skopeo(skopeo) => {
                let folder = tempfile::tempdir_in(skopeo.root())?;
                skopeo.fetch(registry.site(), name, &folder.path().join("copy"))?;
                let config = folder.path().join("copy").join(id.trim_start_matches("sha256:"));
                ensure!(config.exists(), "{name} is another image");
                Ok(())
            }
        }
    }
}

/// What a program has done: pushes, pushes that took longer than the grace period lets them, and what is left, each
/// by its tag, the image's id and the manifest's digest.
#[derive(Default)]
struct Done {
    pushes: u64,
    late: u64,
    left: Vec<(String, String, String)>,
}

fn work(way: &Way<'_>, lane: u64, registry: &Registry, end: Instant) -> Result<Done> {
    let folder = tempfile::tempdir()?;
    let (archive, repository) = (folder.path().join("image.tar"), format!("lane{lane}/image"));
    let probe = registry.probe_of(&repository)?;
    let mut done = Done::default();
    for round in 0.. {
        // One push at least, however slow the machine is.
        if Instant::now() > end && done.pushes > 0 {
            break;
        }
        let name = format!("{repository}:{round}");
        let id = save(lane, round, &archive, &registry.site().name(&name))?;
        let begin = Instant::now();
        if let Err(error) = way.push(registry, &archive, &name) {
            if begin.elapsed() > GRACE / 2 && done.late < 100 {
                done.late += 1;
                continue;
            }
            return Err(error.context(format!("push {name} after {:?}", begin.elapsed())));
        }
        done.pushes += 1;
        let manifest = probe.manifest(&repository, &round.to_string())?.body;
        done.left.push((name, id, format!("sha256:{}", sha256(&manifest))));
        // the oldest: it has lived through some collections
        let (oldest, id, digest) = done.left.first().context("nothing is there")?;
        way.pull(registry, oldest, id).with_context(|| format!("pull {oldest}"))?;
        if done.left.len() > LEFT {
            let target = format!("/v2/{repository}/manifests/{digest}");
            probe.ask("DELETE", &target, &[], None)?.expect(&target, &[202])?;
            done.left.remove(0);
        }
    }
    Ok(done)
}

#[test]
fn four_programs_push_pull_and_delete_meanwhile() -> Result<()> {
    let more =
        format!("[gc]\ngrace = \"{}s\"\ninterval = \"1s\"\n[log]\nrequests = false\n", GRACE.as_secs());
    let mut registry = Registry::with(Kind::Ours, Wants { more, ..Wants::default() })?;
    let (berth, docker) = (Berth::bare(&[])?, Docker::start(Docker::NO_NETWORK)?);
    let (podman, skopeo) = (Copier::podman()?, Copier::skopeo()?);
    let ours = Ours(&berth);
    let ways = [Way::Engine(&ours), Way::Engine(&docker), Way::Engine(&podman), Way::Skopeo(&skopeo)];
    let end = Instant::now() + length()?;
    let server = &registry;
    let all = std::thread::scope(|scope| {
        let lanes = ways.iter().zip(0..).map(|(way, lane)| {
            (way, scope.spawn(move || work(way, lane, server, end).with_context(|| way.name())))
        });
        let lanes: Vec<_> = lanes.collect();
        let join = |(way, lane): (&Way<'_>, std::thread::ScopedJoinHandle<'_, Result<Done>>)| {
            lane.join().map_err(|_panic| anyhow::anyhow!("{} panicked", way.name()))?
        };
        lanes.into_iter().map(join).collect::<Result<Vec<_>>>()
    })
    .with_context(|| registry.log())?;
    for (way, done) in ways.iter().zip(&all) {
        println!("{}: {} pushes, {} too late", way.name(), done.pushes, done.late);
    }
    // Nothing is lost, …
    let mut wanted = BTreeSet::new();
    for (way, done) in ways.iter().zip(&all) {
        for (name, id, digest) in &done.left {
            way.pull(&registry, name, id).with_context(|| format!("{} at the end", way.name()))?;
            let (repository, tag) = name.split_once(':').context("tag")?;
            let manifest = registry.probe_of(repository)?.manifest(repository, tag)?.json()?;
            let layers = manifest["layers"].as_array().context("no layers")?.iter();
            let blobs = layers.chain([&manifest["config"]]).filter_map(|blob| blob["digest"].as_str());
            wanted.extend(blobs.map(str::to_owned));
            wanted.insert(digest.clone());
        }
    }
    // … and everything else goes by itself: links after one grace period, bytes after another.
    programs::eventually("the garbage goes", || Ok((kept(&registry)? == wanted).then_some(())))
        .with_context(|| {
            format!("{:?}\n{}", kept(&registry).map(|kept| (kept.len(), wanted.len())), registry.log())
        })?;
    registry.terminate()?;
    docker.stop()?;
    berth.finish()
}
