//! Attacks from inside a container or an image, each with the host unchanged afterwards.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use e2e::image::{Image, sha256};
use e2e::programs;
use serde_json::json;

#[test]
fn only_the_standard_descriptors_are_inherited() -> Result<()> {
    let berth = Berth::start()?;
    // The shell's own descriptor for the directory listing is the fourth.
    let list = "ls /proc/self/fd | tr '\\n' ' '";
    ensure!(berth.berth(["run", "--rm", IMAGE, "sh", "-c", list])?.ok()? == "0 1 2 3 ");
    berth.berth(["run", "-d", "--name", "box", IMAGE, "sleep", "1000"])?.ok()?;
    ensure!(berth.berth(["exec", "box", "sh", "-c", list])?.ok()? == "0 1 2 3 ");
    berth.finish()
}

/// CVE-2024-21626: a leaked descriptor as the working directory, at every number that a process may have by default.
#[test]
fn a_descriptor_is_no_working_directory() -> Result<()> {
    const NUMBERS: usize = 1024;
    const CLIENTS: usize = 4;
    let berth = Berth::start()?;
    berth.berth(["run", "-d", "--name", "box", "--network", "none", IMAGE, "sleep", "1000"])?.ok()?;
    let share = |client: usize| -> Result<()> {
        for n in (client..NUMBERS).step_by(CLIENTS) {
            let place = format!("/proc/self/fd/{n}");
            let ran = berth.berth(["run", "--rm", "--network", "none", "-w", &place, IMAGE, "pwd"])?;
            ensure!(ran.code != 0, "WORKDIR {place}: {ran:?}");
            let ran = berth.berth(["exec", "-w", &place, "box", "cat", "../../../../etc/hostname"])?;
            ensure!(ran.code != 0, "exec -w {place}: {ran:?}");
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || share(client))).collect();
        clients.into_iter().try_for_each(|c| c.join().unwrap_or_else(|_| anyhow::bail!("a client panicked")))
    })?;
    berth.finish()
}

/// CVE-2019-5736: the container's program is the runtime itself, opened for writing.
#[test]
fn the_runtime_cannot_be_overwritten() -> Result<()> {
    let berth = Berth::start()?;
    let hash = |name: &str| -> Result<String> { Ok(sha256(&std::fs::read(programs::program(name)?)?)) };
    let before = (hash("berth-shim")?, hash("berthd")?, hash("berth-oci")?);
    let mut image = Image::busybox()?.config("Entrypoint", json!(["/entry"]));
    image.layer(|layer| layer.symlink("entry", "/proc/self/exe"))?;
    berth.load(&image, "evil:1")?;
    berth.berth(["run", "--rm", "evil:1"])?;
    berth.berth(["run", "-d", "--name", "box", IMAGE, "sleep", "1000"])?.ok()?;
    let overwrite = "for p in /proc/[0-9]*; do echo x > $p/exe; done 2>/dev/null; true";
    let loop_ = berth.berth(["exec", "-d", "box", "sh", "-c", &format!("while :; do {overwrite}; done")])?;
    loop_.ok()?;
    for _ in 0..10 {
        berth.berth(["exec", "box", "/proc/self/exe"])?;
        berth.berth(["exec", "box", "true"])?.ok()?;
    }
    ensure!(before == (hash("berth-shim")?, hash("berthd")?, hash("berth-oci")?));
    berth.finish()
}

/// CVE-2025-31133 and its family: symbolic links where the runtime mounts.
#[test]
fn links_in_place_of_system_directories() -> Result<()> {
    let berth = Berth::start()?;
    let pattern = std::fs::read("/proc/sys/kernel/core_pattern")?;
    let victim = berth.root().join("victim");
    std::fs::create_dir(&victim)?;
    for (name, target) in [
        ("dev", victim.to_string_lossy().into_owned()),
        ("dev", "/proc/sys/kernel".to_owned()),
        ("proc", "/etc".to_owned()),
        ("proc", victim.to_string_lossy().into_owned()),
        ("sys", victim.to_string_lossy().into_owned()),
        ("etc", victim.to_string_lossy().into_owned()),
    ] {
        let mut image = Image::scratch();
        image.layer(|layer| {
            layer.dir("bin/", 0o755)?;
            layer.file("bin/busybox", 0o755, &std::fs::read("/bin/busybox")?)?;
            layer.symlink(name, &target)
        })?;
        berth.load(&image, "links:1")?;
        // Refused or contained: either is safe, the host is what counts.
        let _ = berth.berth([
            "run",
            "--rm",
            "links:1",
            "/bin/busybox",
            "sh",
            "-c",
            "echo pwned > /dev/null; echo pwned > /etc/hostname",
        ])?;
        ensure!(std::fs::read_dir(&victim)?.next().is_none(), "{name} -> {target}: the host was written to");
    }
    ensure!(std::fs::read("/proc/sys/kernel/core_pattern")? == pattern);
    berth.finish()
}

