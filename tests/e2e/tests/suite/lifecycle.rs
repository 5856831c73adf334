//! Restart policies, health checks and `--rm`, beside the deaths of berthd and of the machine.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::{leaks, programs};
use serde_json::Value;

fn run(berth: &Berth, name: &str, options: &[&str], script: &str) -> Result<String> {
    let args = [&["run", "-d", "--name", name], options, &[IMAGE, "sh", "-c", script]].concat();
    berth.berth(args)?.ok()
}

fn inspect(berth: &Berth, name: &str, format: &str) -> Result<String> {
    berth.berth(["inspect", "-f", format, name])?.ok()
}

/// Status, exit code and count of restarts.
fn state(berth: &Berth, name: &str) -> Result<String> {
    inspect(berth, name, "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}")
}

fn becomes(berth: &Berth, name: &str, wanted: &str) -> Result<()> {
    let mut last = String::new();
    programs::eventually(&format!("{name} is {wanted}"), || {
        last = state(berth, name)?;
        Ok((last == wanted).then_some(()))
    })
    .with_context(|| format!("{name}: {last}"))
}

/// Ends at a signal, with code 7.
const PATIENT: &str = "trap 'exit 7' TERM; trap '' USR1; while :; do sleep 0.05; done";

#[test]
fn policies_after_a_stop_and_a_new_daemon() -> Result<()> {
    let mut berth = Berth::start()?;
    let policies = ["no", "always", "unless-stopped", "on-failure", "on-failure:5"];
    for policy in policies {
        let name = policy.replace(':', "-");
        run(&berth, &name, &["--restart", policy], &format!("echo up; {PATIENT}"))?;
    }
    run(&berth, "fails", &["--restart", "on-failure:2"], "exit 3")?;
    berth.berth(["create", "--name", "never", "--restart", "always", IMAGE, "sleep", "1000"])?.ok()?;
    for name in ["no", "always", "unless-stopped", "on-failure", "on-failure-5"] {
        programs::eventually("it has set its trap", || {
            Ok(berth.berth(["logs", name])?.stdout.contains("up").then_some(()))
        })?;
        berth.berth(["stop", name])?.ok()?;
        ensure!(state(&berth, name)? == "exited 7 0", "{name}");
    }
    becomes(&berth, "fails", "exited 3 2")?;
    for kill in [false, true] {
        if kill {
            berth.kill()?
        } else {
            berth.terminate()?
        }
        berth.spawn()?;
        for (name, wanted) in [
            ("no", "exited 7 0"),
            ("unless-stopped", "exited 7 0"),
            ("always", "running 0 0"),
            ("on-failure", "running 0 0"),
            ("on-failure-5", "running 0 0"),
            ("fails", "exited 3 2"),
            ("never", "created 0 0"),
        ] {
            becomes(&berth, name, wanted).with_context(|| berth.log())?;
        }
    }
    berth.finish()
}

#[test]
fn policies_between_two_runs() -> Result<()> {
    let berth = Berth::start()?;
    for verb in ["stop", "kill"] {
        run(&berth, "box", &["--restart", "always"], "exit 3")?;
        programs::eventually("it waits for its next run", || {
            Ok(state(&berth, "box")?.starts_with("restarting 3").then_some(()))
        })?;
        berth.berth([verb, "box"])?.ok()?;
        ensure!(state(&berth, "box")?.starts_with("exited 3"), "{verb}");
        berth.berth(["rm", "box"])?.ok()?;
    }
    // Any signal counts as one that stops, unless another one is configured to.
    let told = "trap '' USR1; echo up; until [ -e /go ]; do sleep 0.05; done; exit 3";
    run(&berth, "any", &["--restart", "always"], told)?;
    run(&berth, "own", &["--restart", "always", "--stop-signal", "TERM"], told)?;
    for name in ["any", "own"] {
        programs::eventually("it has set its trap", || {
            Ok(berth.berth(["logs", name])?.stdout.contains("up").then_some(()))
        })?;
        berth.berth(["kill", "-s", "USR1", name])?.ok()?;
        berth.berth(["exec", "-d", name, "touch", "/go"])?.ok()?;
    }
    becomes(&berth, "any", "exited 3 0")?;
    programs::eventually("the other one is started again", || {
        Ok((inspect(&berth, "own", "{{.RestartCount}}")? != "0").then_some(()))
    })?;
    // A start that fails is the last one, and says why.
    let source = berth.root().join("source");
    std::fs::create_dir(&source)?;
    let mount = format!("type=bind,src={},dst=/mnt", source.display());
    run(&berth, "lost", &["--restart", "always", "--mount", &mount], "sleep 0.5; exit 3")?;
    std::fs::remove_dir(&source)?;
    becomes(&berth, "lost", "exited 3 1")?;
    ensure!(inspect(&berth, "lost", "{{.State.Error}}")?.contains("source"));
    // The policy of a container that runs.
    run(&berth, "changed", &[], PATIENT)?;
    berth.berth(["update", "--restart", "on-failure:1", "changed"])?.ok()?;
    let pid: i32 = inspect(&berth, "changed", "{{.State.Pid}}")?.parse()?;
    let pid = rustix::process::Pid::from_raw(pid).context("it runs")?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    becomes(&berth, "changed", "running 0 1")?;
    berth.finish()
}

