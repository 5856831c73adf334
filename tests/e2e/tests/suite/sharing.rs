//! Containers that share namespaces, and containers that know each other by links.

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};

#[test]
fn links_tell_of_others_as_docker_does() -> Result<()> {
    let mut berth = Berth::start()?;
    let ok = |berth: &Berth, args: &[&str]| berth.docker(args)?.ok();
    let run = |berth: &Berth, name: &str, options: &[&str]| {
        ok(berth, &[&["run", "-d", "--name", name], options, &[IMAGE, "sleep", "1000"]].concat())
    };
    let ports = ["--expose", "5432", "--expose", "80/udp", "--expose", "1000-1001"];
    let id = run(&berth, "db", &[&["-e", "PW=secret"][..], &ports].concat())?;
    run(&berth, "web", &["--link", "db:my-alias", "--link", "db"])?;
    let address =
        |berth: &Berth| ok(berth, &["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "db"]);
    let ip = address(&berth)?;
    let env = ok(&berth, &["exec", "web", "env"])?;
    for wanted in [
        "MY_ALIAS_ENV_PW=secret".to_owned(),
        "MY_ALIAS_NAME=/web/my-alias".to_owned(),
        format!("MY_ALIAS_PORT=udp://{ip}:80"),
        format!("MY_ALIAS_PORT_1000_TCP_END=tcp://{ip}:1001"),
        format!("MY_ALIAS_PORT_5432_TCP_ADDR={ip}"),
        "DB_PORT_80_UDP_PROTO=udp".to_owned(),
    ] {
        ensure!(env.lines().any(|line| line == wanted), "{wanted}:\n{env}");
    }
    let lines = |ip: &str| [format!("{ip}\tmy-alias {} db", &id[..12]), format!("{ip}\tdb {}", &id[..12])];
    let hosts = ok(&berth, &["exec", "web", "cat", "/etc/hosts"])?;
    ensure!(lines(&ip).iter().all(|line| hosts.lines().any(|have| have == line)), "{hosts}");
    ensure!(
        ok(&berth, &["inspect", "-f", "{{json .HostConfig.Links}}", "web"])?
            == r#"["/db:/web/db","/db:/web/my-alias"]"#
    );
    ensure!(ok(&berth, &["inspect", "-f", "{{.Name}}", "web/my-alias"])? == "/db");
    let names = ok(&berth, &["ps", "--no-trunc", "--filter", &format!("id={id}"), "--format", "{{.Names}}"])?;
    ensure!(names == "db,web/db,web/my-alias" || names == "db,web/my-alias,web/db", "{names}");
    // another address after a stop in which somebody took the old one: the hosts file follows, over a daemon's death
    ok(&berth, &["stop", "-t", "0", "db"])?;
    run(&berth, "filler", &["--ip", &ip]).or_else(|_| run(&berth, "filler", &[]))?;
    berth.kill()?;
    berth.spawn()?;
    ok(&berth, &["start", "db"])?;
    let moved = address(&berth)?;
    let hosts = ok(&berth, &["exec", "web", "cat", "/etc/hosts"])?;
    ensure!(lines(&moved).iter().all(|line| hosts.lines().any(|have| have == line)), "{moved}\n{hosts}");
    links_go(&berth)?;
    berth.finish()
}

fn links_go(berth: &Berth) -> Result<()> {
    let ok = |args: &[&str]| berth.docker(args)?.ok();
    ok(&["rm", "--link", "web/my-alias"])?;
    ensure!(!ok(&["exec", "web", "cat", "/etc/hosts"])?.contains("my-alias"));
    ok(&["rename", "web", "site"])?;
    ok(&["rename", "db", "data"])?;
    ensure!(ok(&["inspect", "-f", "{{json .HostConfig.Links}}", "site"])? == r#"["/data:/site/db"]"#);
    for (args, code, words) in [
        (&["rm", "--link", "site"][..], 1, "Conflict, cannot remove the default link name of the container"),
        (&["rm", "--link", "site/nope"], 1, "No such container: site/nope"),
        (
            &["run", "--link", "nope", IMAGE, "true"],
            125,
            "could not get container for nope: No such container: nope",
        ),
        (&["run", "--link", "db:", "--name", "x1", IMAGE, "true"], 125, "could not get container for"),
    ] {
        berth.docker(args)?.fails(code, words)?;
    }
    ok(&["stop", "-t", "0", "data"])?;
    berth
        .docker(["run", "--name", "late", "--link", "data:d", IMAGE, "true"])?
        .fails(125, "Cannot link to a non running container: /data AS /late/d")?;
    ok(&["rm", "data"])?;
    ensure!(["null", "[]"].contains(&ok(&["inspect", "-f", "{{json .HostConfig.Links}}", "site"])?.as_str()));
    berth.docker(["restart", "-t", "0", "site"])?.fails(1, "Cannot link to a removed container")?;
    ok(&["rm", "--link", "site/db"])?;
    ok(&["start", "site"])?;
    Ok(())
}

#[test]
fn namespaces_are_shared_and_refused_by_name() -> Result<()> {
    let mut berth = Berth::start()?;
    let ok = |berth: &Berth, args: &[&str]| berth.docker(args)?.ok();
    let namespace = |berth: &Berth, options: &[&str], kind: &str| {
        ok(
            berth,
            &[&["run", "--rm"], options, &[IMAGE, "readlink", &format!("/proc/self/ns/{kind}")]].concat(),
        )
    };
    ok(&berth, &["run", "-d", "--name", "base", "--ipc", "shareable", IMAGE, "sleep", "1000"])?;
    for kind in ["pid", "ipc", "net"] {
        let theirs = ok(&berth, &["exec", "base", "readlink", &format!("/proc/1/ns/{kind}")])?;
        let flag = if kind == "net" { "network" } else { kind };
        ensure!(namespace(&berth, &[&format!("--{flag}=container:base")], kind)? == theirs, "{kind}");
        let host = std::fs::read_link(format!("/proc/self/ns/{kind}"))?;
        ensure!(namespace(&berth, &[&format!("--{flag}=host")], kind)? == host.to_string_lossy(), "{kind}");
    }
    ensure!(
        namespace(&berth, &["--uts=host"], "uts")?
            == std::fs::read_link("/proc/self/ns/uts")?.to_string_lossy()
    );
    ok(&berth, &["exec", "base", "sh", "-c", "echo here > /dev/shm/f"])?;
    ensure!(ok(&berth, &["run", "--rm", "--ipc=container:base", IMAGE, "cat", "/dev/shm/f"])? == "here");
    ensure!(ok(&berth, &["run", "--rm", "--pid=container:base", IMAGE, "cat", "/proc/1/comm"])? == "sleep");
    ok(&berth, &["run", "-d", "--name", "closed", "--ipc", "private", IMAGE, "sleep", "1000"])?;
    ok(&berth, &["create", "--name", "still", IMAGE])?;
    for (option, words) in [
        ("--ipc=container:closed", "non-shareable IPC"),
        ("--ipc=container:nope", "No such container: nope"),
        ("--pid=container:nope", "No such container: nope"),
        ("--network=container:nope", "No such container: nope"),
        ("--ipc=container:still", "is not running"),
        ("--pid=container:still", "is not running"),
        ("--network=container:still", "cannot join network of a non running container"),
        ("--ipc=foo", "IPC mode: foo"),
    ] {
        berth.docker(["run", "--rm", option, IMAGE, "true"])?.fails(125, words)?;
    }
    starts_in_order(&mut berth)?;
    berth.finish()
}

/// What starts with the daemon starts after what it joins.
fn starts_in_order(berth: &mut Berth) -> Result<()> {
    let ok = |berth: &Berth, args: &[&str]| berth.docker(args)?.ok();
    let always = ["run", "-d", "--restart", "always", "--name"];
    ok(berth, &[&always[..], &["a1", IMAGE, "sleep", "1000"]].concat())?;
    for (name, options) in [
        ("a2", &["--network=container:a1"][..]),
        ("a3", &["--network=container:a2", "--pid=container:a2"]),
        ("a0", &["--link", "a1"]),
    ] {
        ok(berth, &[&always[..], &[name], options, &[IMAGE, "sleep", "1000"]].concat())?;
    }
    let pids = |berth: &Berth| ok(berth, &["inspect", "-f", "{{.State.Pid}}", "a1", "a2", "a3", "a0"]);
    let before = pids(berth)?;
    // as a machine's sudden end: the daemon and everything that it runs
    berth.kill()?;
    for pid in before.lines() {
        let shim = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let shim =
            shim.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)).unwrap_or_default().parse()?;
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(shim).ok_or_else(|| anyhow::anyhow!("no shim"))?,
            rustix::process::Signal::KILL,
        )?;
    }
    berth.spawn()?;
    e2e::programs::eventually("all run again", || {
        let states = berth.docker(["inspect", "-f", "{{.State.Running}}", "a1", "a2", "a3", "a0"])?.ok()?;
        Ok((!states.contains("false") && pids(berth)?.lines().all(|pid| !before.contains(pid))).then_some(()))
    })
}
