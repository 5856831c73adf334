//! Pull and push through the engine, by our command line and by Docker's, from and to Debian's registry and one that
//! counts and misbehaves.

mod kept;
mod login;
mod options;
mod platforms;
mod push;
mod sharing;
mod words;

use anyhow::Result;
use e2e::daemon::Berth;
use e2e::image::Image;
use e2e::registry::{Packing, Picture, Style, noise};

/// An image that runs, with layers of its own above busybox's: one of each of these bytes.
pub(crate) fn picture(style: Style, packings: &[Packing], layers: &[usize]) -> Result<Picture> {
    let mut image = Image::busybox()?;
    for (number, bytes) in layers.iter().enumerate() {
        let seed = number as u64 + 1;
        image.layer(|layer| layer.file(&format!("noise{number}"), 0o644, &noise(seed, *bytes)))?;
    }
    Picture::of(&image, style, packings)
}

/// The repository digests of an image.
fn digests(berth: &Berth, image: &str) -> Result<String> {
    berth.docker(["image", "inspect", "-f", "{{join .RepoDigests \" \"}}", image])?.ok()
}

/// The first twelve digits of a digest.
fn short(digest: &str) -> &str {
    &digest["sha256:".len()..][..12]
}