#[test]
fn the_machine_is_restarted() -> Result<()> {
    let mut berth = Berth::start()?;
    run(&berth, "always", &["--restart", "always"], "sleep 1000")?;
    run(&berth, "unless-stopped", &["--restart", "unless-stopped"], "sleep 1000")?;
    run(&berth, "on-failure", &["--restart", "on-failure:3"], "sleep 1000")?;
    // It needs another one, which takes longer to start than itself.
    run(&berth, "joined", &["--restart", "always", "--network", "container:always"], "sleep 1000")?;
    run(&berth, "no", &[], "sleep 1000")?;
    run(&berth, "frozen", &[], "sleep 1000")?;
    run(&berth, "gone", &["--rm", "-v", "/data"], "sleep 1000")?;
    ensure!(berth.berth(["volume", "ls", "-q"])?.ok()?.lines().count() == 1);
    berth.berth(["pause", "frozen"])?.ok()?;
    berth.kill()?;
    // A machine that goes down takes every process with it, and what lies in memory.
    leaks::kill_all_below(berth.root());
    programs::eventually("no process is left", || {
        Ok(leaks::processes(berth.root())?.is_empty().then_some(()))
    })?;
    std::fs::remove_dir_all(berth.root().join("exec"))?;
    berth.spawn()?;
    becomes(&berth, "always", "running 0 0")?;
    becomes(&berth, "unless-stopped", "running 0 0")?;
    becomes(&berth, "on-failure", "running 0 0")?;
    becomes(&berth, "joined", "running 0 0").with_context(|| berth.log())?;
    ensure!(state(&berth, "no")? == "exited 255 0");
    ensure!(state(&berth, "frozen")? == "exited 255 0");
    ensure!(!berth.berth(["ps", "-a", "--format", "{{.Names}}"])?.ok()?.contains("gone"));
    ensure!(berth.berth(["volume", "ls", "-q"])?.ok()?.is_empty());
    berth.finish()
}

#[test]
fn automatic_removal_takes_anonymous_volumes() -> Result<()> {
    let mut berth = Berth::start()?;
    let volumes = |berth: &Berth| berth.berth(["volume", "ls", "-q"])?.ok();
    let wait = "until [ -e /go ]; do sleep 0.02; done";
    run(&berth, "here", &["--rm", "-v", "/data", "-v", "kept:/kept"], wait)?;
    run(&berth, "away", &["--rm", "-v", "/data"], wait)?;
    ensure!(volumes(&berth)?.lines().count() == 3);
    let refused = berth.berth(["update", "--restart", "always", "here"])?;
    refused.fails(1, "Restart policy cannot be updated because AutoRemove is enabled for the container")?;
    // in the background: the container may end before the session does
    berth.berth(["exec", "-d", "here", "touch", "/go"])?.ok()?;
    programs::eventually("it is removed", || {
        Ok((!berth.berth(["ps", "-aq", "--filter", "name=here"])?.ok()?.contains(char::is_alphanumeric))
            .then_some(()))
    })?;
    let pid = inspect(&berth, "away", "{{.State.Pid}}")?;
    berth.kill()?;
    std::fs::write(format!("/proc/{pid}/root/go"), "")?;
    programs::eventually("its shim has gone", || {
        Ok(leaks::processes(berth.root())?.is_empty().then_some(()))
    })?;
    berth.spawn()?;
    ensure!(berth.berth(["ps", "-aq"])?.ok()?.is_empty());
    ensure!(volumes(&berth)? == "kept");
    berth.berth(["volume", "rm", "kept"])?.ok()?;
    berth.finish()
}

