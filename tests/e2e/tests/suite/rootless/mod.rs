//! An ordinary user's daemon.

mod delegation;
mod keep_id;
mod limits;
mod machine;
mod ports;
mod session;

use std::os::unix::fs::MetadataExt as _;

use anyhow::{Result, ensure};
use e2e::programs;

use machine::{ADDRESS, As, COUNT, IMAGE, Machine, NEIGHBOUR};

#[test]
fn a_users_command_starts_his_own_daemon() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    ensure!(
        machine.home().join(".local/share/berth").is_dir() && machine.state().join("berth.sock").exists()
    );
    let info = machine
        .berth(&["info", "--format", "{{json .SecurityOptions}} {{json .Warnings}} {{.CgroupDriver}}"])?
        .ok()?;
    ensure!(
        info.contains("name=rootless") && info.contains("without cgroups") && info.ends_with(" none"),
        "{info}"
    );
    // the user is root there, and his subordinate ids are everybody else
    let map = machine.sh(&[], "id -u; cat /proc/self/uid_map")?;
    ensure!(numbers(&map) == [0, 0, machine.user, 1, 1, machine.first, COUNT], "{map}");
    // whether the host shows its queues or not
    ensure!(machine.sh(&["--ipc", "host"], "readlink /proc/self/ns/ipc")? == host_ipc()?);
    // what only cgroups can do is said to be left out, or refused
    let limited = machine.berth(&["run", "--rm", "--memory", "64m", "--cpus", "1", IMAGE, "echo", "ran"])?;
    ensure!(limited.stdout == "ran\n" && limited.stderr.contains("discarded"), "{limited:?}");
    machine.berth(&["run", "-d", "--name", "idle", IMAGE, "sleep", "1000"])?.ok()?;
    machine.berth(&["pause", "idle"])?.fails(1, "the container has no cgroup of its own")?;
    machine.berth(&["rm", "-f", "idle"])?.ok()?;
    machine.finish()
}

/// The numbers in a text.
fn numbers(text: &str) -> Vec<u32> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// The IPC namespace of the machine that the test runs on, which that of the user shares.
fn host_ipc() -> Result<String> {
    Ok(std::fs::read_link("/proc/self/ns/ipc")?.to_string_lossy().into_owned())
}

#[test]
fn files_of_a_container_are_the_users() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    machine.script("mkdir shared")?;
    let bind = format!("{}:/b", machine.home().join("shared").display());
    machine.sh(&["-v", &bind], "echo x > /b/of-root; echo y > /b/of-app; chown app /b/of-app")?;
    let owner = |name: &str| -> Result<u32> {
        Ok(std::fs::metadata(machine.home().join("shared").join(name))?.uid())
    };
    ensure!(owner("of-root")? == machine.user && owner("of-app")? == machine.first + 999);
    machine.sh(&["-v", "kept:/kept"], "echo kept > /kept/file")?;
    ensure!(machine.sh(&["-v", "kept:/kept"], "cat /kept/file")? == "kept");
    machine.berth(&["volume", "rm", "kept"])?.ok()?;
    machine.finish()
}

#[test]
fn a_users_build_runs_copies_and_hides() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    machine.script("mkdir -p context/d && echo copied > context/f && echo below > context/d/below")?;
    let dockerfile = format!(
        "FROM {IMAGE}\\nRUN mkdir /old && echo a > /old/a\\nRUN id -u > /who && chown app /who && rm -r /old && \
         mkdir /old && echo b > /old/b\\nCOPY f /f\\nCOPY --chown=app d /d\\nRUN --mount=type=cache,target=/c rm /f\\n"
    );
    machine.script(&format!("printf '{dockerfile}' > context/Dockerfile"))?;
    let context = machine.home().join("context");
    machine.berth(&["build", "-q", "-t", "built", &context.to_string_lossy()])?.ok()?;
    let look = "stat -c %u:%s /who; ls /old; [ -e /f ] || echo hidden; cat /d/below; stat -c %U /d/below";
    let shown = machine.berth(&["run", "--rm", "built", "sh", "-c", look])?.ok()?;
    ensure!(shown == "1000:2\nb\nhidden\nbelow\napp", "{shown}");
    // what a layer hides it hides for everyone who gets the image
    let saved = machine.home().join("saved.tar").to_string_lossy().into_owned();
    machine.berth(&["save", "-o", &saved, "built"])?.ok()?;
    machine.berth(&["rmi", "-f", "built"])?.ok()?;
    machine.berth(&["load", "-i", &saved])?.ok()?;
    ensure!(machine.berth(&["run", "--rm", "built", "sh", "-c", look])?.ok()? == shown);
    machine.finish()
}

#[test]
fn a_killed_daemon_leaves_a_users_containers_and_their_network() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    machine.berth(&["network", "create", "inner"])?.ok()?;
    let serve = "mkdir /www; echo served > /www/index.html; echo up; exec httpd -f -v -p 80 -h /www";
    let words =
        ["run", "-d", "--name", "server", "--network", "inner", "-p", "18080:80", IMAGE, "sh", "-c", serve];
    machine.berth(&words)?.ok()?;
    ensure!(machine.berth(&["exec", "server", "id", "-u"])?.ok()? == "0");
    ensure!(machine.berth(&["exec", "-u", "app", "server", "id", "-u"])?.ok()? == "1000");
    machine.berth(&["exec", "server", "false"])?.fails(1, "")?;
    let published = format!("http://{ADDRESS}:18080");
    let inside = || machine.sh(&["--network", "inner"], "wget -qO- http://server");
    ensure!(machine.fetch(As::Neighbour, &published)? == "served\n" && inside()? == "served");
    ensure!(machine.fetch(As::User, "http://127.0.0.1:18080")? == "served\n");
    let logs = programs::run(&mut machine.command(As::User, &["berth", "logs", "server"]))?;
    ensure!(logs.stdout == "up\n" && logs.stderr.contains(NEIGHBOUR), "{logs:?}");
    ensure!(machine.berth(&["top", "server"])?.ok()?.contains("httpd"));
    ensure!(machine.sh(&["--pid", "container:server"], "ps")?.contains("httpd"));

    machine.kill_daemon()?;
    ensure!(machine.fetch(As::Neighbour, &published)? == "served\n");
    ensure!(machine.berth(&["exec", "server", "cat", "/www/index.html"])?.ok()? == "served");
    ensure!(inside()? == "served" && machine.fetch(As::Neighbour, &published)? == "served\n");
    machine.berth(&["stop", "-t", "1", "server"])?.ok()?;
    machine.berth(&["start", "server"])?.ok()?;
    ensure!(machine.fetch(As::Neighbour, &published)? == "served\n");
    machine.berth(&["rm", "-f", "server"])?.ok()?;
    machine.berth(&["network", "rm", "inner"])?.ok()?;
    machine.finish()
}

#[test]
fn without_subordinate_ids_it_says_what_to_do() -> Result<()> {
    let Some(machine) = Machine::new()? else { return Ok(()) };
    std::fs::write(machine.root.path().join("etc/subuid"), "")?;
    programs::run(&mut machine.command(As::User, &["berthd"]))?
        .fails(1, "/etc/subuid has no ids for tester: add a line as in tester:100000:65536")?;
    // nor is anything left of the attempt
    let left: Vec<_> = std::fs::read_dir(machine.state())?.flatten().map(|entry| entry.file_name()).collect();
    ensure!(left == ["rootless.lock"], "{left:?}");
    Ok(())
}
