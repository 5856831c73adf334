//! Wrong input: Docker's status, a message that names the thing, and nothing left.

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use e2e::image::Image;
use e2e::leaks;

#[test]
fn names_images_and_flags() -> Result<()> {
    let berth = Berth::start()?;
    for (args, code, words) in [
        (&["run", "--rm", "no-such-image:1", "true"] as &[&str], 125, "no-such-image:1"),
        (&["run", "--rm", "upper/CASE", "true"], 125, "invalid reference format"),
        (&["run", "--name", "bad/name", IMAGE, "true"], 125, "Invalid container name (bad/name)"),
        (&["run", "--no-such-flag", IMAGE], 125, "unknown flag: --no-such-flag"),
        (&["run", "-m", "lots", IMAGE], 125, "lots"),
        (&["run", "--cpus", "many", IMAGE], 125, "many"),
        (&["run", "-u", "nobody-here", IMAGE, "true"], 125, "nobody-here"),
        (&["run", "-u", "4294967296", IMAGE, "true"], 125, "uids and gids must be in range 0-2147483647"),
        (&["inspect", "nothing"], 1, "nothing"),
        (&["start", "nothing"], 1, "No such container: nothing"),
        (&["rmi", "nothing"], 1, "No such image: nothing"),
        (&["no-such-command"], 1, "no-such-command"),
        (&["service", "ls"], 1, "Kubernetes"),
        (&["load", "-i", "/no/such/file"], 1, "/no/such/file"),
    ] {
        berth.berth(args)?.fails(code, words)?;
    }
    berth.docker(["run", "--rm", "no-such-image:1", "true"])?.fails(125, "no-such-image")?;
    berth.docker(["run", "--name", "bad/name", IMAGE])?.fails(125, "Invalid container name (bad/name)")?;
    for container in berth.berth(["ps", "-aq"])?.ok()?.lines() {
        // As with Docker, a container whose start failed stays in `created`; one whose creation failed is not there.
        let state = berth.berth(["inspect", "-f", "{{.State.Status}}", container])?.ok()?;
        ensure!(state == "created", "{container} is {state}");
    }
    berth.finish()
}

#[test]
fn archives_that_lie() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let path = berth.root().join("image.tar");
    let name = path.to_string_lossy().into_owned();
    Image::busybox()?.save(&path, "lie:1")?;
    let good = std::fs::read(&path)?;

    std::fs::write(&path, &good[..good.len() / 2])?;
    ensure!(berth.docker(["load", "-i", &name])?.code == 1, "a truncated archive was loaded");

    // One byte inside of a layer's file: every header still holds, the digest does not.
    let mut bad = good.clone();
    let content = bad.windows(9).position(|part| part == b"BusyBox v");
    bad[content.context("the layer has no busybox")?] ^= 1;
    std::fs::write(&path, &bad)?;
    let ran = berth.docker(["load", "-i", &name])?;
    ensure!(ran.code == 1 && ran.stderr.contains("sha256"), "a wrong digest: {ran:?}");

    std::fs::write(&path, b"this is not an archive")?;
    ensure!(berth.docker(["load", "-i", &name])?.code == 1);
    ensure!(berth.docker(["images", "-aq"])?.ok()?.is_empty());
    // Nothing half-made: the good one loads into an empty store and runs.
    let blobs =
        |below: &str| std::fs::read_dir(berth.data_root().join(below)).map(Iterator::count).unwrap_or(0);
    ensure!(blobs("store/layers") == 0 && blobs("store/tmp") == 0, "something half-made is left");
    std::fs::write(&path, &good)?;
    berth.docker(["load", "-i", &name])?.ok()?;
    ensure!(berth.docker(["run", "--rm", "lie:1", "echo", "fine"])?.ok()? == "fine");
    berth.finish()
}

#[test]
fn a_full_disk() -> Result<()> {
    let disk = tempfile::Builder::new().prefix("berth-disk-").tempdir()?;
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
        .arg(disk.path())
        .status()?;
    ensure!(mount.success());
    let outcome = on_full_disk(disk.path());
    ensure!(
        std::process::Command::new("umount").arg(disk.path()).status()?.success(),
        "the disk is still in use"
    );
    outcome
}

fn on_full_disk(disk: &std::path::Path) -> Result<()> {
    let berth = Berth::at(disk.join("data"), &[])?;
    let mut image = Image::busybox()?;
    let noise: Vec<u8> = (0..8_000_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    image.layer(|layer| layer.file("big", 0o644, &noise))?;
    let path = berth.root().join("big.tar");
    image.save(&path, "big:1")?;
    let ran = berth.docker(["load", "-i", &path.to_string_lossy()])?;
    ensure!(ran.code == 1 && ran.stderr.to_lowercase().contains("no space left"), "{ran:?}");
    ensure!(berth.docker(["images", "-aq"])?.ok()?.is_empty());
    berth.load(&Image::busybox()?, "small:1")?;
    ensure!(berth.docker(["run", "--rm", "small:1", "echo", "fits"])?.ok()? == "fits");
    leaks::no_container(&berth)?;
    berth.finish()
}