fn health(berth: &Berth, name: &str) -> Result<Value> {
    Ok(serde_json::from_str(&inspect(berth, name, "{{json .State.Health}}")?)?)
}

fn healthy(berth: &Berth, name: &str, status: &str) -> Result<Value> {
    programs::eventually(&format!("{name} is {status}"), || {
        let health = health(berth, name)?;
        Ok((health["Status"] == status).then_some(health))
    })
}

#[test]
fn health_is_probed() -> Result<()> {
    let mut berth = Berth::start()?;
    let check = ["--health-cmd", "cat /ok", "--health-interval", "100ms", "--health-retries", "2"];
    run(&berth, "box", &check, "sleep 1000")?;
    let sick = healthy(&berth, "box", "unhealthy")?;
    ensure!(sick["FailingStreak"].as_i64() >= Some(2), "{sick}");
    ensure!(sick["Log"][0]["ExitCode"] == 1, "{sick}");
    ensure!(
        sick["Log"][0]["Output"].as_str().is_some_and(|text| text.contains("can't open '/ok'")),
        "{sick}"
    );
    ensure!(berth.berth(["ps", "--format", "{{.Status}}"])?.ok()?.ends_with(" (unhealthy)"));
    berth.berth(["exec", "box", "touch", "/ok"])?.ok()?;
    healthy(&berth, "box", "healthy")?;
    // No probe of a frozen container; and as in Docker one that nobody probes is not healthy.
    berth.berth(["pause", "box"])?.ok()?;
    let frozen = health(&berth, "box")?;
    ensure!(frozen["Status"] == "unhealthy", "{frozen}");
    ensure!(berth.berth(["ps", "--format", "{{.Status}}"])?.ok()?.ends_with(" (Paused)"));
    berth.berth(["unpause", "box"])?.ok()?;
    healthy(&berth, "box", "healthy")?;
    // The next daemon goes on.
    berth.kill()?;
    berth.spawn()?;
    berth.berth(["exec", "box", "rm", "/ok"])?.ok()?;
    let sick = healthy(&berth, "box", "unhealthy")?;
    ensure!(sick["Log"].as_array().is_some_and(|log| log.len() <= 5), "{sick}");
    let events =
        berth.berth(["events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}"])?.ok()?;
    let verdicts: Vec<&str> = events
        .lines()
        .filter(|line| line.starts_with("health_status") || line.starts_with("exec_"))
        .collect();
    ensure!(verdicts.contains(&"health_status: unhealthy"), "{events}");
    ensure!(verdicts.contains(&"exec_create: /bin/sh -c cat /ok"), "{events}");
    let at = |what: &str| verdicts.iter().position(|line| line.starts_with(what));
    ensure!(at("exec_create") < at("exec_start") && at("exec_start") < at("exec_die"), "{events}");
    berth.berth(["stop", "-t", "0", "box"])?.ok()?;
    ensure!(health(&berth, "box")?["Status"] == "unhealthy");
    berth.finish()
}

