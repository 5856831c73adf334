//! Layers whose digest is right and whose content is hostile.

use anyhow::{Context, Result, ensure};
use e2e::image::Image;
use e2e::registry::{Packing, Picture, Style, noise};
use serde_json::json;
use tar::EntryType;

use super::{Lab, picture};

fn hostile(fill: impl FnOnce(&mut e2e::image::Layer) -> Result<()>) -> Result<Picture> {
    let mut image = Image::scratch();
    image.layer(|layer| layer.file("first", 0o644, b"first"))?;
    image.layer(fill)?;
    Picture::of(&image, Style::Oci, &[Packing::Gzip])
}

/// The manifest's layer is another one, of the right digest and size.
fn with_layer(bytes: Vec<u8>, media: &str) -> Result<Picture> {
    let mut picture = picture()?;
    let layer = picture.blob(bytes, media);
    picture.altered(|manifest| manifest["layers"][1] = layer)
}

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

#[test]
fn archives_that_want_out() -> Result<()> {
    let lab = Lab::new()?;
    let outside = lab.berth.root().join("outside");
    std::fs::write(&outside, "untouched")?;
    let up = format!("../../../../../../../../../..{}", outside.display());
    for (name, made) in [
        ("a path upwards", hostile(|layer| layer.file(&up[..up.len().min(99)], 0o644, b"changed"))?),
        (
            "a hard link upwards",
            hostile(|layer| layer.entry("link", EntryType::Link, 0o644, b"", &up[..up.len().min(99)]))?,
        ),
        (
            "through a symbolic link",
            hostile(|layer| {
                layer.symlink("dir", lab.berth.root().to_str().context("path")?)?;
                layer.file("dir/outside", 0o644, b"changed")
            })?,
        ),
    ] {
        let faulty = e2e::registry::Faulty::start(&made)?;
        let reference = faulty.site().name("hostile/image:latest");
        let ran = lab.berth.berth(["pull", &reference])?;
        println!("{name}: {} {}", ran.code, ran.stderr.trim_end());
        ensure!(std::fs::read(&outside)? == b"untouched", "{name}: it got out");
        if ran.code == 0 {
            // taken for what it is within the image
            lab.berth.berth(["rmi", &reference])?.ok()?;
        }
        lab.clean().context(name)?;
    }
    lab.finish()
}

#[test]
fn archives_that_are_none() -> Result<()> {
    let lab = Lab::new()?;
    let gzip = |bytes: &[u8]| e2e::registry::picture::pack(bytes, Packing::Gzip);
    lab.never("noise", &with_layer(noise(3, 100_000), GZIP)?, &["invalid archive"])?;
    lab.never("nothing", &with_layer(Vec::new(), GZIP)?, &["wrong diffID"])?;
    lab.never("noise, packed", &with_layer(gzip(&noise(3, 100_000))?, GZIP)?, &["invalid archive"])?;
    let mut half = gzip(&noise(4, 100_000))?;
    half.truncate(50_000);
    lab.never("half of a gzip stream", &with_layer(half, GZIP)?, &["unexpected end"])?;
    let zeros = e2e::registry::picture::pack(&vec![0; 64 << 20], Packing::Zstd)?;
    lab.never(
        "64 MiB of zeros in a few bytes",
        &with_layer(zeros, "application/vnd.oci.image.layer.v1.tar+zstd")?,
        &["wrong diffID"],
    )?;
    lab.never(
        "a type that nobody knows",
        &with_layer(gzip(&[0; 1024])?, "application/x-layer")?,
        &["unsupported media type"],
    )?;
    lab.finish()
}

/// The blob has the manifest's digest, but not the configuration's diffID.
#[test]
fn layers_that_the_configuration_does_not_know() -> Result<()> {
    let lab = Lab::new()?;
    let mut image = Image::scratch();
    image.layer(|layer| layer.file("large", 0o644, &noise(8, 1 << 20)))?;
    let other = Picture::of(&image, Style::Oci, &[Packing::Gzip])?;
    let bytes = other.blobs[&other.layers()?[0].0].as_ref().clone();
    lab.never("another layer", &with_layer(bytes, GZIP)?, &["sha256:"])?;
    // in the other order
    let turned = picture()?.altered(|manifest| {
        if let Some(layers) = manifest["layers"].as_array_mut() {
            layers.reverse();
        }
    })?;
    lab.never("layers in another order", &turned, &["sha256:"])?;
    let foreign = picture()?.altered(|manifest| {
        manifest["layers"][0]["mediaType"] =
            json!("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
        manifest["layers"][0]["urls"] = json!(["file:///etc/passwd", "gopher://localhost/"]);
        manifest["layers"][0]["digest"] = json!(format!("sha256:{}", "1".repeat(64)));
    })?;
    lab.never("a foreign layer from a file", &foreign, &["is no http or https URL"])?;
    lab.finish()
}
