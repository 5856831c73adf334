//! Who a process is, and what it may.

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::image::Image;
use e2e::peers::Containerd;
use serde_json::json;

use super::control;

/// CVE-2022-0492: with a user namespace of its own, a process could mount cgroups of version 1 and name a program that
/// the host's root runs.
#[test]
fn a_release_agent_cannot_be_set() -> Result<()> {
    let berth = Berth::start()?;
    let script = "mkdir /tmp/c; for how in '' 'unshare -UrmC'; do for h in rdma memory cpu devices; do \
                  $how mount -t cgroup -o $h cgroup /tmp/c && echo mounted; done; done; \
                  find / -name release_agent -exec sh -c 'echo /pwned > {} && echo wrote {}' \\; ; \
                  find / -name notify_on_release -exec sh -c 'echo 1 > {} && echo wrote {}' \\;";
    for options in [&[][..], &["--cgroupns", "private"], &["--cgroupns", "host"], &["-u", "app"]] {
        let args =
            [&["run", "--rm", "--network", "none"][..], options, &[IMAGE, "sh", "-c", script]].concat();
        let ran = berth.berth(args)?;
        ensure!(ran.stdout.is_empty(), "{options:?}: {ran:?}");
    }
    berth.finish()
}

/// CVE-2022-24769: a program with inheritable file capabilities got what `CapInh` let through.
#[test]
fn nothing_is_inheritable() -> Result<()> {
    let berth = Berth::start()?;
    let look = ["grep", "-E", "^Cap(Inh|Amb)", "/proc/self/status"];
    let none = "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000";
    berth.berth(["run", "-d", "--name", "box", "--network", "none", IMAGE, "sleep", "1000"])?.ok()?;
    for options in [&[][..], &["-u", "app"], &["--privileged"], &["--cap-add", "ALL"], &["--user", "1000"]] {
        let run = [&["run", "--rm", "--network", "none"][..], options, &[IMAGE], &look].concat();
        ensure!(berth.berth(run)?.ok()? == none, "run {options:?}");
    }
    for options in [&[][..], &["-u", "app"], &["--privileged"]] {
        let exec = [&["exec"][..], options, &["box"], &look].concat();
        ensure!(berth.berth(exec)?.ok()? == none, "exec {options:?}");
    }
    berth.finish()
}

/// CVE-2022-36109: the groups were not set up, so that a file closed to the primary group was open.
#[test]
fn groups_are_the_users_own() -> Result<()> {
    let berth = Berth::start()?;
    berth.berth(["run", "-d", "--name", "box", "--network", "none", IMAGE, "sleep", "1000"])?.ok()?;
    for (options, groups) in [
        (&["-u", "app"][..], "1000 2000"),
        (&["-u", "app:extra"], "2000"),
        (&["-u", "1000"], "1000 2000"),
        (&["-u", "1000:5"], "5"),
        (&["-u", "12345"], "0"),
        (&["-u", "app", "--group-add", "77"], "77 1000 2000"),
    ] {
        let look = ["sh", "-c", "grep ^Groups /proc/self/status | tr -s '\\t ' ' '"];
        let run = [&["run", "--rm", "--network", "none"][..], options, &[IMAGE], &look].concat();
        let said = berth.berth(run)?.ok()?;
        let mut found: Vec<u32> = said.split(' ').filter_map(|word| word.parse().ok()).collect();
        found.sort_unstable();
        let wanted: Vec<u32> = groups.split(' ').filter_map(|word| word.parse().ok()).collect();
        ensure!(found == wanted, "{options:?}: {said}");
    }
    // the file that the advisory has: closed to the group, open to others
    let script = "id -G; cat /tmp/f";
    berth
        .berth(["exec", "box", "sh", "-c", "echo secret > /tmp/f; chgrp app /tmp/f; chmod 604 /tmp/f"])?
        .ok()?;
    let ran = berth.berth(["exec", "-u", "nobody:app", "box", "sh", "-c", script])?;
    ensure!(!ran.stdout.contains("secret"), "{ran:?}");
    berth.finish()
}

fn image_of(user: &str) -> Result<Image> {
    Ok(Image::busybox()?.config("User", json!(user)))
}

/// CVE-2024-40635: 2³² is nobody's number, and became 0.
#[test]
fn a_number_beyond_all_users_is_refused() -> Result<()> {
    let berth = Berth::start()?;
    for (n, user) in
        ["4294967296", "4294967296:0", "0:4294967296", "2147483648", "18446744073709551616", "-1"]
            .into_iter()
            .enumerate()
    {
        let name = format!("user:{n}");
        berth.load(&image_of(user)?, &name)?;
        let ran = berth.berth(["run", "--rm", "--network", "none", &name, "id", "-u"])?;
        ensure!(ran.code != 0 && ran.stdout.is_empty(), "USER {user}: {ran:?}");
        let ran = berth.berth(["run", "--rm", "--network", "none", "-u", user, IMAGE, "id", "-u"])?;
        ensure!(ran.code != 0 && ran.stdout.is_empty(), "-u {user}: {ran:?}");
    }
    berth.berth(["run", "-d", "--name", "box", "--network", "none", IMAGE, "sleep", "1000"])?.ok()?;
    let ran = berth.berth(["exec", "-u", "4294967296", "box", "id", "-u"])?;
    ensure!(ran.code != 0 && !ran.stdout.starts_with('0'), "{ran:?}");
    berth.finish()?;

    // Debian's containerd, for which it was found
    let containerd = Containerd::start()?;
    let archive = tempfile::NamedTempFile::new()?;
    image_of("4294967296")?.save(archive.path(), "docker.io/library/user:1")?;
    containerd.run(&["images", "import", &archive.path().to_string_lossy()])?.ok()?;
    let ran = containerd.run(&["run", "--rm", "docker.io/library/user:1", "box", "id", "-u"])?;
    control("containerd 1.6.20", ran.stdout.trim() == "0", "USER 4294967296 is root");
    containerd.stop()
}

/// CVE-2026-46680: a user that is a number is a number, whatever the image's files call by that name.
#[test]
fn a_number_is_no_name() -> Result<()> {
    let berth = Berth::start()?;
    let mut image = image_of("1234")?;
    image.layer(|layer| {
        layer.file("etc/passwd", 0o644, b"root:x:0:0::/root:/bin/sh\n1234:x:0:0::/root:/bin/sh\n")?;
        layer.file("etc/group", 0o644, b"root:x:0:\n1234:x:0:\n")
    })?;
    berth.load(&image, "number:1")?;
    let id = ["sh", "-c", "echo $(id -u) $(id -g)"];
    let run = |options: &[&str]| {
        berth.berth([&["run", "--rm", "--network", "none"][..], options, &["number:1"], &id].concat())
    };
    // Docker looks for the name first; that it is found must not make anybody root
    for options in [&[][..], &["-u", "1234"], &["-u", "1234:1234"]] {
        let said = run(options)?;
        ensure!(said.code != 0 || said.stdout.starts_with("1234 "), "{options:?}: {said:?}");
    }
    berth.finish()
}
