//! What an ordinary user's daemon can't do is refused by name, or said to be left out: the rows of `docs/rootless.md`.

use anyhow::{Result, ensure};
use e2e::lab::Namespace;
use e2e::programs;
use rustix::process::{Signal, kill_process};

use super::machine::{As, IMAGE, Machine};

#[test]
fn networks_that_only_root_can_make_are_refused() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    for (driver, why) in [
        ("macvlan", "macvlan networks are part of the host's, where an ordinary user's daemon has no rights"),
        ("ipvlan", "ipvlan networks are part of the host's, where an ordinary user's daemon has no rights"),
        ("overlay", "overlay networks are part of the host's, where an ordinary user's daemon has no rights"),
    ] {
        machine.berth(&["network", "create", "-d", driver, "refused"])?.fails(1, why)?;
    }
    ensure!(!machine.berth(&["network", "ls", "--format", "{{.Name}}"])?.ok()?.contains("refused"));
    machine.finish()
}

#[test]
fn a_daemon_with_roots_settings_does_not_start() -> Result<()> {
    let Some(machine) = Machine::new()? else { return Ok(()) };
    for (words, why) in [
        (&["--userns-remap", "default"][..], "userns-remap: containers of an ordinary user's daemon live in"),
        (
            &["--exec-opt", "native.cgroupdriver=systemd"],
            "an ordinary user's daemon makes its containers' control groups itself",
        ),
        (
            &["--cluster-store", "etcd://127.0.0.1:1"],
            "cluster-store: an ordinary user's daemon shares no networks with other hosts",
        ),
    ] {
        programs::run(&mut machine.command(As::User, &[&["berthd"], words].concat()))?.fails(1, why)?;
    }
    Ok(())
}

#[test]
fn what_needs_control_groups_or_other_namespaces_is_refused() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    let fails = |words: &[&str], why: &str| -> Result<()> {
        machine.berth(&[&["run", "--rm"], words, &[IMAGE, "true"]].concat())?.fails(125, why).map(drop)
    };
    for mode in ["auto", "private"] {
        let option = format!("--userns={mode}");
        fails(&[&option], &format!("userns mode {mode}: is not supported by a rootless berthd"))?;
    }
    fails(&["--systemd", "always"], "control groups")?;
    machine.berth(&["run", "-d", "--name", "idle", IMAGE, "sleep", "1000"])?.ok()?;
    machine
        .berth(&["update", "--memory", "64m", "idle"])?
        .fails(1, "it has no cgroup whose limits could change")?;
    machine.berth(&["update", "--restart", "no", "idle"])?.ok()?;
    machine
        .berth(&["checkpoint", "create", "idle", "one"])?
        .fails(1, "not supported by a rootless berthd")?;
    let used =
        machine.berth(&["stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "idle"])?.ok()?;
    ensure!(used == "0B / 0B 0", "{used}");
    machine.berth(&["rm", "-f", "idle"])?.ok()?;
    machine.finish()
}

#[test]
fn privilege_ends_where_the_users_does() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    // all rights over what is the user's own, and none over the machine's
    let script = "mkdir /m; mount -t tmpfs none /m && echo mounted; mknod /d c 1 3 2>/dev/null || echo refused; \
                  hostname x && echo named; echo 1 > /proc/sys/kernel/printk 2>/dev/null || echo kept";
    ensure!(machine.sh(&["--privileged"], script)? == "mounted\nrefused\nnamed\nkept");
    ensure!(machine.sh(&["--device", "/dev/null"], "echo x > /dev/null && echo written")? == "written");
    machine
        .berth(&["run", "--rm", "--device", "/dev/null:/dev/mine", IMAGE, "true"])?
        .fails(125, "gives containers devices by their names on the host only")?;
    let lower = machine.berth(&["run", "--rm", "--oom-score-adj", "-900", IMAGE, "true"])?;
    ensure!(lower.code != 0 && lower.stderr.contains("oom_score_adj"), "{lower:?}");
    machine.finish()
}

#[test]
fn the_hosts_network_is_the_daemons() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    let words = ["run", "-d", "--name", "host", "--network", "host", IMAGE, "sleep", "1000"];
    machine.berth(&words)?.ok()?;
    let pid = machine.berth(&["inspect", "-f", "{{.State.Pid}}", "host"])?.ok()?;
    ensure!(Namespace::of(pid.parse()?)?.inode()? != machine.host()?.inode()?);
    let links = machine.berth(&["exec", "host", "ip", "-o", "link"])?.ok()?;
    ensure!(links.contains(" outside: ") && !links.contains(" v0"), "{links}");
    machine.berth(&["rm", "-f", "host"])?.ok()?;
    machine.finish()
}

#[test]
fn the_hosts_processes_are_seen_and_its_settings_kept() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    let script = "readlink /proc/self/ns/pid; echo 1 > /proc/sys/kernel/printk 2>/dev/null || echo kept; \
                  wc -c < /proc/timer_list; cat /proc/sys/net/ipv4/ip_unprivileged_port_start";
    let seen = machine.sh(&["--pid", "host"], script)?;
    let own = std::fs::read_link("/proc/self/ns/pid")?;
    ensure!(seen == format!("{}\nkept\n0\n0", own.display()), "{seen}");
    machine.finish()
}

#[test]
fn a_killed_shim_takes_its_container_with_it() -> Result<()> {
    let Some(machine) = Machine::with_image()? else { return Ok(()) };
    let tree = "sleep 1000 & (sleep 1000 & sleep 1000) & wait";
    machine.berth(&["run", "-d", "--init", "--name", "tree", IMAGE, "sh", "-c", tree])?.ok()?;
    machine.berth(&["exec", "-d", "tree", "sleep", "1000"])?.ok()?;
    kill_process(machine.shim("tree")?, Signal::KILL)?;
    programs::eventually("nothing of the container lives", || {
        Ok((!machine.has_process("sleep")?).then_some(()))
    })?;
    programs::eventually("the container has ended", || {
        let state = machine.berth(&["inspect", "-f", "{{.State.Status}}", "tree"])?.ok()?;
        Ok((state == "exited").then_some(()))
    })?;
    // without a daemon, too
    machine.berth(&["start", "tree"])?.ok()?;
    let shim = machine.shim("tree")?;
    machine.kill_daemon()?;
    kill_process(shim, Signal::KILL)?;
    programs::eventually("nothing of the container lives", || {
        Ok((!machine.has_process("sleep")?).then_some(()))
    })?;
    ensure!(machine.berth(&["inspect", "-f", "{{.State.Status}}", "tree"])?.ok()? == "exited");
    machine.berth(&["rm", "tree"])?.ok()?;
    machine.finish()
}
