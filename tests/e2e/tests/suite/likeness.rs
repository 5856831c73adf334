//! Small things in which Docker's own daemon was seen to behave otherwise.

use anyhow::{Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;

/// A client takes a 404 on creation for a missing image, and pulls: nothing else may be answered so.
#[test]
fn only_a_missing_image_is_pulled() -> Result<()> {
    let berth = Berth::start()?;
    for (option, value, words) in [
        ("--network", "nosuch", "network nosuch not found"),
        ("--network", "container:nosuch", "No such container: nosuch"),
        ("--volumes-from", "nosuch", "No such container: nosuch"),
        ("--pid", "container:nosuch", "No such container: nosuch"),
    ] {
        let ran = berth.docker(["run", "--rm", option, value, IMAGE, "true"])?;
        ensure!(ran.code == 125 && ran.stderr.contains(words), "{option} {value}: {ran:?}");
        ensure!(!ran.stderr.contains("Unable to find image"), "{option} {value} pulls: {ran:?}");
    }
    berth.finish()
}

/// What a container without a process shows: no ports, and the image's id once the name is gone.
#[test]
fn a_container_at_rest() -> Result<()> {
    let berth = Berth::start()?;
    berth.berth(["tag", IMAGE, "likeness:1"])?.ok()?;
    berth.berth(["create", "--name", "rest", "--expose", "80", "likeness:1", "true"])?.ok()?;
    let shown = || berth.berth(["ps", "-a", "--format", "{{.Image}} [{{.Ports}}]"])?.ok();
    ensure!(shown()? == "likeness:1 []", "{:?}", shown());
    berth.berth(["start", "-a", "rest"])?.ok()?;
    let ports = berth.berth(["inspect", "-f", "{{json .NetworkSettings.Ports}}", "rest"])?.ok()?;
    ensure!(ports == "{}", "{ports}");
    berth.berth(["rmi", "likeness:1"])?.ok()?;
    let id = berth.berth(["inspect", "-f", "{{.Image}}", "rest"])?.ok()?;
    let id = id.trim_start_matches("sha256:").get(..12).unwrap_or_default().to_owned();
    ensure!(shown()? == format!("{id} []"), "{:?} instead of {id}", shown());
    berth.berth(["rm", "rest"])?.ok()?;
    berth.finish()
}

/// Defaults that inspect spells out.
#[test]
fn completed_settings() -> Result<()> {
    let berth = Berth::start()?;
    let create = ["create", "--name", "settled", "-m", "32m", "--pids-limit", "-1", IMAGE, "true"];
    berth.berth(create)?.ok()?;
    let format =
        "{{.HostConfig.MemorySwap}} {{json .HostConfig.PidsLimit}} {{index .HostConfig.ReadonlyPaths 0}}";
    let shown = berth.berth(["inspect", "-f", format, "settled"])?.ok()?;
    ensure!(shown == "67108864 null /proc/bus", "{shown}");
    berth.berth(["rm", "settled"])?.ok()?;
    berth.berth(["run", "--rm", "--ipc", "host", IMAGE, "test", "-d", "/dev/mqueue"])?.ok()?;
    berth.finish()
}