#[test]
fn health_checks_of_an_image_and_probes_that_hang() -> Result<()> {
    let mut berth = Berth::bare(&[])?;
    let image = e2e::image::Image::busybox()?.config(
        "Healthcheck",
        serde_json::json!({ "Test": ["CMD", "true"], "Interval": 100_000_000, "Retries": 7 }),
    );
    berth.load(&image, IMAGE)?;
    run(&berth, "own", &[], "sleep 1000")?;
    healthy(&berth, "own", "healthy")?;
    run(&berth, "none", &["--no-healthcheck"], "sleep 1000")?;
    ensure!(inspect(&berth, "none", "{{json .State.Health}}")? == "null");
    // One field of the image's check is replaced.
    run(&berth, "other", &["--health-cmd", "head -c 5000 /dev/zero | tr '\\0' x"], "sleep 1000")?;
    ensure!(inspect(&berth, "other", "{{.Config.Healthcheck.Retries}}")? == "7");
    let long = healthy(&berth, "other", "healthy")?;
    let output = long["Log"][0]["Output"].as_str().unwrap_or_default();
    ensure!(output.len() == 4099 && output.ends_with("x..."), "{}", output.len());
    // In the start period failures don't count, and the interval is its own.
    let young = ["--health-cmd", "exit 4", "--health-interval", "1h", "--health-start-period", "1h"];
    run(&berth, "young", &[&young[..], &["--health-start-interval", "50ms"]].concat(), "sleep 1000")?;
    programs::eventually("it was probed", || {
        Ok((health(&berth, "young")?["Log"].as_array().map_or(0, Vec::len) >= 2).then_some(()))
    })?;
    let young = health(&berth, "young")?;
    ensure!(young["Status"] == "starting" && young["FailingStreak"] == 0, "{young}");
    // A probe that hangs is killed at its time's end, at a pause, and when berthd dies.
    let hang = |timeout| ["--health-cmd", "echo begun; exec sleep 4711", "--health-timeout", timeout];
    run(&berth, "hangs", &hang("200ms"), "sleep 1000")?;
    let log = programs::eventually("it was probed", || {
        let log = health(&berth, "hangs")?["Log"][0].clone();
        Ok((!log.is_null()).then_some(log))
    })?;
    ensure!(log["ExitCode"] == -1, "{log}");
    ensure!(log["Output"] == "Health check exceeded timeout (200ms): begun\n", "{log}");
    berth.berth(["rm", "-f", "hangs", "young"])?.ok()?;
    run(&berth, "hangs", &hang("1h"), "sleep 1000")?;
    // the number of the probe's process: the next probe may come before anyone has seen that there was none
    let probe = || {
        let top = berth.berth(["top", "hangs"])?.ok()?;
        let line = top.lines().find(|line| line.contains("4711"));
        Ok::<_, anyhow::Error>(line.and_then(|line| Some(line.split_whitespace().nth(1)?.to_owned())))
    };
    let first = programs::eventually("it is probed", probe)?;
    berth.berth(["pause", "hangs"])?.ok()?;
    berth.berth(["unpause", "hangs"])?.ok()?;
    programs::eventually("the probe is killed, and the next begins", || {
        Ok(probe()?.filter(|next| *next != first))
    })?;
    berth.kill()?;
    programs::eventually("the probe is killed", || {
        let left = std::fs::read_dir("/proc")?.filter_map(Result::ok).any(|entry| {
            std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == b"sleep\x004711\0")
        });
        Ok((!left).then_some(()))
    })?;
    berth.spawn()?;
    berth.finish()
}

#[test]
fn stop_signals_and_patience() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let image = e2e::image::Image::busybox()?.config("StopSignal", serde_json::json!("SIGUSR1"));
    berth.load(&image, IMAGE)?;
    let script =
        "trap 'exit 10' USR1; trap 'exit 15' TERM; trap 'exit 37' 37; echo up; while :; do sleep 0.05; done";
    let up = |name: &str, options: &[&str], script: &str| {
        run(&berth, name, options, script)?;
        programs::eventually("it has set its traps", || {
            Ok(berth.berth(["logs", name])?.stdout.contains("up").then_some(()))
        })
    };
    for (name, options, stop, code) in [
        ("image", &[][..], &["stop"][..], "10"),
        ("own", &["--stop-signal", "TERM"], &["stop"], "15"),
        ("asked", &[], &["stop", "-s", "SIGRTMIN+3"], "37"),
        ("kill", &[], &["kill", "-s", "15"], "15"),
        ("never", &["--stop-timeout", "-1"], &["stop"], "10"),
        ("forever", &["--stop-timeout", "0"], &["stop", "-t", "-1"], "10"),
    ] {
        up(name, options, script)?;
        berth.berth(stop.iter().chain(&[name]))?.ok()?;
        ensure!(berth.berth(["wait", name])?.ok()? == code, "{name}");
    }
    let deaf = "trap '' USR1; echo up; while :; do sleep 0.05; done";
    up("at-once", &["--stop-timeout", "0"], deaf)?;
    let start = std::time::Instant::now();
    berth.berth(["stop", "at-once"])?.ok()?;
    ensure!(start.elapsed() < Duration::from_secs(8), "a stop timeout of 0 was not taken");
    ensure!(state(&berth, "at-once")? == "exited 137 0");
    // -1 waits however long it takes.
    up("patient", &[], "trap 'sleep 0.7; exit 3' USR1; echo up; while :; do sleep 0.05; done")?;
    berth.berth(["stop", "-t", "-1", "patient"])?.ok()?;
    ensure!(state(&berth, "patient")? == "exited 3 0");
    // Several at once, one of which is not there.
    let several = berth.berth(["restart", "-t", "0", "image", "nobody", "own"])?;
    several.fails(1, "No such container: nobody")?;
    ensure!(state(&berth, "image")? == "running 0 0" && state(&berth, "own")? == "running 0 0");
    berth.finish()
}

