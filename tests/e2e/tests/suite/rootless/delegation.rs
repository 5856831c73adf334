//! Control groups that the user's systemd gives an ordinary user's daemon, on hosts that version 2 rules.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::programs::eventually;
use rustix::process::{Signal, kill_process};

use super::machine::IMAGE;
use super::session::Session;

fn read(group: &Path, file: &str) -> Result<String> {
    let path = group.join(file);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.trim_end().to_owned())
}

#[test]
fn a_users_service_limits_and_its_containers_outlive_it() -> Result<()> {
    let Some(session) = Session::new()? else { return Ok(()) };
    session.start_service()?;
    session.load_image()?;
    let info =
        session.berth(&["info", "--format", "{{.CgroupDriver}} {{.CgroupVersion}} {{json .Warnings}}"])?;
    let info = info.ok()?;
    ensure!(info.starts_with("cgroupfs 2 ") && !info.contains("without cgroups"), "{info}");
    ensure!(!info.contains("No memory limit") && !info.contains("No pids limit"), "{info}");

    let limits =
        ["-m", "64m", "--memory-swap", "64m", "--pids-limit", "50", "--cpus", "0.5", "--cpuset-cpus", "0"];
    let run = [&["run", "-d", "--name", "held"], &limits[..], &[IMAGE, "sleep", "100000"]].concat();
    let ran = session.berth(&run)?;
    let warnings = ran.stderr.clone();
    ran.ok()?;
    let pid = session.inspect("held", ".State.Pid")?;
    let group = session.group(&pid)?;
    let delegated = read(&group, "cgroup.controllers")?;
    let has = |name: &str| delegated.split(' ').any(|one| one == name);
    ensure!(has("memory") && has("pids"), "{delegated}");
    ensure!(read(&group, "memory.max")? == "67108864" && read(&group, "pids.max")? == "50");
    // what the machine's systemd delegates is its administrator's choice
    for (controller, file, value) in [("cpu", "cpu.max", "50000 100000"), ("cpuset", "cpuset.cpus", "0")] {
        let warned = warnings.contains(&format!("the controller {controller} is not delegated to the user"));
        ensure!(warned != has(controller), "{controller}: {delegated}; {warnings}");
        ensure!(!has(controller) || read(&group, file)? == value, "{controller}");
    }
    let used =
        session.berth(&["stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "held"])?.ok()?;
    ensure!(used.ends_with(" / 64MiB 1") && !used.starts_with("0B"), "{used}");
    session.berth(&["pause", "held"])?.ok()?;
    ensure!(read(&group, "cgroup.freeze")? == "1" && session.inspect("held", ".State.Status")? == "paused");
    session.berth(&["unpause", "held"])?.ok()?;
    session.berth(&["update", "-m", "96m", "--memory-swap", "96m", "held"])?.ok()?;
    ensure!(read(&group, "memory.max")? == "100663296");

    // the service ends and comes back, by order and by accident; the user's systemd reads its units again
    let old = session.daemon()?;
    session.systemctl(&["restart", "berth"])?.ok()?;
    session.systemctl(&["daemon-reload"])?.ok()?;
    ensure!(session.daemon()? != old);
    session.kill_daemon()?;
    eventually("the service is back", || Ok((session.berth(&["version"])?.code == 0).then_some(())))?;
    ensure!(session.inspect("held", ".State.Pid")? == pid && session.group(&pid)? == group);
    ensure!(read(&group, "memory.max")? == "100663296" && read(&group, "pids.max")? == "50");
    session.berth(&["exec", "held", "true"])?.ok()?;
    let left = session.systemctl(&["status", "berth"])?;
    ensure!(!left.stdout.contains("berth-shim") && !left.stdout.contains("left-over"), "{left:?}");

    // what runs inside may be given groups of its own
    let own = "mkdir /sys/fs/cgroup/own && echo made";
    let made = session.berth(&["run", "--rm", "--systemd", "always", IMAGE, "sh", "-c", own])?.ok()?;
    // it has a terminal, as systemd wants
    ensure!(made.trim_end() == "made", "{made:?}");
    let fill = ["run", "--name", "oom", "-m", "16m", "--memory-swap", "16m", IMAGE, "tail", "/dev/zero"];
    session.berth(&fill)?.fails(137, "")?;
    ensure!(session.inspect("oom", ".State.OOMKilled")? == "true");
    session.berth(&["rm", "-f", "held", "oom"])?.ok()?;
    ensure!(!group.exists(), "the container's group stays");

    let scopes = session.scopes()?;
    ensure!(scopes.len() == 1, "{scopes:?}");
    session.systemctl(&["stop", "berth"])?.ok()?;
    eventually("the scope goes with the daemon", || Ok(session.scopes()?.is_empty().then_some(())))?;
    ensure!(session.processes("berth-rootless")? == 0 && session.processes("pasta")? == 0);
    Ok(())
}

#[test]
fn a_daemon_from_anywhere_has_its_groups_from_the_users_systemd() -> Result<()> {
    let Some(session) = Session::new()? else { return Ok(()) };
    // by the command, in the group that this test is in, which is not the user's
    session.load_image()?;
    let daemon = session.daemon()?.as_raw_nonzero().to_string();
    ensure!(session.group(&daemon)?.ends_with("engine"), "{:?}", session.group(&daemon)?);
    let limit =
        ["run", "--rm", "-m", "32m", "--cgroup-parent", "/above", IMAGE, "cat", "/sys/fs/cgroup/memory.max"];
    ensure!(session.berth(&limit)?.ok()? == "33554432");
    session.berth(&["run", "-d", "--name", "kept", "-m", "32m", IMAGE, "sleep", "100000"])?.ok()?;
    let pid = session.inspect("kept", ".State.Pid")?;
    let group = session.group(&pid)?;
    ensure!(read(&group, "memory.max")? == "33554432");
    session.kill_daemon()?;
    eventually(
        "the next daemon",
        || Ok((session.berth(&["exec", "kept", "true"])?.code == 0).then_some(())),
    )?;
    ensure!(session.group(&pid)? == group && session.scopes()?.len() == 1);
    session.berth(&["rm", "-f", "kept"])?.ok()?;
    ensure!(!group.exists());
    kill_process(session.daemon()?, Signal::TERM)?;
    eventually("the scope goes with the daemon", || Ok(session.scopes()?.is_empty().then_some(())))
}

#[test]
fn a_killed_shim_leaves_nothing_of_a_container_with_the_hosts_processes() -> Result<()> {
    let Some(session) = Session::new()? else { return Ok(()) };
    session.start_service()?;
    session.load_image()?;
    // none of them dies with its parent
    let tree = "sleep 1000 & (setsid sleep 1000 & setsid sleep 1000 &) ; exec sleep 1000";
    session.berth(&["run", "-d", "--pid", "host", "--name", "tree", IMAGE, "sh", "-c", tree])?.ok()?;
    eventually("four programs", || Ok((session.processes("sleep")? == 4).then_some(())))?;
    kill_process(session.shim("tree")?, Signal::KILL)?;
    eventually("the container has ended", || {
        Ok((session.inspect("tree", ".State.Status")? == "exited").then_some(()))
    })?;
    eventually("nothing of it lives", || Ok((session.processes("sleep")? == 0).then_some(())))?;
    // without a daemon the next one finds them
    session.berth(&["start", "tree"])?.ok()?;
    eventually("four programs", || Ok((session.processes("sleep")? == 4).then_some(())))?;
    let shim = session.shim("tree")?;
    session.systemctl(&["stop", "berth"])?.ok()?;
    kill_process(shim, Signal::KILL)?;
    session.systemctl(&["start", "berth"])?.ok()?;
    eventually("nothing of it lives", || Ok((session.processes("sleep")? == 0).then_some(())))?;
    ensure!(session.inspect("tree", ".State.Status")? == "exited");
    session.berth(&["rm", "tree"])?.ok().map(drop)
}

#[test]
fn containers_end_by_their_own_signals_with_the_users_systemd() -> Result<()> {
    let Some(session) = Session::new()? else { return Ok(()) };
    session.start_service()?;
    session.systemctl(&["enable", "berth"])?.ok()?;
    session.load_image()?;
    let script = "trap 'echo asked; exit 7' USR1; echo begun; while :; do sleep 0.1; done";
    let run =
        ["run", "-d", "--name", "heeds", "--stop-signal", "USR1", "-m", "64m", IMAGE, "sh", "-c", script];
    session.berth(&run)?.ok()?;
    eventually("it has begun", || {
        Ok(session.berth(&["logs", "heeds"])?.stdout.contains("begun").then_some(()))
    })?;
    session.end_and_begin()?;
    eventually("the service is back", || Ok((session.berth(&["version"])?.code == 0).then_some(())))?;
    let code = session.inspect("heeds", ".State.ExitCode")?;
    ensure!(code == "7", "{code}\n{}", session.journal()?);
    ensure!(session.berth(&["logs", "heeds"])?.ok()? == "begun\nasked");
    session.berth(&["rm", "heeds"])?.ok().map(drop)
}
