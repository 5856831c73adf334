//! `berthd` is killed at random moments of pull, load, rmi and prune. Its next start is consistent: what `system df`
//! says is what `du` says, nothing that was there is lost or changed, and the same pull completes, fetching no byte
//! that was there.
//!
//! `BERTH_IMAGE_STORM=KILLS[,SEED]` chooses another size than the suite's (`cargo xtask storm images` takes 200).

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use e2e::image::{Image, sha256};
use e2e::registry::{Faulty, Packing, Picture, Style, noise};
use e2e::{Berth, http, programs};

use crate::dice::Dice;

/// Kills in the suite.
const KILLS: u64 = 20;
/// What may be fetched twice of each layer.
const SLACK: u64 = 64 << 10;

fn size() -> Result<(u64, u64)> {
    let asked = std::env::var("BERTH_IMAGE_STORM").unwrap_or_else(|_| KILLS.to_string());
    let mut numbers = asked.split(',').map(|text| text.trim().parse::<u64>());
    let kills = numbers.next().context("BERTH_IMAGE_STORM=KILLS[,SEED]")??;
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok((kills, numbers.next().transpose()?.unwrap_or(clock.subsec_nanos().into())))
}

/// Bytes of blocks below a directory, as `du` counts.
fn du(path: &Path) -> Result<i64> {
    let text = programs::run(Command::new("du").args(["-s", "--block-size=1"]).arg(path))?.ok()?;
    Ok(text.split_whitespace().next().context("du says nothing")?.parse()?)
}

/// `system df` is `du`, in sum and in its parts. What is being removed is removed first.
pub(super) fn adds_up(berth: &Berth) -> Result<()> {
    let look = || -> Result<(i64, i64, i64)> {
        let usage = http::get(berth.root(), "/v1.55/system/df?verbose=1")?;
        let number =
            |pointer: &str| usage.pointer(pointer).and_then(serde_json::Value::as_i64).unwrap_or_default();
        let kinds = ["ImageUsage", "ContainerUsage", "VolumeUsage", "BuildCacheUsage"];
        let sum: i64 = kinds.iter().map(|kind| number(&format!("/{kind}/TotalSize"))).sum();
        let beside = number("/DataRoot/LogSize") + number("/DataRoot/RecordSize");
        Ok((number("/DataRoot/TotalSize"), sum + beside, du(&berth.data_root())?))
    };
    programs::eventually("system df is du", || {
        // `du` complains of what is removed under its feet
        let Ok((total, parts, du)) = look() else { return Ok(None) };
        Ok((total == du && parts == du).then_some(()))
    })
    .with_context(|| format!("df's total, the sum of its parts, du: {:?}", look()))
}

/// The image is there with every byte: its archive's layers have the configuration's digests.
pub(super) fn whole(berth: &Berth, name: &str, picture: &Picture) -> Result<()> {
    let archive = tempfile::NamedTempFile::new_in(berth.root())?;
    let path = archive.path().to_str().context("path")?;
    berth.berth(["save", "-o", path, name])?.ok()?;
    let config = picture.blobs.get(&picture.id()?).context("no configuration")?;
    let config: serde_json::Value = serde_json::from_slice(config)?;
    let wanted = config["rootfs"]["diff_ids"].as_array().context("no diffIDs")?;
    let mut found = Vec::new();
    let mut entries = tar::Archive::new(std::fs::File::open(archive.path())?);
    for entry in entries.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes)?;
            found.push(format!("sha256:{}", sha256(&bytes)));
        }
    }
    for diff_id in wanted {
        let diff_id = diff_id.as_str().unwrap_or_default();
        ensure!(
            found.iter().any(|one| one == diff_id),
            "{name}: no layer {diff_id} in what is saved: {found:?}"
        );
    }
    Ok(())
}

struct Storm {
    berth: Berth,
    dice: Dice,
    faulty: Faulty,
    picture: Picture,
    pulled: String,
    archive: tempfile::NamedTempFile,
    loaded: Picture,
}

/// What is killed in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Pull,
    Load,
    Remove,
    Prune,
}

const LOADED: &str = "storm/loaded:1";

impl Storm {
    fn new(seed: u64) -> Result<Self> {
        let berth = Berth::bare(&[])?;
        let mut image = Image::busybox()?;
        for number in 40..44 {
            image.layer(|layer| {
                for file in 0..30 {
                    layer.file(
                        &format!("file-{number}-{file}"),
                        0o644,
                        &noise(number * 100 + file, 40_000),
                    )?;
                }
                Ok(())
            })?;
        }
        let picture = Picture::of(&image, Style::Oci, &[Packing::Gzip, Packing::Zstd])?;
        let faulty = Faulty::start(&picture)?;
        let pulled = faulty.site().name("storm/pulled:1");
        image.layer(|layer| layer.file("more", 0o644, &noise(44, 1_000_000)))?;
        let archive = tempfile::NamedTempFile::new()?;
        image.save(archive.path(), LOADED)?;
        let loaded = Picture::of(&image, Style::Docker, &[Packing::Plain])?;
        Ok(Self { berth, dice: Dice(seed), faulty, picture, pulled, archive, loaded })
    }

