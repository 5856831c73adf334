//! A registry that misbehaves: the error says what is wrong, memory and disk stay bounded, nothing that is wrong is
//! taken for right, and the same pull works once the registry does.

mod credentials;
mod documents;
mod layers;
mod pushes;
mod slow;
mod transport;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::image::Image;
use e2e::registry::{Faulty, Packing, Picture, Style, noise};
use e2e::{Berth, programs};

/// What a pull of a small image may add to the daemon's memory at most.
const MEMORY: u64 = 96 << 20;

/// A daemon that tries twice, and what its memory was before anything was pulled.
struct Lab {
    berth: Berth,
    before: u64,
}

/// How a case ends.
enum Ends<'a> {
    /// The pull fails, and says all of this.
    Says(&'a [&'a str]),
    /// It works, by trying again or because nothing was wrong with what counts.
    Works,
}

/// Two layers: one that is small, one of a few segments' worth of noise.
fn picture() -> Result<Picture> {
    let mut image = Image::scratch();
    image.layer(|layer| layer.file("small", 0o644, b"small"))?;
    image.layer(|layer| layer.file("large", 0o644, &noise(7, 3 << 20)))?;
    Picture::of(&image, Style::Oci, &[Packing::Gzip])
}

/// The digest of the larger layer.
fn large(picture: &Picture) -> Result<String> {
    Ok(picture.layers()?.pop().context("no layers")?.0)
}

impl Lab {
    fn new() -> Result<Self> {
        let berth = Berth::bare(&["--max-download-attempts", "2"])?;
        let before = memory(&berth)?;
        Ok(Self { berth, before })
    }

    /// Pulls while `break_it` holds, and again when everything is well.
    fn case(
        &self,
        name: &str,
        picture: &Picture,
        ends: Ends,
        break_it: impl FnOnce(&Faulty) -> Result<()>,
    ) -> Result<()> {
        let faulty = Faulty::start(picture)?;
        break_it(&faulty)?;
        self.run(&faulty, name, ends)?;
        faulty.mend();
        faulty.replace(picture);
        self.works(&faulty, picture).with_context(|| format!("{name}: and then everything is well"))
    }

    /// Pulls what can't be pulled.
    fn never(&self, name: &str, picture: &Picture, words: &[&str]) -> Result<()> {
        let faulty = Faulty::start(picture)?;
        self.run(&faulty, name, Ends::Says(words))
    }

    fn run(&self, faulty: &Faulty, name: &str, ends: Ends) -> Result<()> {
        let reference = faulty.site().name("some/image:latest");
        let mut command = self.berth.berth_command(["pull", &reference])?;
        let ran = programs::run_with(&mut command, b"", Duration::from_secs(100)).context(name.to_owned())?;
        match ends {
            Ends::Works => {
                ran.ok().context(name.to_owned())?;
                self.berth.berth(["rmi", &reference])?.ok()?;
            }
            Ends::Says(words) => {
                ensure!(ran.code == 1, "{name}: {ran:?}");
                for word in words {
                    ensure!(ran.stderr.contains(word), "{name}: not {word:?} in {:?}", ran.stderr);
                }
                ensure!(ran.stderr.len() < 4000, "{name}: {} bytes of error", ran.stderr.len());
            }
        }
        self.clean().context(name.to_owned())
    }

    fn works(&self, faulty: &Faulty, picture: &Picture) -> Result<()> {
        let reference = faulty.site().name("some/image:latest");
        self.berth.berth(["pull", &reference])?.ok()?;
        let id = self.berth.berth(["image", "inspect", "-f", "{{.Id}}", &reference])?.ok()?;
        if picture.document()?.get("config").is_some() {
            ensure!(id == picture.id()?, "{id}");
        }
        self.berth.berth(["rmi", &reference])?.ok()?;
        self.clean()
    }

    /// No image is there, the memory is bounded, and after a prune nothing is left on the disk.
    fn clean(&self) -> Result<()> {
        ensure!(self.berth.berth(["images", "-aq"])?.ok()?.is_empty(), "an image has come out of it");
        let grown = memory(&self.berth)?.saturating_sub(self.before);
        ensure!(grown < MEMORY, "the daemon's memory has grown by {grown} bytes");
        programs::eventually("nothing is left", || {
            // again: a transfer that was given up ends a moment after its pull has told so
            self.berth.berth(["image", "prune", "-f"])?.ok()?;
            let left = left(&self.berth.data_root().join("store"))?;
            Ok(left.is_empty().then_some(()))
        })
        .with_context(|| format!("{:?}", left(&self.berth.data_root().join("store"))))
    }

    fn finish(self) -> Result<()> {
        self.berth.finish()
    }
}

/// What of images lies in a store.
pub(super) fn left(store: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for place in ["blobs/sha256", "images", "chains", "layers", "ingest", "tmp", "trash"] {
        let Ok(entries) = std::fs::read_dir(store.join(place)) else { continue };
        for entry in entries {
            found.push(format!("{place}/{}", entry?.file_name().to_string_lossy()));
        }
    }
    for boot in std::fs::read_dir(store.join("pulled")).into_iter().flatten() {
        for layer in std::fs::read_dir(boot?.path())? {
            found.push(format!("pulled/{}", layer?.file_name().to_string_lossy()));
        }
    }
    Ok(found)
}

/// The most memory that the daemon has had, in bytes.
pub(super) fn memory(berth: &Berth) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", berth.pid()?))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}
