//! `berthd` is killed in the middle of a pull: the next one fetches what is missing and nothing else.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use e2e::image::Image;
use e2e::registry::{Fault, Faulty, Packing, Picture, Style, noise};
use e2e::{Berth, programs};

/// What of each layer the registry sends before it waits.
const HELD: u64 = 2_500_000;
/// What may be fetched twice: the last page of what was written, and what the kill caught in a buffer.
const SLACK: u64 = 64 << 10;

fn picture() -> Result<Picture> {
    let mut image = Image::scratch();
    image.layer(|layer| layer.file("small", 0o644, &noise(20, 50_000)))?;
    for number in 21..24 {
        image.layer(|layer| layer.file(&format!("large-{number}"), 0o644, &noise(number, 4_000_000)))?;
    }
    Picture::of(&image, Style::Oci, &[Packing::Gzip, Packing::Zstd, Packing::Plain])
}

fn ingest(berth: &Berth, digest: &str) -> PathBuf {
    berth.data_root().join("store/ingest").join(digest.trim_start_matches("sha256:"))
}

/// Bytes of blocks of a blob that is on its way in.
pub(super) fn here(berth: &Berth, digest: &str) -> u64 {
    std::fs::metadata(ingest(berth, digest)).map_or(0, |meta| meta.blocks() * 512)
}

fn begin(berth: &Berth, reference: &str) -> Result<Child> {
    let mut command = berth.berth_command(["pull", "-q", reference])?;
    Ok(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

/// Pulls until every large layer is held, and kills; what of each was there then.
fn killed_in_the_middle(
    berth: &mut Berth,
    faulty: &Faulty,
    picture: &Picture,
) -> Result<Vec<(String, u64, u64)>> {
    let layers = picture.layers()?;
    let (small, large) = (&layers[0].0, &layers[1..]);
    for (digest, _) in large {
        faulty.fault(digest, u32::MAX, Fault::Hold(HELD));
    }
    let mut pull = begin(berth, &faulty.site().name("some/image:latest"))?;
    let enough = |(digest, _): &(String, u64)| here(berth, digest) > HELD - SLACK;
    programs::eventually("half of each layer is there", || {
        let done = faulty.fetched(small) > 0 && !ingest(berth, small).exists();
        Ok((done && large.iter().all(enough)).then_some(()))
    })?;
    berth.kill()?;
    pull.kill()?;
    pull.wait()?;
    Ok(large.iter().map(|(digest, size)| (digest.clone(), *size, here(berth, digest))).collect())
}

#[test]
fn only_what_is_missing_is_fetched() -> Result<()> {
    let picture = picture()?;
    let faulty = Faulty::start(&picture)?;
    // three layers at a time, and the small one before them
    let mut berth = Berth::bare(&["--max-concurrent-downloads", "4"])?;
    let had = killed_in_the_middle(&mut berth, &faulty, &picture)?;
    faulty.cut();
    faulty.mend();
    faulty.forget();
    berth.spawn()?;
    let reference = faulty.site().name("some/image:latest");
    berth.berth(["pull", &reference])?.ok()?;
    ensure!(berth.berth(["image", "inspect", "-f", "{{.Id}}", &reference])?.ok()? == picture.id()?);
    let small = &picture.layers()?[0].0;
    ensure!(faulty.fetched(small) == 0, "a layer that was whole is fetched again");
    for (digest, size, had) in had {
        let fetched = faulty.fetched(&digest);
        ensure!(fetched + had <= size + SLACK, "{digest}: {fetched} of {size} bytes, and {had} were there");
        ensure!(fetched > 0 && fetched >= size - had, "{digest}: {fetched} of {size} with {had}");
    }
    berth.berth(["rmi", &reference])?.ok()?;
    programs::eventually("nothing is left", || {
        Ok(super::faults::left(&berth.data_root().join("store"))?.is_empty().then_some(()))
    })?;
    berth.finish()
}

/// Whatever became of the bytes on the disk meanwhile: what comes out of it is right.
#[test]
fn what_was_spoiled_meanwhile_is_fetched_anew() -> Result<()> {
    use std::os::unix::fs::FileExt;
    let picture = picture()?;
    let faulty = Faulty::start(&picture)?;
    let mut berth = Berth::bare(&["--max-concurrent-downloads", "4"])?;
    let had = killed_in_the_middle(&mut berth, &faulty, &picture)?;
    faulty.cut();
    faulty.mend();
    let file = |index: usize| -> Result<std::fs::File> {
        let digest = &had.get(index).context("layer")?.0;
        Ok(std::fs::File::options().write(true).open(ingest(&berth, digest))?)
    };
    file(0)?.write_all_at(b"other bytes", 1_000_000)?;
    // longer than the layer
    file(1)?.write_all_at(b"more", 5_000_000)?;
    file(2)?.set_len(0)?;
    berth.spawn()?;
    let reference = faulty.site().name("some/image:latest");
    berth.berth(["pull", &reference])?.ok()?;
    ensure!(berth.berth(["image", "inspect", "-f", "{{.Id}}", &reference])?.ok()? == picture.id()?);
    super::killed::whole(&berth, &reference, &picture)?;
    berth.berth(["rmi", &reference])?.ok()?;
    berth.finish()
}

/// What a pull that nobody takes up again has left goes with a prune.
#[test]
fn a_prune_takes_what_was_given_up() -> Result<()> {
    let picture = picture()?;
    let faulty = Faulty::start(&picture)?;
    let mut berth = Berth::bare(&["--max-concurrent-downloads", "4"])?;
    killed_in_the_middle(&mut berth, &faulty, &picture)?;
    faulty.cut();
    berth.spawn()?;
    let store = berth.data_root().join("store");
    ensure!(!super::faults::left(&store)?.is_empty(), "there is nothing to take up again");
    super::killed::adds_up(&berth)?;
    berth.berth(["image", "prune", "-f"])?.ok()?;
    programs::eventually("nothing is left", || Ok(super::faults::left(&store)?.is_empty().then_some(())))
        .with_context(|| format!("{:?}", super::faults::left(&store)))?;
    super::killed::adds_up(&berth)?;
    berth.finish()
}
