//! System containers: a Debian whose first process is systemd.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::debian;
use e2e::image::Image;
use e2e::pty::Terminal;

const DEBIAN: &str = "berth-test/debian-systemd";
/// Not a systemd to run, but one to recognise.
const SMALL: &str = "berth-test/systemd:latest";

fn import(berth: &Berth) -> Result<()> {
    let tar = debian::with_systemd()?;
    let tar = tar.to_string_lossy();
    berth.berth(["import", "--change", "CMD [\"/sbin/init\"]", &tar, DEBIAN])?.ok()?;
    Ok(())
}

/// Waits until the console shows the login prompt's first line, and then until systemd says that all is up.
fn booted(berth: &Berth, name: &str) -> Result<()> {
    let since = berth.berth(["inspect", "-f", "{{.State.StartedAt}}", name])?.ok()?;
    let mut console = Terminal::spawn(&mut berth.berth_command(["logs", "-f", "--since", &since, name])?)?;
    let host = berth.berth(["inspect", "-f", "{{.Config.Hostname}}", name])?.ok()?;
    console.expect(&format!("Debian GNU/Linux 12 {host}"))?;
    console.kill()?;
    let state = berth.docker(["exec", name, "systemctl", "is-system-running", "--wait"])?;
    let failed = berth.docker(["exec", name, "systemctl", "--failed", "--no-pager"])?;
    ensure!(state.stdout.trim() == "running", "{state:?} {failed:?}");
    Ok(())
}

/// Stops it: orderly, long before the time-out of ten seconds, without SIGKILL.
fn stops(berth: &Berth, name: &str) -> Result<()> {
    let begun = Instant::now();
    berth.berth(["stop", name])?.ok()?;
    let took = begun.elapsed();
    ensure!(took < Duration::from_secs(9), "{took:?}");
    ensure!(berth.berth(["inspect", "-f", "{{.State.ExitCode}}", name])?.ok()? == "0");
    Ok(())
}

#[test]
fn systemd_boots_without_privileges_and_shuts_down() -> Result<()> {
    let berth = Berth::start()?;
    import(&berth)?;
    let id = berth.docker(["run", "-d", "--name", "sys", "-m", "512m", DEBIAN])?.ok()?;
    booted(&berth, "sys")?;
    let inside = |script: &str| berth.docker(["exec", "sys", "sh", "-c", script])?.ok();
    ensure!(inside("cat /etc/machine-id")? == id[..32]);
    ensure!(inside("tr '\\0' '\\n' < /proc/1/environ | grep ^container=")? == "container=docker");
    for path in ["/run", "/run/lock", "/tmp", "/var/log/journal"] {
        ensure!(inside(&format!("findmnt -n -o FSTYPE {path}"))? == "tmpfs", "{path}");
    }
    // the walls are those of any container
    let capabilities = inside("grep CapEff /proc/1/status; grep Seccomp: /proc/1/status")?;
    ensure!(capabilities.contains("00000000a80425fb") && capabilities.ends_with('2'), "{capabilities}");
    for attempt in [
        "mkdir /sys/fs/cgroup/memory/x",
        "echo -1 > /sys/fs/cgroup/memory/memory.limit_in_bytes",
        "echo max > /sys/fs/cgroup/memory.max",
        "mount -o remount,rw /sys/fs/cgroup/memory",
        "ls /sys/fs/cgroup/systemd/release_agent",
        "mount -t tmpfs none /mnt",
        "echo x > /proc/sys/kernel/core_pattern",
    ] {
        ensure!(berth.docker(["exec", "sys", "sh", "-c", attempt])?.code != 0, "{attempt}");
    }
    // a service of its own, in a group below the container's
    inside("systemd-run --unit=mine --remain-after-exit true && systemctl is-active mine")?;
    ensure!(berth.docker(["inspect", "-f", "{{.Config.StopSignal}}", "sys"])?.ok()? == "SIGRTMIN+3");
    stops(&berth, "sys")?;
    ensure!(berth.berth(["logs", "sys"])?.ok()?.contains("Exiting container"));
    // once more with the same file system
    berth.docker(["start", "sys"])?.ok()?;
    booted(&berth, "sys")?;
    ensure!(berth.docker(["exec", "sys", "cat", "/etc/machine-id"])?.ok()? == id[..32]);
    stops(&berth, "sys")?;
    ensure!(cgroups(&id)?.is_empty(), "{:?}", cgroups(&id)?);
    on_a_terminal(&berth)?;
    by_the_old_recipes(&berth)?;
    berth.finish()
}

