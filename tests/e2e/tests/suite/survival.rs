//! `kill -9`: of the daemon, of a shim.

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;

const COUNTER: &str = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.01; done";

#[test]
fn a_container_outlives_berthd() -> Result<()> {
    let mut berth = Berth::start()?;
    let id = berth.berth(["run", "-d", "--name", "box", IMAGE, "sh", "-c", COUNTER])?.ok()?;
    berth
        .berth([
            "run",
            "-d",
            "--name",
            "ends",
            IMAGE,
            "sh",
            "-c",
            "until [ -e /proc/1/root/go ]; do sleep 0.05; done; exit 5",
        ])?
        .ok()?;
    let pid = berth.berth(["inspect", "-f", "{{.State.Pid}}", "box"])?.ok()?;
    for _ in 0..3 {
        berth.kill()?;
        berth.spawn()?;
        ensure!(berth.berth(["ps", "-q", "--no-trunc", "--filter", "name=box"])?.ok()?.contains(&id));
        ensure!(
            berth.berth(["inspect", "-f", "{{.State.Pid}}", "box"])?.ok()? == pid,
            "the container was restarted"
        );
    }
    // Its exit while nobody looked is known afterwards.
    berth.berth(["exec", "-d", "ends", "sh", "-c", "sleep 0.3; touch /go"])?.ok()?;
    berth.kill()?;
    programs::eventually("the short container has ended", || {
        let record = berth.data_root().join("containers");
        let ended = std::fs::read_dir(record)?
            .filter_map(Result::ok)
            .any(|entry| entry.path().join("exit.json").exists());
        Ok(ended.then_some(()))
    })?;
    berth.spawn()?;
    ensure!(
        berth.berth(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "ends"])?.ok()? == "exited 5"
    );

    // exec, attach, stop and the log work as before, and no line is missing.
    ensure!(berth.berth(["exec", "box", "echo", "still here"])?.ok()? == "still here");
    let mut attach = berth.docker_command(["attach", "--no-stdin", "box"])?;
    let attached = std::thread::spawn(move || programs::run(&mut attach));
    programs::eventually("the client is attached", || {
        let events = berth.berth(["events", "--since", "1m", "--until", "0s", "--filter", "event=attach"])?;
        Ok(events.stdout.contains("container attach").then_some(()))
    })?;
    berth.berth(["stop", "-t", "1", "box"])?.ok()?;
    let seen = attached.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    ensure!(seen.code == 137 && seen.stdout.starts_with("line "), "{seen:?}");
    let log = berth.berth(["logs", "box"])?.ok()?;
    for (index, line) in log.lines().enumerate() {
        ensure!(line == format!("line {}", index + 1), "line {} of the log is {line:?}", index + 1);
    }
    ensure!(log.lines().count() > 20);
    berth.finish()
}

#[test]
fn berthd_is_killed_at_any_moment_of_a_run() -> Result<()> {
    let mut berth = Berth::start()?;
    for round in 0..12u64 {
        let mut client = berth.berth_command(["run", "-d", IMAGE, "sleep", "1000"])?;
        let mut client =
            client.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn()?;
        // Spread over the milliseconds of a start; the exact moment does not matter, only that it varies.
        let _ = programs::wait_quietly(&mut client, std::time::Duration::from_micros(round * 700));
        berth.kill()?;
        client.wait()?;
        berth.spawn()?;
        let states = berth.berth(["ps", "-a", "--format", "{{.State}}"])?.ok()?;
        ensure!(states.lines().all(|state| matches!(state, "created" | "running" | "exited")), "{states}");
    }
    // `finish` removes them all and finds no leak.
    berth.finish()
}

#[test]
fn a_killed_shim_is_reported_and_leaves_no_orphan() -> Result<()> {
    let berth = Berth::start()?;
    berth.berth(["run", "-d", "--name", "box", IMAGE, "sh", "-c", "sleep 1000 & sleep 1000"])?.ok()?;
    let pid = berth.berth(["inspect", "-f", "{{.State.Pid}}", "box"])?.ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let shim =
        stat.lines().find_map(|line| line.strip_prefix("PPid:")).context("no parent")?.trim().parse()?;
    let shim = rustix::process::Pid::from_raw(shim).context("the shim's pid")?;
    rustix::process::kill_process(shim, rustix::process::Signal::KILL)?;
    programs::eventually("the container is reported as ended", || {
        Ok((berth.berth(["inspect", "-f", "{{.State.Status}}", "box"])?.ok()? == "exited").then_some(()))
    })?;
    ensure!(berth.berth(["inspect", "-f", "{{.State.ExitCode}}", "box"])?.ok()? == "137");
    // The machine's init may be slow to reap: a zombie has ended.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    ensure!(stat.is_empty() || stat.contains(") Z "), "the container's process is left: {stat}");
    // It can be started again.
    berth.berth(["start", "box"])?.ok()?;
    berth.finish()
}

/// A freeze for a commit is the daemon's own and ends with it; one that a person asked for lasts.
#[test]
fn a_commit_cut_off_leaves_nothing_frozen() -> Result<()> {
    let mut berth = Berth::start()?;
    let fill = "dd if=/dev/urandom of=/big bs=1M count=192 2>/dev/null; echo ready; exec sleep 1000";
    berth.berth(["run", "-d", "--name", "box", IMAGE, "sh", "-c", fill])?.ok()?;
    berth.berth(["run", "-d", "--name", "asked", IMAGE, "sleep", "1000"])?.ok()?;
    berth.berth(["pause", "asked"])?.ok()?;
    programs::eventually("there is enough to commit", || {
        Ok((berth.berth(["logs", "box"])?.ok()? == "ready").then_some(()))
    })?;
    let state = |berth: &Berth, name: &str| berth.berth(["inspect", "-f", "{{.State.Status}}", name])?.ok();
    let mut commit = berth.berth_command(["commit", "box", "cut:off"])?;
    let commit = std::thread::spawn(move || programs::run(&mut commit));
    programs::eventually(
        "the container is frozen",
        || Ok((state(&berth, "box")? == "paused").then_some(())),
    )?;
    berth.kill()?;
    let cut = commit.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    ensure!(cut.code != 0, "the commit was over before the daemon was killed: {cut:?}");
    berth.spawn()?;
    ensure!(state(&berth, "box")? == "running", "frozen for ever");
    ensure!(state(&berth, "asked")? == "paused", "what was asked for is undone");
    ensure!(berth.berth(["exec", "box", "echo", "awake"])?.ok()? == "awake");
    ensure!(!berth.berth(["images"])?.ok()?.contains("cut"));
    berth.berth(["unpause", "asked"])?.ok()?;
    berth.finish()
}
