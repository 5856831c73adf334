//! Images for several platforms, and what lies beside them in an index.

use anyhow::{Result, ensure};
use e2e::daemon::Berth;
use e2e::http;
use e2e::image::{ARCHITECTURE, Image};
use e2e::registry::{Faulty, Packing, Picture, Style};

use super::{digests, picture};

#[test]
fn the_host_s_platform_or_the_one_asked_for() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let own = picture(Style::Oci, &[Packing::Gzip], &[100])?;
    let other = Picture::made_for(&Image::busybox()?, "s390x", Style::Oci, &[Packing::Gzip])?;
    let index = Picture::index(Style::Oci, &[("s390x", other.clone()), (ARCHITECTURE, own.clone())])?;
    let faulty = Faulty::start(&index)?;
    let name = faulty.site().name("multi/arch:1");
    berth.berth(["pull", &name])?.ok()?;
    let inspect = |format: &str| berth.docker(["image", "inspect", "-f", format, &name])?.ok();
    ensure!(inspect("{{.Id}}")? == own.id()?);
    ensure!(inspect("{{.Architecture}}")? == ARCHITECTURE);
    ensure!(digests(&berth, &name)?.ends_with(&format!("@{}", index.root)));
    // nothing of the other platform was fetched
    let foreign: Vec<_> = other.blobs.keys().filter(|digest| !own.blobs.contains_key(*digest)).collect();
    ensure!(!foreign.is_empty() && foreign.iter().all(|digest| faulty.fetched(digest) == 0), "{foreign:?}");
    berth.docker(["pull", "--platform", "linux/s390x", &name])?.ok()?;
    ensure!(inspect("{{.Architecture}}")? == "s390x");
    let error =
        "no matching manifest for linux/riscv64 in the manifest list entries (there are: linux/s390x, linux/";
    berth.berth(["pull", "--platform", "linux/riscv64", &name])?.fails(1, error)?;
    // As in Docker the pull has begun by then: it is said in the stream.
    let answer =
        http::ask(berth.root(), "POST", &format!("/images/create?fromImage={name}&platform=linux/riscv64"))?;
    let (status, text) = (answer.status, answer.text()?);
    ensure!(status == 200 && text.contains("no matching manifest for"), "{text}");
    let asked = http::get(berth.root(), &format!("/distribution/{name}/json"))?;
    ensure!(asked["Descriptor"]["digest"] == index.root, "{asked}");
    ensure!(asked["Platforms"].as_array().map(Vec::len) == Some(2), "{asked}");
    berth.finish()
}

/// An attestation's manifest is kept with its image, and is no image.
#[test]
fn attestations_are_kept() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let attested = picture(Style::Oci, &[Packing::Gzip], &[100])?.attested()?;
    let faulty = Faulty::start(&attested)?;
    let name = faulty.site().name("att/ested:1");
    berth.berth(["pull", &name])?.ok()?;
    ensure!(digests(&berth, &name)?.ends_with(&format!("@{}", attested.root)));
    let blobs = berth.data_root().join("store/blobs/sha256");
    for digest in attested.manifests.keys() {
        let path = blobs.join(&digest["sha256:".len()..]);
        ensure!(path.exists(), "{} is not kept", path.display());
    }
    berth.berth(["rmi", &name])?.ok()?;
    ensure!(std::fs::read_dir(&blobs)?.next().is_none(), "something of it stays");
    berth.finish()
}

/// The tree of an image's platforms, as Docker's client draws it; what is here is told from what is not.
#[test]
fn the_tree_of_platforms() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let own = picture(Style::Oci, &[Packing::Gzip], &[100])?;
    let other = Picture::made_for(&Image::busybox()?, "s390x", Style::Oci, &[Packing::Gzip])?;
    let index = Picture::index(Style::Oci, &[(ARCHITECTURE, own), ("s390x", other)])?;
    let faulty = Faulty::start(&index)?;
    let name = faulty.site().name("several:1");
    berth.berth(["pull", "-q", &name])?.ok()?;
    berth.berth(["tag", &name, "a/rather/long/name/of/the/same:1"])?.ok()?;
    berth.berth(["create", "--name", "user", &name, "true"])?.ok()?;
    let tree = berth.berth(["image", "ls", "--tree"])?.ok()?;
    ensure!(
        tree.contains(&format!("├─ linux/{ARCHITECTURE} ")) && tree.contains("└─ linux/s390x "),
        "{tree}"
    );
    ensure!(tree.matches(" U ").count() == 3, "the legend, the image and its platform are in use: {tree}");
    let asked = http::get(berth.root(), &format!("/images/{name}/json?manifests=true"))?;
    ensure!(
        asked["Descriptor"]["digest"] == index.root && asked["Manifests"][0]["Available"] == true,
        "{asked}"
    );
    ensure!(
        asked["Manifests"][1]["Available"] == false && asked["Manifests"][1]["Kind"] == "image",
        "{asked}"
    );
    let client =
        e2e::programs::run(&mut berth.docker_command(["version", "-f", "{{.Client.APIVersion}}"])?)?;
    // A client that has the flag draws the same.
    if client.stdout.trim().split_once('.').and_then(|(_, minor)| minor.parse::<u32>().ok()) >= Some(48) {
        ensure!(berth.docker(["images", "--tree"])?.ok()? == tree, "{tree}");
    }
    berth.berth(["rm", "user"])?.ok()?;
    berth.finish()
}

/// What is for another system is refused before its layers are fetched, also without an index to choose from.
#[test]
fn an_image_of_another_system_is_refused() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let mut alien = Picture::default();
    let config = serde_json::json!({"architecture": "amd64", "os": "windows", "config": {},
        "rootfs": {"type": "layers", "diff_ids": []}});
    let config = alien.blob(serde_json::to_vec(&config)?, "application/vnd.oci.image.config.v1+json");
    let kind = e2e::registry::picture::OCI_MANIFEST;
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []});
    alien.manifest(kind, &manifest)?;
    let faulty = Faulty::start(&alien)?;
    let words = "image operating system \"windows\" cannot be used on this platform";
    berth.berth(["pull", &faulty.site().name("win:1")])?.fails(1, words)?;
    ensure!(berth.berth(["images", "-aq"])?.ok()?.is_empty());
    berth.finish()
}
