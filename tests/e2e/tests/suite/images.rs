//! Images: load, list, tag, history, save, import, remove.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::image::Image;

/// Images saved by real Docker, where this machine has them.
const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/images");

#[test]
fn save_and_load_keep_the_digests() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let mut image = Image::busybox()?;
    image.layer(|layer| {
        layer.dir("srv/", 0o750)?;
        layer.file("srv/.wh.gone", 0o644, b"")?;
        layer.file("srv/file", 0o640, b"content")?;
        layer.symlink("srv/link", "file")
    })?;
    let id = berth.load(&image, "round/trip:1")?;
    ensure!(berth.docker(["image", "inspect", "-f", "{{.Id}}", "round/trip:1"])?.ok()? == id);
    let layers = ["image", "inspect", "-f", "{{json .RootFS.Layers}}", "round/trip:1"];
    let before = berth.docker(layers)?.ok()?;
    let archive = berth.root().join("saved.tar");
    let archive = archive.to_string_lossy();
    berth.docker(["save", "-o", &archive, "round/trip:1"])?.ok()?;
    berth.docker(["rmi", "round/trip:1"])?.ok()?;
    ensure!(berth.docker(["images", "-aq"])?.ok()?.is_empty());
    berth.docker(["load", "-i", &archive])?.ok()?;
    ensure!(berth.docker(["image", "inspect", "-f", "{{.Id}}", "round/trip:1"])?.ok()? == id);
    ensure!(berth.docker(layers)?.ok()? == before);
    // And once more by our own client, through pipes.
    let again = berth.root().join("again.tar");
    berth.berth(["save", "-o", &again.to_string_lossy(), "round/trip:1"])?.ok()?;
    ensure!(std::fs::read(&again)? == std::fs::read(berth.root().join("saved.tar"))?, "two saves differ");
    berth.finish()
}

#[test]
fn images_saved_by_real_docker_load_and_run() -> Result<()> {
    if !Path::new(REAL).exists() {
        // The self-made images of the other tests have the same layouts.
        let _ = writeln!(std::io::stderr(), "NOT RUN: there are no images here that real Docker has saved");
        return Ok(());
    }
    let berth = Berth::bare(&[])?;
    for (file, tag, id) in [
        ("busybox.docker-20.10-save.tar", "busybox:latest", "ae8a0f87a75d"),
        ("busybox.docker-save.tar", "busybox:latest", "ae8a0f87a75d"),
        ("alpine-3.20.docker-save.tar", "alpine:3.20", "b80af3815281"),
        ("hello-world.docker-save.tar", "hello-world:latest", "b33c07c0827d"),
    ] {
        let said = berth.docker(["load", "-i", &format!("{REAL}/{file}")])?.ok()?;
        ensure!(said.contains(&format!("Loaded image: {tag}")), "{file}: {said}");
        let listed = berth.docker(["images", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"])?.ok()?;
        ensure!(listed.contains(tag), "{listed}");
        let found = berth.docker(["image", "inspect", "-f", "{{.Id}}", tag])?.ok()?;
        ensure!(found.starts_with(&format!("sha256:{id}")), "{tag}: {found}");
    }
    ensure!(berth.docker(["run", "--rm", "alpine:3.20", "cat", "/etc/alpine-release"])?.ok()? == "3.20.3");
    ensure!(berth.docker(["run", "--rm", "busybox", "echo", "hi"])?.ok()? == "hi");
    ensure!(berth.docker(["run", "--rm", "hello-world"])?.ok()?.contains("Hello from Docker!"));
    berth.finish()
}

#[test]
fn tags_history_import_and_removal() -> Result<()> {
    let berth = Berth::start()?;
    let ok = |args: &[&str]| berth.berth(args)?.ok();
    ok(&["tag", IMAGE, "other:v1"])?;
    ensure!(ok(&["images", "-q", "other"])? == ok(&["images", "-q", "berth-test/busybox"])?);
    ensure!(ok(&["history", "-q", "--no-trunc", "other:v1"])?.lines().count() == 1);
    let said = ok(&["rmi", "other:v1"])?;
    ensure!(said == "Untagged: other:v1", "{said}");
    ok(&["run", "--name", "user", IMAGE, "true"])?;
    berth.berth(["rmi", IMAGE])?.fails(1, "conflict")?;
    ok(&["rm", "user"])?;

    let rootfs = berth.root().join("rootfs.tar");
    let mut tar = tar::Builder::new(std::fs::File::create(&rootfs)?);
    tar.append_path_with_name("/bin/busybox", "bin/busybox")?;
    tar.into_inner()?;
    let id = ok(&[
        "import",
        "--change",
        "CMD [\"/bin/busybox\", \"echo\", \"imported\"]",
        &rootfs.to_string_lossy(),
        "imported:1",
    ])?;
    ensure!(id.starts_with("sha256:"), "{id}");
    ensure!(ok(&["run", "--rm", "imported:1"])? == "imported");
    let said = ok(&["rmi", "imported:1"])?;
    ensure!(said.contains("Untagged: imported:1") && said.contains(&format!("Deleted: {id}")), "{said}");
    berth.finish()
}
