//! `berth registry serve` as a program: what it hears, whom it tells, and what it keeps of another registry.

mod cache;
mod garbage;
mod watching;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use e2e::image::Image;
use e2e::registry::{Packing, Picture, Registry, Style, noise};
use rustix::process::{Pid, Signal};

/// A small image, one for each seed.
fn picture(seed: u64) -> Result<Picture> {
    let mut image = Image::scratch();
    image.layer(|layer| layer.file("noise", 0o644, &noise(seed, 30_000)))?;
    Picture::of(&image, Style::Oci, &[Packing::Gzip])
}

fn signal(registry: &Registry, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(registry.pid()?)?).context("no pid")?;
    Ok(rustix::process::kill_process(pid, signal)?)
}

/// Waits until the registry has said this.
fn says(registry: &Registry, words: &str) -> Result<()> {
    let heard = e2e::programs::eventually(words, || Ok(registry.log().contains(words).then_some(())));
    heard.with_context(|| registry.log())
}

/// The digests of all bytes in the storage.
fn kept(registry: &Registry) -> Result<BTreeSet<String>> {
    let mut folders = vec![registry.storage().join("blobs")];
    let mut kept = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        // a collection may take it away just now
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let Ok(entry) = entry else { continue };
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                false => drop(kept.insert(format!("sha256:{}", entry.file_name().to_string_lossy()))),
            }
        }
    }
    Ok(kept)
}
