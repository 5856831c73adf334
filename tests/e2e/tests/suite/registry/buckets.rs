//! A registry of two instances whose storage is a bucket of an object store, and the real engines.

use anyhow::{Context, Result, ensure};
use e2e::image::Image;
use e2e::peers::Docker;
use e2e::registry::copiers::Copier;
use e2e::registry::engines::Ours;
use e2e::registry::{Engine, Kind, Moto, Packing, Picture, Registry, Style, Wants, noise};
use e2e::{Berth, programs};

/// busybox and a layer of noise that is more than one part.
fn image(seed: u64) -> Result<Image> {
    let mut image = Image::busybox()?;
    image.layer(|layer| layer.file("noise", 0o644, &noise(seed, 7 << 20)))?;
    Ok(image)
}

fn instance(moto: &Moto, more: &str) -> Result<Registry> {
    let bucket = Moto::storage(moto.address(), "registry", &format!("part_size = '5MiB'\n{more}"));
    Registry::with(Kind::Ours, Wants { bucket: Some(bucket), ..Wants::default() })
}

/// Pushed to one instance, pulled from the other, by each engine; what one pushes is what the next one pulls.
fn from_engine_to_engine(more: &str) -> Result<()> {
    let moto = Moto::start()?;
    let (one, other) = (instance(&moto, more)?, instance(&moto, more)?);
    let picture = Picture::of(&image(1)?, Style::Docker, &[Packing::Gzip])?;
    picture.push(&one.probe_of("team/app")?, "team/app", "0")?;
    let (berth, docker, podman) = (Berth::bare(&[])?, Docker::start(Docker::NO_NETWORK)?, Copier::podman()?);
    let engine = Ours(&berth);
    let engines: [&dyn Engine; 3] = [&docker, &podman, &engine];
    for (at, engine) in engines.into_iter().enumerate() {
        let (from, to) = (format!("team/app:{at}"), format!("team/app:{}", at + 1));
        engine.pull(other.site(), &from).with_context(|| other.log())?;
        let name = other.site().name(&from);
        ensure!(engine.id(&name)? == picture.id()?, "{}: another image", engine.name());
        engine.tag(&name, &one.site().name(&to))?;
        engine.push(one.site(), &to).with_context(|| one.log())?;
    }
    // and all of it once more through skopeo, each byte as it was
    let skopeo = Copier::skopeo()?;
    let folder = skopeo.root().join("copy");
    skopeo.fetch(other.site(), "team/app:3", &folder)?;
    skopeo.store(&folder, one.site(), "again/app:1")?;
    let document = other.probe_of("again/app")?.manifest("again/app", "1")?.json()?;
    ensure!(document["config"]["digest"] == picture.id()?.as_str(), "{document}");
    ensure!(moto.keys("registry/uploads")?.is_empty() && moto.multiparts()? == 0, "{:?}", moto.keys("")?);
    for registry in [&one, &other] {
        ensure!(!registry.log().contains("hush") && !registry.log().contains("X-Amz-Signature"));
    }
    docker.stop()?;
    berth.finish()
}

#[test]
fn two_instances_on_one_bucket_serve_every_engine() -> Result<()> {
    from_engine_to_engine("")
}

/// Blobs come from the store itself.
#[test]
fn every_engine_follows_to_the_bucket() -> Result<()> {
    from_engine_to_engine("redirect = true")
}

/// What was answered for is there after a kill; what was not is no part of anything.
#[test]
fn kill_minus_nine_leaves_a_bucket_consistent() -> Result<()> {
    let moto = Moto::start()?;
    let mut registry = instance(&moto, "")?;
    for round in 0..3_u64 {
        let picture = Picture::of(&image(10 + round)?, Style::Oci, &[Packing::Gzip])?;
        let before = moto.log().lines().count();
        let probe = registry.probe_of("a")?;
        let pushing = std::thread::spawn({
            let picture = picture.clone();
            move || picture.push(&probe, "a", "cut")
        });
        // each life ends at another moment of the push
        programs::eventually("the push is under way", || {
            let done = moto.log().lines().count() - before;
            Ok((done > 4 + 7 * round as usize || pushing.is_finished()).then_some(()))
        })?;
        registry.kill()?;
        drop(pushing.join());
        registry.resume()?;
        picture.push(&registry.probe_of("a")?, "a", &format!("r{round}"))?;
        let skopeo = Copier::skopeo()?;
        skopeo.fetch(registry.site(), &format!("a:r{round}"), &skopeo.root().join("copy"))?;
    }
    Ok(())
}
