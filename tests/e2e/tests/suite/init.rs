//! `--init`: what it reaps, passes on and costs. How it ends is in the table of likeness.

use anyhow::{Context as _, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs::eventually;

/// Most memory of an init, KiB (proportional set size).
const MOST_MEMORY: u64 = 100;

/// A program and its child that say which signals they get. `sleep` ends by a signal to the group.
const TALKING: &str = r#"
sh -c 'trap "echo child" USR1; echo up; while :; do sleep 1000; done' &
trap "echo parent" USR1; trap "echo ends; exit 7" TERM
while :; do wait; done"#;

#[test]
fn an_init_reaps_forwards_and_is_small() -> Result<()> {
    let berth = Berth::bare(&["--init"])?;
    berth.load(&e2e::image::Image::busybox()?, IMAGE)?;
    let comm = |options: &[&str]| {
        berth.docker([&["run", "--rm"], options, &[IMAGE, "cat", "/proc/1/comm"]].concat())?.ok()
    };
    ensure!(comm(&[])? == "docker-init");
    ensure!(comm(&["--init=false"])? == "cat");
    for (name, options, both) in
        [("alone", &[][..], false), ("group", &["-e", "TINI_KILL_PROCESS_GROUP=1"], true)]
    {
        let all = [&["run", "-d", "--name", name], options, &[IMAGE, "sh", "-c", TALKING]].concat();
        berth.docker(all)?.ok()?;
        small(&berth, name)?;
        logged(&berth, name, "up")?;
        berth.docker(["kill", "-s", "USR1", name])?.ok()?;
        logged(&berth, name, "parent")?;
        if both {
            logged(&berth, name, "child")?;
        }
        small(&berth, name)?;
        berth.docker(["stop", "-t", "60", name])?.ok()?;
        let code = berth.docker(["inspect", "-f", "{{.State.ExitCode}}", name])?.ok()?;
        ensure!(code == "7", "{code}");
        let log = berth.docker(["logs", name])?.ok()?;
        ensure!(log.contains("child") == both && log.contains("ends"), "{log}");
    }
    berth.finish()
}

#[test]
fn an_init_reaps_orphans_and_a_plain_program_does_not() -> Result<()> {
    let berth = Berth::start()?;
    // the shell ends before its child, which the container's first process inherits
    let orphan = "sh -c 'usleep 100000 & echo $!'";
    for (name, options) in [("init", &["--init"][..]), ("plain", &[])] {
        let all = [&["run", "-d", "--name", name], options, &[IMAGE, "sleep", "1000"]].concat();
        berth.docker(all)?.ok()?;
        let pid = berth.docker(["exec", name, "sh", "-c", orphan])?.ok()?;
        let state = format!("grep State /proc/{}/status 2>/dev/null || echo gone", pid.trim());
        let want = if name == "init" { "gone" } else { "Z (zombie)" };
        eventually(want, || {
            let state = berth.docker(["exec", name, "sh", "-c", &state])?.ok()?;
            Ok(state.contains(want).then_some(()))
        })?;
    }
    berth.finish()
}

fn logged(berth: &Berth, name: &str, word: &str) -> Result<()> {
    eventually(word, || Ok(berth.docker(["logs", name])?.ok()?.contains(word).then_some(())))
}

/// The init's memory once it has come to rest, as the kernel counts it.
fn small(berth: &Berth, name: &str) -> Result<()> {
    let pid = berth.docker(["inspect", "-f", "{{.State.Pid}}", name])?.ok()?;
    eventually("a small init", || {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.trim()))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok((kib < MOST_MEMORY).then_some(()))
    })
}