fn on_a_terminal(berth: &Berth) -> Result<()> {
    let mut console = Terminal::spawn(&mut berth.docker_command(["run", "-it", "--name", "tty", DEBIAN])?)?;
    console.expect("console")?;
    console.send("\n")?;
    console.expect("login:")?;
    berth.docker(["rm", "-f", "tty"])?.ok()?;
    console.kill()
}

/// Options with which people have run systemd under Docker go on working. Not tried is a privileged one with the
/// machine's own /sys/fs/cgroup: its systemd would take that for its own and remount it, read-only for everyone.
fn by_the_old_recipes(berth: &Berth) -> Result<()> {
    let view = "/sys/fs/cgroup:/sys/fs/cgroup:ro";
    for (name, options) in [
        ("bound", &["--tmpfs", "/run", "--tmpfs", "/run/lock", "-v", view][..]),
        ("privileged", &["--privileged", "--tmpfs", "/run"]),
    ] {
        berth.docker([&["run", "-d", "--name", name], options, &[DEBIAN]].concat())?.ok()?;
        booted(berth, name)?;
        berth.docker(["stop", name])?.ok()?;
    }
    Ok(())
}

/// Groups of a container, wherever they are: below its daemon's, in one hierarchy or several.
fn cgroups(id: &str) -> Result<Vec<String>> {
    let mut left = Vec::new();
    let mut parents = vec!["/sys/fs/cgroup".into()];
    for depth in 0..3 {
        for parent in std::mem::take(&mut parents) {
            let entries = std::fs::read_dir(&parent).into_iter().flatten().flatten();
            let folders =
                entries.map(|entry| entry.path()).filter(|path| path.is_dir() && !path.is_symlink());
            let (found, others): (Vec<std::path::PathBuf>, Vec<_>) =
                folders.partition(|path| path.ends_with(id));
            left.extend(found.into_iter().map(|path| path.display().to_string()));
            if depth < 2 {
                parents.extend(others);
            }
        }
    }
    Ok(left)
}

#[test]
fn the_mode_can_be_forced_and_forbidden() -> Result<()> {
    let berth = Berth::start()?;
    let run = |options: &[&str], image: &str, script: &str| -> Result<String> {
        berth.berth([&["run", "--rm"], options, &[image, "sh", "-c", script]].concat())?.ok()
    };
    let mounts = "grep -c ' /run tmpfs' /proc/mounts; echo $container";
    ensure!(run(&["--systemd", "always"], IMAGE, mounts)?.replace('\r', "") == "1\ndocker");
    let ran = berth.docker([
        "run",
        "--rm",
        "--annotation",
        "io.berth.systemd=always",
        IMAGE,
        "cat",
        "/proc/mounts",
    ])?;
    ensure!(ran.ok()?.contains(" /run tmpfs"));
    ensure!(berth.berth(["run", "--rm", IMAGE, "sh", "-c", mounts])?.stdout == "0\n\n");
    // busybox calls itself init too, and is none
    berth.berth(["create", "--name", "busy", IMAGE, "/bin/init"])?.ok()?;
    ensure!(berth.berth(["inspect", "-f", "{{.Config.StopSignal}}", "busy"])?.ok()?.is_empty());
    berth.berth(["run", "--systemd", "maybe", IMAGE])?.fails(125, "always")?;
    berth
        .docker(["run", "--annotation", "io.berth.systemd=maybe", IMAGE])?
        .fails(125, "invalid systemd mode: \"maybe\"")?;
    berth.berth(["run", "--systemd", "always", "--init", IMAGE])?.fails(125, "conflicting options")?;
    let mut image = Image::busybox()?.config("Cmd", serde_json::json!(["/sbin/init"]));
    image.layer(|layer| {
        layer.dir("sbin/", 0o755)?;
        layer.file("lib/systemd/systemd", 0o755, b"")?;
        layer.symlink("sbin/init", "/lib/systemd/systemd")
    })?;
    berth.load(&image, SMALL)?;
    for (name, options, signal) in [
        ("auto", &[][..], "SIGRTMIN+3"),
        ("never", &["--systemd=false"], ""),
        ("own", &["--stop-signal=INT"], "INT"),
    ] {
        berth.berth([&["create", "--name", name], options, &[SMALL]].concat())?.ok()?;
        ensure!(berth.berth(["inspect", "-f", "{{.Config.StopSignal}}", name])?.ok()? == signal, "{name}");
    }
    berth.finish()
}