#[test]
fn attach_and_start_with_streams_and_signals() -> Result<()> {
    let berth = Berth::start()?;
    let script = "trap 'echo got; exit 9' TERM; echo up; while :; do sleep 0.05; done";
    for docker in [false, true] {
        let client =
            |args: &[&str]| if docker { berth.docker_command(args) } else { berth.berth_command(args) };
        for (options, code, running) in [(&[][..], 9, "false"), (&["--sig-proxy=false"], 143, "true")] {
            // Docker's client takes signals over only some time after it was attached.
            if docker {
                continue;
            }
            run(&berth, "box", &[], script)?;
            programs::eventually("it has set its trap", || {
                Ok(berth.berth(["logs", "box"])?.stdout.contains("up").then_some(()))
            })?;
            let mut command = client(&[&["attach", "--no-stdin"], options, &["box"]].concat())?;
            let mut attached = command.stdout(std::process::Stdio::null()).spawn()?;
            programs::eventually("the client is attached", || {
                let told = berth.berth(["events", "--until", "0s", "--filter", "event=attach"])?;
                let count = told.stdout.lines().count();
                Ok((count == 1 + usize::from(running == "true")).then_some(()))
            })?;
            let pid = rustix::process::Pid::from_child(&attached);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
            let status = programs::wait(&mut attached, programs::PATIENCE)?
                .with_context(|| format!("{docker} {options:?} did not end"))?;
            use std::os::unix::process::ExitStatusExt;
            let ended = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            ensure!(ended == code, "{options:?}: {status}");
            ensure!(inspect(&berth, "box", "{{.State.Running}}")? == running, "{options:?}");
            berth.berth(["rm", "-f", "box"])?.ok()?;
        }
        berth
            .berth(["create", "--name", "says", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 6"])?
            .ok()?;
        let said = programs::run(&mut client(&["start", "-a", "says"])?)?;
        ensure!((said.code, said.stdout.as_str(), said.stderr.as_str()) == (6, "out\n", "err\n"), "{said:?}");
        berth.berth(["create", "-i", "--name", "cat", IMAGE, "cat"])?.ok()?;
        let echoed =
            programs::run_with(&mut client(&["start", "-a", "-i", "cat"])?, b"hello\n", programs::PATIENCE)?;
        ensure!((echoed.code, echoed.stdout.as_str()) == (0, "hello\n"), "{echoed:?}");
        programs::run(&mut client(&["start", "-a", "says", "cat"])?)?
            .fails(1, "you cannot start and attach multiple containers at once")?;
        programs::run(&mut client(&["attach", "says"])?)?
            .fails(1, "cannot attach to a stopped container, start it first")?;
        let both = programs::run(&mut client(&["start", "cat", "nobody", "says"])?)?;
        ensure!(both.code == 1 && both.stdout == "cat\nsays\n", "{both:?}");
        ensure!(both.stderr.contains("failed to start containers: nobody"), "{both:?}");
        berth.berth(["rm", "-f", "cat", "says"])?.ok()?;
    }
    berth.finish()
}
