//! Every engine with every registry, by every way in: pulled, run, pushed, and still the same image.

use anyhow::{Context, Result, ensure};
use e2e::image::Image;
use e2e::peers::Docker;
use e2e::registry::copiers::Copier;
use e2e::registry::engines::{Ours, OursByDocker};
use e2e::registry::{Access, Engine, Kind, Packing, Picture, Registry, Style, Wants, noise};
use e2e::{Berth, programs};

/// busybox and a layer of noise.
fn image(seed: u64) -> Result<Image> {
    let mut image = Image::busybox()?;
    image.layer(|layer| layer.file("noise", 0o644, &noise(seed, 300_000)))?;
    Ok(image)
}

/// A daemon that looks for certificates in a folder of the test's own.
fn berth() -> Result<(Berth, tempfile::TempDir)> {
    let certs = tempfile::tempdir()?;
    let path = certs.path().to_str().context("path")?;
    Ok((Berth::with_environment(&[("BERTH_CERTS_D", path)], &[])?, certs))
}

/// Puts a registry's certificates where the daemon looks for them.
fn trust(certs: &tempfile::TempDir, registry: &Registry) -> Result<()> {
    let site = registry.site();
    let Some(folder) = &site.certificates else { return Ok(()) };
    let place = certs.path().join(&site.address);
    std::fs::create_dir(&place)?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        std::fs::copy(entry.path(), place.join(entry.file_name()))?;
    }
    Ok(())
}

/// Pull, push under another name, pull again by the new name's digest.
fn there_and_back(engine: &dyn Engine, registry: &Registry, picture: &Picture) -> Result<()> {
    let site = registry.site();
    engine.login(site)?;
    engine.pull(site, "team/app:1")?;
    let first = site.name("team/app:1");
    ensure!(engine.id(&first)? == picture.id()?, "another image");
    let copy = format!("copy/{}:2", engine.name().rsplit('/').next().unwrap_or_default().replace(' ', "-"));
    engine.tag(&first, &site.name(&copy))?;
    engine.push(site, &copy)?;
    let (name, tag) = copy.split_once(':').context("tag")?;
    let pushed = registry.probe_of(name)?.manifest(name, tag)?;
    let document = pushed.json()?;
    ensure!(document["config"]["digest"] == picture.id()?.as_str(), "{document}");
    engine.remove(&site.name(&copy))?;
    engine.remove(&first)?;
    engine.pull(site, &copy)?;
    ensure!(engine.id(&site.name(&copy))? == picture.id()?, "another image after all");
    engine.remove(&site.name(&copy))
}

/// Every way in.
const WAYS: [(Access, bool, bool); 5] = [
    (Access::Open, false, false),
    (Access::Open, true, true),
    (Access::Password, false, false),
    (Access::Password, true, false),
    (Access::Token, true, false),
];

fn through_all_ways(kind: Kind, work: impl Fn(&Registry, &Picture) -> Result<()>) -> Result<()> {
    for (access, tls, clients) in WAYS {
        let registry = Registry::with(kind, Wants { access, tls, clients, ..Wants::default() })?;
        let picture = Picture::of(&image(1)?, Style::Docker, &[Packing::Gzip])?;
        picture.push(&registry.probe_of("team/app")?, "team/app", "1")?;
        work(&registry, &picture)
            .with_context(|| format!("{kind:?}, {access:?}, TLS {tls}, client certificates {clients}"))
            .with_context(|| registry.log())?;
    }
    Ok(())
}

fn ours_with(kind: Kind) -> Result<()> {
    let (berth, certs) = berth()?;
    through_all_ways(kind, |registry, picture| {
        trust(&certs, registry)?;
        there_and_back(&Ours(&berth), registry, picture).context("berth")?;
        there_and_back(&OursByDocker(&berth), registry, picture).context("docker on berthd")
    })?;
    berth.finish()
}

#[test]
fn our_engine_with_debians_registry() -> Result<()> {
    ours_with(Kind::Debian)
}

#[test]
fn our_engine_with_our_registry() -> Result<()> {
    ours_with(Kind::Ours)
}

/// dockerd takes loopback addresses for insecure: it speaks TLS there, but checks no certificate and has none.
#[test]
fn dockerd_with_our_registry() -> Result<()> {
    let docker = Docker::start(Docker::NO_NETWORK)?;
    through_all_ways(Kind::Ours, |registry, picture| match registry.wants().clients {
        true => Ok(()),
        false => there_and_back(&docker, registry, picture),
    })?;
    docker.stop()
}

