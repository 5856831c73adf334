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
    let status =
        http::ask(berth.root(), "POST", &format!("/images/create?fromImage={name}&platform=linux/riscv64"))?
            .status;
    ensure!(status == 404, "{status}");
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
