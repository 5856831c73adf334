//! AppArmor: who is confined, what the profile forbids, and that nothing else forbids it.
//!
//! Each refusal is tried without the profile, too. What is written is harmless where it is let.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::daemon::IMAGE;
use e2e::programs;

const CURRENT: &str = "cat /proc/self/attr/current";
const CONFINED: &str = "docker-default (enforce)";
const FREE: &str = "--security-opt=apparmor=unconfined";

/// Whether this kernel enforces profiles; where that is a matter of course (`BERTH_TEST_MUST`), that it does not fails.
fn enforced() -> Result<bool> {
    let on =
        std::fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"));
    if !on {
        let must = std::env::var_os("BERTH_TEST_MUST").is_some_and(|module| module == "apparmor");
        ensure!(!must, "AppArmor is not enabled on this host");
        let note = "NOT RUN: AppArmor is not enabled on this host (cargo xtask vm has one that has it)";
        let _ = writeln!(std::io::stderr(), "{note}");
    }
    Ok(on)
}

fn inside(berth: &Berth, options: &[&str], script: &str) -> Result<e2e::Ran> {
    berth.berth([&["run", "--rm"], options, &[IMAGE, "sh", "-c", script]].concat())
}

#[test]
fn containers_sessions_and_steps_are_confined_unless_asked() -> Result<()> {
    if !enforced()? {
        return Ok(());
    }
    let berth = Berth::start()?;
    let run = |options: &[&str]| inside(&berth, options, CURRENT)?.ok();
    ensure!(run(&[])? == CONFINED);
    ensure!(run(&["--security-opt", "apparmor=docker-default"])? == CONFINED);
    ensure!(run(&[FREE])? == "unconfined");
    ensure!(run(&["--privileged"])? == "unconfined");
    ensure!(run(&["--privileged", "--security-opt", "apparmor=docker-default"])? == CONFINED);
    ensure!(run(&["--security-opt", "no-new-privileges", "-u", "app"])? == CONFINED);
    for (name, options, profile) in [
        ("default", &[][..], "docker-default"),
        ("privileged", &["--privileged"], "unconfined"),
        ("free", &[FREE], "unconfined"),
    ] {
        let create = [&["create", "--name", name], options, &[IMAGE, "sleep", "1000"]].concat();
        berth.berth(create)?.ok()?;
        let shown = || berth.docker(["inspect", "-f", "{{.AppArmorProfile}}", name])?.ok();
        ensure!(shown()? == if options == [FREE] { "unconfined" } else { "" }, "{name} before its start");
        berth.berth(["start", name])?.ok()?;
        ensure!(shown()? == profile, "{name}");
    }
    ensure!(berth.berth(["exec", "default", "sh", "-c", CURRENT])?.ok()? == CONFINED);
    ensure!(berth.berth(["exec", "--privileged", "default", "sh", "-c", CURRENT])?.ok()? == CONFINED);
    ensure!(berth.berth(["exec", "free", "sh", "-c", CURRENT])?.ok()? == "unconfined");
    let options = berth.docker(["info", "-f", "{{.SecurityOptions}}"])?.ok()?;
    ensure!(options.starts_with("[name=apparmor name=seccomp"), "{options}");
    let folder = berth.root().join("context");
    std::fs::create_dir(&folder)?;
    std::fs::write(
        folder.join("Dockerfile"),
        format!("FROM {IMAGE}\nRUN grep -q '^docker-default (enforce)' /proc/self/attr/current\n"),
    )?;
    berth.berth(["build", "-q", &folder.to_string_lossy()])?.ok()?;
    berth.finish()
}