    fn command(&self, work: Work) -> Result<Command> {
        let archive = self.archive.path().to_str().context("path")?;
        match work {
            Work::Pull => self.berth.berth_command(["pull", "-q", &self.pulled]),
            Work::Load => self.berth.berth_command(["load", "-q", "-i", archive]),
            Work::Remove => self.berth.berth_command(["rmi", "-f", &self.pulled, LOADED]),
            Work::Prune => self.berth.berth_command(["image", "prune", "-af"]),
        }
    }

    fn begin(&self, work: Work) -> Result<Child> {
        let mut command = self.command(work)?;
        Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    }

    /// What there must be before a work makes sense, and how long it takes unharmed.
    fn prepare(&self, work: Work) -> Result<()> {
        if matches!(work, Work::Remove | Work::Prune) {
            programs::run(&mut self.command(Work::Pull)?)?.ok()?;
            programs::run(&mut self.command(Work::Load)?)?.ok()?;
        }
        Ok(())
    }

    fn measure(&self, work: Work) -> Result<Duration> {
        self.prepare(work)?;
        let start = Instant::now();
        programs::run(&mut self.command(work)?)?.ok()?;
        let took = start.elapsed();
        programs::run(&mut self.command(Work::Prune)?)?.ok()?;
        Ok(took)
    }

    /// One kill, and everything that must hold then.
    fn strike(&mut self, work: Work, within: Duration) -> Result<()> {
        self.prepare(work)?;
        let mut child = self.begin(work)?;
        let moment = Duration::from_micros(self.dice.below(within.as_micros() as u64 + 1));
        pause(moment);
        self.berth.kill()?;
        child.wait()?;
        let had = self.had()?;
        self.faulty.forget();
        self.berth.spawn()?;
        adds_up(&self.berth)?;
        // Whatever is listed is whole.
        for name in self.berth.berth(["images", "--format", "{{.Repository}}:{{.Tag}}"])?.ok()?.lines() {
            match name {
                LOADED => whole(&self.berth, name, &self.loaded)?,
                name if name == self.pulled => whole(&self.berth, name, &self.picture)?,
                // killed between its last name's end and its own: a prune finds it
                name if name.ends_with(":<none>") => {}
                other => bail!("{other:?} is there"),
            }
        }
        programs::run(&mut self.command(Work::Pull)?)?.ok()?;
        for (digest, size, had) in had {
            let fetched = self.faulty.fetched(&digest);
            ensure!(fetched + had <= size + SLACK, "{digest}: {fetched} of {size}, and {had} were there");
        }
        whole(&self.berth, &self.pulled, &self.picture)?;
        let ran = self.berth.berth(["run", "--rm", &self.pulled, "cat", "/etc/group"])?.ok()?;
        ensure!(ran.starts_with("root:"), "{ran}");
        adds_up(&self.berth)?;
        // A prune takes all, whatever the kills have left.
        if self.dice.below(3) == 0 {
            programs::run(&mut self.command(Work::Prune)?)?.ok()?;
            let store = self.berth.data_root().join("store");
            programs::eventually("nothing is left", || {
                Ok(super::faults::left(&store)?.is_empty().then_some(()))
            })
            .with_context(|| format!("{:?}", super::faults::left(&store)))?;
            adds_up(&self.berth)?;
        }
        Ok(())
    }

    /// For each layer of the image that is pulled: its size, and what of it is on the disk.
    fn had(&self) -> Result<Vec<(String, u64, u64)>> {
        let config = self.picture.blobs.get(&self.picture.id()?).context("no configuration")?;
        let config: serde_json::Value = serde_json::from_slice(config)?;
        let diff_ids = config["rootfs"]["diff_ids"].as_array().context("no diffIDs")?;
        let store = self.berth.data_root().join("store");
        let mut had = Vec::new();
        for ((digest, size), diff_id) in self.picture.layers()?.into_iter().zip(diff_ids) {
            let hex = diff_id.as_str().unwrap_or_default().trim_start_matches("sha256:");
            let mut pulled = std::fs::read_dir(store.join("pulled")).into_iter().flatten().flatten();
            let unpacked = pulled.any(|boot| boot.path().join(hex).join("unpacked.json").exists());
            let here = match unpacked {
                true => size,
                // blocks are whole pages, of which the last is not whole
                false => super::resume::here(&self.berth, &digest).min(size),
            };
            had.push((digest, size, here));
        }
        Ok(had)
    }
}

#[expect(clippy::disallowed_methods, reason = "the storm's own rhythm: it waits for nothing")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[test]
fn any_kill_is_survived() -> Result<()> {
    let (kills, seed) = size()?;
    println!("image storm: {kills} kills, seed {seed}");
    let mut storm = Storm::new(seed)?;
    let mut works = Vec::new();
    for work in [Work::Pull, Work::Load, Work::Remove, Work::Prune] {
        works.push((work, storm.measure(work)?));
    }
    println!("image storm: unharmed, {works:?}");
    for number in 0..kills {
        let (work, took) = works[storm.dice.below(works.len() as u64) as usize];
        storm
            .strike(work, took + took / 5)
            .with_context(|| format!("kill {number}, in {work:?}, seed {seed}"))
            .with_context(|| storm.berth.log())?;
    }
    programs::run(&mut storm.command(Work::Prune)?)?.ok()?;
    storm.berth.finish()
}
