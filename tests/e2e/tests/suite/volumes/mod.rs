//! Volumes and mounts, driven by both command lines.

mod driver;
mod keeping;
mod likeness;
mod mounts;
mod subpath;

use anyhow::Result;
use e2e::Berth;
use e2e::image::Image;
use serde_json::json;

/// busybox with files in a volume of its own: `/data` is 750 and 1000's, and declared.
const IMAGE: &str = "volumes:1";

fn start() -> Result<Berth> {
    let berth = Berth::bare(&[])?;
    let mut image = Image::busybox()?.config("Volumes", json!({ "/data": {} }));
    image.layer(|layer| {
        layer.dir("data/", 0o750)?;
        layer.file("data/file", 0o640, b"of the image\n")?;
        layer.dir("data/sub/", 0o711)?;
        layer.file("data/sub/deep", 0o600, b"deep\n")?;
        layer.symlink("data/link", "sub/deep")?;
        layer.symlink("outside", "/data/sub")
    })?;
    berth.load(&image, IMAGE)?;
    Ok(berth)
}

/// A `run --rm` without a network, of a shell script.
fn run<'a>(options: &[&'a str], script: &'a str) -> Vec<&'a str> {
    let mut words = vec!["run", "--rm", "--network", "none"];
    words.extend(options);
    words.extend([IMAGE, "sh", "-c", script]);
    words
}