/// Neither capabilities nor the system-call filter stand in the way here, nor read-only mounts: the profile alone does.
#[test]
fn the_profile_forbids_mounts_and_the_kernels_switches() -> Result<()> {
    if !enforced()? {
        return Ok(());
    }
    let berth = Berth::start()?;
    let rights = [
        "--cap-add=SYS_ADMIN",
        "--cap-add=SYS_RAWIO",
        "--security-opt=seccomp=unconfined",
        "--security-opt=systempaths=unconfined",
    ];
    let refused = [
        "mount -t tmpfs none /tmp",
        "mount --bind /bin /tmp",
        "mount -o remount,rw /proc",
        // prints a help to the kernel's log
        "echo h > /proc/sysrq-trigger",
        "echo own > /proc/sys/kernel/domainname",
        "echo 1 > /proc/sys/net/ipv4/ip_default_ttl",
        "head -c 1 /proc/kcore > /dev/null",
    ];
    for script in refused {
        let ran = inside(&berth, &rights, script)?;
        ensure!(ran.code != 0 && ran.stderr.contains("denied"), "confined: {script}: {ran:?}");
        if script.contains("kcore") {
            // not there, or locked down, on some kernels
            continue;
        }
        inside(&berth, &[&rights[..], &[FREE]].concat(), script)?.ok().context("unconfined")?;
    }
    // the limits of shared memory are the container's own
    inside(&berth, &rights, "echo 65536 > /proc/sys/kernel/shmmax && cat /proc/self/oom_adj")?.ok()?;
    inside(&berth, &rights, "echo 100 > /proc/self/oom_score_adj")?.ok()?;
    let confined = ["--privileged", "--security-opt=apparmor=docker-default"];
    let switch = "echo $(cat /sys/kernel/rcu_normal) > /sys/kernel/rcu_normal";
    let ran = inside(&berth, &confined, switch)?;
    ensure!(ran.code != 0 && ran.stderr.contains("denied"), "{ran:?}");
    inside(&berth, &["--privileged"], switch)?.ok()?;
    inside(&berth, &confined, "mkdir /sys/fs/cgroup/own && rmdir /sys/fs/cgroup/own")?.ok()?;
    berth.finish()
}

#[test]
fn processes_outside_are_neither_looked_at_nor_signalled() -> Result<()> {
    if !enforced()? {
        return Ok(());
    }
    let berth = Berth::start()?;
    let mut outside = Command::new("sleep").arg("1000").spawn()?;
    let pid = outside.id();
    let rights = ["--pid=host", "--cap-add=SYS_PTRACE", "--cap-add=KILL"];
    // who may trace a process may see what it is made of (proc(5))
    let result = (|| -> Result<()> {
        for script in [format!("readlink /proc/{pid}/exe"), format!("kill -CONT {pid}")] {
            let ran = inside(&berth, &rights, &script)?;
            ensure!(ran.code != 0, "confined: {script}: {ran:?}");
            inside(&berth, &[&rights[..], &[FREE]].concat(), &script)?.ok().context("unconfined")?;
        }
        // among themselves they may
        inside(&berth, &rights, "sleep 1000 & readlink /proc/$!/exe && kill -9 $!")?.ok()?;
        // and from outside: signals, and a look by the host
        berth.berth(["run", "-d", "--name", "box", IMAGE, "sleep", "1000"])?.ok()?;
        let inner = berth.berth(["inspect", "-f", "{{.State.Pid}}", "box"])?.ok()?;
        std::fs::read_link(format!("/proc/{inner}/exe"))?;
        berth.berth(["kill", "box"])?.ok()?;
        Ok(())
    })();
    outside.kill()?;
    outside.wait()?;
    result?;
    berth.finish()
}

#[test]
fn a_profile_by_name_must_be_loaded() -> Result<()> {
    if !enforced()? {
        return Ok(());
    }
    let berth = Berth::start()?;
    let ran = inside(&berth, &["--security-opt", "apparmor=berth-test-absent"], "true")?;
    ensure!(ran.stderr.contains("apparmor") && ran.stderr.contains("berth-test-absent"), "{ran:?}");
    ran.fails(125, "")?;
    let profile = "profile berth-test-own flags=(attach_disconnected) { file, deny /tmp/** w, }";
    parser("--replace", profile)?;
    let own = ["--security-opt", "apparmor=berth-test-own"];
    let result = (|| -> Result<()> {
        ensure!(inside(&berth, &own, CURRENT)?.ok()? == "berth-test-own (enforce)");
        let ran = inside(&berth, &own, "echo > /tmp/file")?;
        ensure!(ran.code != 0 && ran.stderr.contains("denied"), "{ran:?}");
        inside(&berth, &[], "echo > /tmp/file")?.ok().map(drop)
    })();
    parser("--remove", profile)?;
    result?;
    berth.finish()
}

fn parser(what: &str, profile: &str) -> Result<()> {
    let mut child = Command::new("/sbin/apparmor_parser")
        .args([what, "--skip-cache"])
        .stdin(Stdio::piped())
        .spawn()
        .context("apparmor_parser (apt-get install apparmor)")?;
    child.stdin.take().context("no input")?.write_all(profile.as_bytes())?;
    let status = programs::wait(&mut child, programs::PATIENCE)?.context("apparmor_parser does not end")?;
    ensure!(status.success(), "apparmor_parser {what}: {status}");
    Ok(())
}