/// Layers whose entries point outside.
#[test]
fn hostile_layers() -> Result<()> {
    use tar::EntryType::{Link, Regular, Symlink};
    let berth = Berth::start()?;
    let victim = berth.root().join("victim");
    std::fs::create_dir(&victim)?;
    std::fs::write(victim.join("file"), "untouched")?;
    let outside = victim.to_string_lossy().into_owned();
    let up = format!("../../../../../../../../../../..{outside}");
    type Entry<'a> = (&'a str, tar::EntryType, &'a str);
    let link_up = format!("{up}/new");
    let absolute = format!("{outside}/absolute");
    let file = format!("{outside}/file");
    let corpus: &[&[Entry]] = &[
        &[(&link_up, Regular, "")],
        &[(&absolute, Regular, "")],
        &[("a", Symlink, &outside), ("a/through", Regular, "")],
        &[("a", Symlink, &up), ("a/through", Regular, "")],
        &[("h", Link, &file), ("h", Regular, "")],
        &[("box", Symlink, &file), ("h", Link, "box"), ("h", Regular, "")],
        &[(".wh...", Regular, "")],
        &[("x/.wh...", Regular, "")],
        &[("..", Symlink, &outside)],
    ];
    for (number, entries) in corpus.iter().enumerate() {
        let mut image = Image::scratch();
        image.layer(|layer| {
            for (name, kind, target) in *entries {
                let bytes: &[u8] = if *kind == Regular { b"pwned" } else { b"" };
                layer.entry(name, *kind, 0o644, bytes, target)?;
            }
            Ok(())
        })?;
        let path = berth.root().join("hostile.tar");
        image.save(&path, &format!("hostile:{number}"))?;
        let _ = berth.berth(["load", "-i", &path.to_string_lossy()])?;
        let names: Vec<_> =
            std::fs::read_dir(&victim)?.filter_map(Result::ok).map(|entry| entry.file_name()).collect();
        ensure!(names == ["file"], "archive {number}: {names:?}");
        ensure!(std::fs::read(victim.join("file"))? == b"untouched", "archive {number}");
    }
    berth.finish()
}

/// CVE-2021-41091, CVE-2021-41089: state that others can walk through.
#[test]
fn state_directories_are_closed() -> Result<()> {
    let berth = Berth::start()?;
    berth.berth(["run", "-d", "--name", "box", "--network", "none", IMAGE, "sleep", "1000"])?.ok()?;
    for dir in ["data", "data/containers", "data/store", "exec"] {
        let mode = std::fs::metadata(berth.root().join(dir))?.permissions().mode() & 0o777;
        ensure!(mode == 0o700 || mode == 0o710 || mode == 0o711, "{dir} is {mode:o}");
        ensure!(!dir.ends_with("data") || mode & 0o066 == 0, "{dir} is {mode:o}");
    }
    berth.finish()
}

/// CVE-2020-15257: in the host's network, everything that listens by an abstract name can be connected to.
#[test]
fn shims_are_on_no_abstract_socket() -> Result<()> {
    let berth = Berth::start()?;
    berth.berth(["run", "-d", "--name", "box", "--network", "none", IMAGE, "sleep", "1000"])?.ok()?;
    let list = ["run", "--rm", "--network", "host", IMAGE, "cat", "/proc/net/unix"];
    let sockets = berth.berth(list)?.ok()?;
    let ours = [berth.root().to_string_lossy().into_owned(), "berth".to_owned(), "shim".to_owned()];
    let abstract_ = |line: &&str| line.split_whitespace().nth(7).is_some_and(|name| name.starts_with('@'));
    let found: Vec<&str> = sockets
        .lines()
        .filter(abstract_)
        .filter(|line| ours.iter().any(|o| line.contains(o.as_str())))
        .collect();
    ensure!(found.is_empty(), "{found:?}");
    // nor does any process of ours hold one, whatever its name is
    let held: Vec<String> = e2e::leaks::processes(berth.root())?;
    for process in held.iter().filter_map(|line| line.split(' ').next()) {
        for fd in std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten() {
            let Ok(target) = std::fs::read_link(fd.path()) else { continue };
            let inode = target.to_string_lossy().replace("socket:[", "").replace(']', "");
            let named = |line: &&str| line.split_whitespace().nth(6) == Some(inode.as_str());
            let line = sockets.lines().filter(abstract_).find(named);
            ensure!(line.is_none(), "{process} listens at {line:?}");
        }
    }
    berth.finish()
}

/// A container's power over the kernel is what the default policy says.
#[test]
fn the_default_policy_holds() -> Result<()> {
    let berth = Berth::start()?;
    let refused = |script: &str| -> Result<()> {
        let ran = berth.berth(["run", "--rm", IMAGE, "sh", "-c", script])?;
        ensure!(ran.code != 0, "{script}: {ran:?}");
        Ok(())
    };
    refused("mount -t tmpfs none /mnt")?;
    refused("echo x > /proc/sys/kernel/core_pattern")?;
    refused("echo x > /proc/sysrq-trigger")?;
    refused("unshare -U true")?;
    refused("mknod /tmp/mem c 1 1 && cat /tmp/mem")?;
    refused("cat /proc/kcore | head -c 1 | grep .")?;
    refused("ls -A /sys/firmware | grep .")?;
    berth.finish()
}
