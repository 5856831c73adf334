//! What the other tests lean on: the peers understand what the fixtures make, without anything of ours between.

use anyhow::{Result, ensure};
use e2e::image::Image;
use e2e::peers::Docker;
use e2e::registry::copiers::Copier;
use e2e::registry::{Access, Faulty, Kind, Packing, Picture, Registry, Style, Wants, noise};

fn picture(style: Style, packings: &[Packing]) -> Result<Picture> {
    let mut image = Image::busybox()?;
    image.layer(|layer| layer.file("noise", 0o644, &noise(1, 100_000)))?;
    Picture::of(&image, style, packings)
}

/// Every way in, at Debian's registry: what is pushed by hand is copied away and back with the same digest.
#[test]
fn debians_registry_lets_in_whom_it_should() -> Result<()> {
    let picture = picture(Style::Oci, &[Packing::Gzip])?;
    let skopeo = Copier::skopeo()?;
    for (access, tls, clients) in
        [(Access::Open, false, false), (Access::Password, true, false), (Access::Token, true, true)]
    {
        let wants = Wants { access, tls, clients, ..Wants::default() };
        let mut registry = Registry::with(Kind::Debian, wants)?;
        let probe = registry.probe_of("some/image")?;
        picture.push(&probe, "some/image", "1")?;
        let folder = skopeo.root().join(format!("{access:?}"));
        skopeo.fetch(registry.site(), "some/image:1", &folder)?;
        skopeo.store(&folder, registry.site(), "some/image:2")?;
        let again = registry.probe_of("some/image")?.manifest("some/image", "2")?;
        ensure!(again.body == picture.bytes()?.1, "{access:?}");
        if access != Access::Open {
            let refused = probe.bearing(None).get("/v2/some/image/manifests/1")?;
            ensure!(refused.status == 401, "{access:?}: {refused:?}");
        }
        registry.terminate()?;
    }
    Ok(())
}

/// An index, of images in all packings, goes from the misbehaving registry (which behaves here) through every
/// peer that can pull it.
#[test]
fn peers_pull_what_the_fixtures_make() -> Result<()> {
    let image = picture(Style::Oci, &[Packing::Zstd, Packing::Plain])?;
    let index =
        Picture::index(Style::Oci, &[(e2e::image::ARCHITECTURE, image.clone()), ("s390x", image.clone())])?;
    let faulty = Faulty::start(&image.attested()?)?;
    let site = faulty.site();
    let skopeo = Copier::skopeo()?;
    skopeo.fetch(&site, "any/name:latest", &skopeo.root().join("attested"))?;
    faulty.replace(&index);
    faulty.forget();
    skopeo.fetch(&site, "any/name:latest", &skopeo.root().join("copy"))?;
    for (digest, bytes) in &index.blobs {
        // as often as the program wants, but whole
        let (fetched, whole) = (faulty.fetched(digest), bytes.len() as u64);
        ensure!(fetched > 0 && fetched % whole == 0, "{digest}: {fetched} of {whole}");
    }
    let old = picture(Style::Docker, &[Packing::Gzip])?;
    faulty.replace(&old);
    for copier in [Copier::podman()?, Copier::buildah()?] {
        copier.transfer("pull", &site, "any/name:latest")?;
        copier.run(&["tag", &site.name("any/name:latest"), &site.name("any/name:again")])?.ok()?;
        copier.transfer("push", &site, "any/name:again")?;
    }
    let docker = Docker::start(Docker::NO_NETWORK)?;
    docker.run(&["pull", &site.name("any/name:latest")])?.ok()?;
    let id = docker.run(&["image", "inspect", "-f", "{{.Id}}", &site.name("any/name:latest")])?.ok()?;
    ensure!(id == old.id()?, "{id}");
    docker.run(&["tag", &id, &site.name("any/name:pushed")])?.ok()?;
    docker.run(&["push", &site.name("any/name:pushed")])?.ok()?;
    let pushed = faulty.asked("PUT", "/manifests/pushed");
    ensure!(pushed.len() == 1, "{pushed:?}");
    docker.stop()
}