#[test]
fn podman_with_our_registry() -> Result<()> {
    let podman = Copier::podman()?;
    through_all_ways(Kind::Ours, |registry, picture| there_and_back(&podman, registry, picture))
}

#[test]
fn buildah_with_our_registry() -> Result<()> {
    let buildah = Copier::buildah()?;
    through_all_ways(Kind::Ours, |registry, picture| there_and_back(&buildah, registry, picture))
}

/// All that an index has, each byte as it was.
#[test]
fn skopeo_with_our_registry() -> Result<()> {
    let skopeo = Copier::skopeo()?;
    through_all_ways(Kind::Ours, |registry, _| {
        let one = Picture::of(&image(2)?, Style::Oci, &[Packing::Zstd, Packing::Plain])?;
        let other = Picture::made_for(&image(3)?, "s390x", Style::Oci, &[Packing::Gzip])?;
        let index = Picture::index(Style::Oci, &[(e2e::image::ARCHITECTURE, one), ("s390x", other)])?;
        index.push(&registry.probe_of("many/of")?, "many/of", "them")?;
        let folder = tempfile::tempdir_in(skopeo.root())?;
        let place = folder.path().join("copy");
        skopeo.fetch(registry.site(), "many/of:them", &place)?;
        skopeo.store(&place, registry.site(), "again/of:them")?;
        let again = registry.probe_of("again/of")?.manifest("again/of", "them")?;
        ensure!(again.body == index.bytes()?.1, "the index is another one");
        let bytes = skopeo.raw(registry.site(), "again/of:them")?;
        ensure!(bytes.as_bytes() == index.bytes()?.1, "{bytes}");
        Ok(())
    })
}

/// One image from engine to engine: dockerd → Debian's registry → berth → our registry → skopeo → Debian's →
/// dockerd → our registry → berth. Its manifest has the same digest at every station.
#[test]
fn a_digest_survives_three_engines() -> Result<()> {
    let (berth, _certs) = berth()?;
    let docker = Docker::start(Docker::NO_NETWORK)?;
    let skopeo = Copier::skopeo()?;
    let (debian, ours) = (Registry::start(Kind::Debian)?, Registry::start(Kind::Ours)?);
    let archive = berth.root().join("image.tar");
    let id = image(5)?.save(&archive, "start:1")?;
    docker.run(&["load", "-i", archive.to_str().context("path")?])?.ok()?;
    let digest = |registry: &Registry, name: &str| -> Result<String> {
        let manifest = registry.probe_of(name)?.manifest(name, "1")?;
        let config = manifest.json()?["config"]["digest"].as_str().unwrap_or_default().to_owned();
        ensure!(config == id, "{name} is {config} instead of {id}");
        Ok(format!("sha256:{}", e2e::image::sha256(&manifest.body)))
    };
    Engine::tag(&docker, "start:1", &debian.site().name("one:1"))?;
    docker.push(debian.site(), "one:1")?;
    let first = digest(&debian, "one")?;
    let engine = Ours(&berth);
    engine.pull(debian.site(), "one:1")?;
    engine.tag(&debian.site().name("one:1"), &debian.site().name("two:1"))?;
    engine.push(debian.site(), "two:1")?;
    ensure!(digest(&debian, "two")? == first, "berth pushes another manifest than it has pulled");
    let folder = skopeo.root().join("copy");
    skopeo.fetch(debian.site(), "two:1", &folder)?;
    skopeo.store(&folder, ours.site(), "three:1")?;
    ensure!(digest(&ours, "three")? == first, "skopeo");
    Engine::remove(&docker, "start:1")?;
    Engine::remove(&docker, &debian.site().name("one:1"))?;
    docker.pull(ours.site(), "three:1")?;
    Engine::tag(&docker, &ours.site().name("three:1"), &ours.site().name("four:1"))?;
    docker.push(ours.site(), "four:1")?;
    ensure!(digest(&ours, "four")? == first, "dockerd");
    engine.remove(&debian.site().name("one:1"))?;
    engine.remove(&debian.site().name("two:1"))?;
    let pinned = format!("four@{first}");
    engine.pull(ours.site(), &pinned)?;
    ensure!(engine.id(&ours.site().name(&pinned))? == id);
    let shown = ["images", "--digests", "--format", "{{.Digest}} {{.ID}}", "--no-trunc"];
    let listed = programs::run(&mut engine.command(&shown)?)?.ok()?;
    ensure!(listed.contains(&format!("{first} {id}")), "{listed}");
    docker.stop()?;
    berth.finish()
}
