//! `berth update`: other ports, mounts, environment and labels for a container that exists.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};

/// What the container's web server answers at a port of the host.
fn page(port: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port.parse()?))?;
    stream.set_read_timeout(Some(e2e::programs::PATIENCE))?;
    stream.write_all(b"GET /group HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// The same of a server that was started a moment ago.
fn served(port: &str) -> Result<String> {
    e2e::programs::eventually("the web server answers", || Ok(page(port).ok()))
}

/// A port of the host that was free a moment ago.
fn free() -> Result<String> {
    Ok(std::net::TcpListener::bind(("0.0.0.0", 0))?.local_addr()?.port().to_string())
}

#[test]
fn ports_of_a_running_container_change_at_once() -> Result<()> {
    let mut berth = Berth::start()?;
    let ok = |berth: &Berth, args: &[&str]| berth.berth(args)?.ok();
    ok(&berth, &["run", "-d", "--name", "web", IMAGE, "httpd", "-f", "-p", "80", "-h", "/etc"])?;
    let first = free()?;
    ok(&berth, &["update", "--publish", &format!("{first}:80"), "web"])?;
    ensure!(served(&first)?.contains("extra:x:2000"));
    ensure!(berth.docker(["port", "web"])?.ok()?.contains(&format!("80/tcp -> 0.0.0.0:{first}")));
    // a taken port: refused, and nothing of the update is done
    let taken = std::net::TcpListener::bind(("0.0.0.0", 0))?;
    let taken = taken.local_addr()?.port();
    berth
        .berth(["update", "-p", &format!("{taken}:81"), "-l", "half=made", "web"])?
        .fails(1, "port is already allocated")?;
    ensure!(berth.docker(["inspect", "-f", "{{json .Config.Labels}}", "web"])?.ok()? == "{}");
    ensure!(page(&first)?.contains("extra:x:2000"));
    // from the container itself, through the host: the bridge sends frames back
    let gateway = ok(&berth, &["inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "web"])?;
    let get = format!("printf 'GET /group HTTP/1.0\\r\\n\\r\\n' | nc -w 10 {gateway} {first}");
    ensure!(ok(&berth, &["exec", "web", "sh", "-c", &get])?.contains("extra:x:2000"));
    // another one in its place, in one step, over a kill of the daemon
    let second = free()?;
    ok(&berth, &["update", "--publish-rm", "80", "-p", &format!("127.0.0.1:{second}:80"), "web"])?;
    ensure!(page(&first).is_err() && page(&second)?.contains("extra:x:2000"));
    berth.kill()?;
    berth.spawn()?;
    ensure!(page(&first).is_err() && page(&second)?.contains("extra:x:2000"));
    ok(&berth, &["restart", "-t", "0", "web"])?;
    ensure!(served(&second)?.contains("extra:x:2000") && page(&first).is_err());
    ok(&berth, &["update", "--publish-rm", &format!("127.0.0.1:{second}:80/tcp"), "web"])?;
    ensure!(page(&second).is_err());
    ensure!(berth.docker(["inspect", "-f", "{{json .NetworkSettings.Ports}}", "web"])?.ok()? == "{}");
    berth.finish()
}

#[test]
fn mounts_environment_and_labels_change_and_the_files_stay() -> Result<()> {
    let mut berth = Berth::start()?;
    let ok = |berth: &Berth, args: &[&str]| berth.berth(args)?.ok();
    let share = berth.root().join("share");
    std::fs::create_dir(&share)?;
    std::fs::write(share.join("f"), "shared")?;
    ok(
        &berth,
        &[
            "run", "-d", "--name", "one", "-e", "A=1", "-e", "B=2", "-l", "old=1", "-v", "/gone", IMAGE,
            "sleep", "1000",
        ],
    )?;
    ok(&berth, &["exec", "one", "sh", "-c", "echo kept > /root/mine"])?;
    let since = ok(&berth, &["info", "--format", "{{.SystemTime}}"])?;
    let bind = format!("type=bind,src={},dst=/mnt,ro", share.display());
    let ran = berth.berth([
        "update",
        "--mount",
        &bind,
        "--mount",
        "type=volume,src=data,dst=/home",
        "--mount-rm",
        "/gone",
        "-e",
        "A=3",
        "--env-rm",
        "B",
        "--label",
        "new=2",
        "--label-rm",
        "old",
        "one",
    ])?;
    ensure!(ran.stdout.contains("started again"), "{ran:?}");
    ran.ok()?;
    let until = ok(&berth, &["info", "--format", "{{.SystemTime}}"])?;
    let events = ok(&berth, &["events", "--since", &since, "--until", &until, "--filter", "event=update"])?;
    ensure!(events.contains("container update") && events.contains("new=2"), "{events}");
    let shown = |berth: &Berth, template: &str| berth.docker(["inspect", "-f", template, "one"])?.ok();
    ensure!(shown(&berth, "{{json .Config.Labels}}")? == r#"{"new":"2"}"#);
    // at once: labels; the rest waits
    ensure!(ok(&berth, &["exec", "one", "sh", "-c", "ls /mnt; mount | grep -c /gone"])? == "1");
    berth.kill()?;
    berth.spawn()?;
    ok(&berth, &["restart", "-t", "0", "one"])?;
    let script = "cat /root/mine /mnt/f; echo; echo $A-$B; grep -c ' /gone ' /proc/mounts; true";
    let inside = ok(&berth, &["exec", "one", "sh", "-c", script])?;
    ensure!(inside == "kept\nshared\n3-\n0", "{inside}");
    ensure!(
        ok(&berth, &["exec", "one", "sh", "-c", "touch /home/x && ! touch /mnt/x 2>/dev/null && echo good"])?
            == "good"
    );
    let mounts = shown(&berth, "{{range .Mounts}}{{.Destination}} {{end}}")?;
    ensure!(mounts.split_whitespace().collect::<Vec<_>>() == ["/mnt", "/home"], "{mounts}");
    what_is_wrong_changes_nothing(&berth)?;
    // one in place of another, in one step
    ok(&berth, &["update", "--mount-rm", "/mnt", "--mount", "type=tmpfs,dst=/mnt", "one"])?;
    ok(&berth, &["restart", "-t", "0", "one"])?;
    ensure!(ok(&berth, &["exec", "one", "sh", "-c", "touch /mnt/x && cat /root/mine"])? == "kept");
    ok(&berth, &["run", "-d", "--name", "host", "--network", "host", IMAGE, "sleep", "1000"])?;
    berth.berth(["update", "-p", "80", "host"])?.fails(1, "network mode is host")?;
    ok(&berth, &["rm", "-f", "-v", "one"])?;
    ok(&berth, &["volume", "prune", "-a", "-f"])?;
    berth.finish()
}

fn what_is_wrong_changes_nothing(berth: &Berth) -> Result<()> {
    for (args, words) in [
        (&["--mount-rm", "/nowhere"][..], "no mount at"),
        (&["--mount", "type=bind,src=/no/such,dst=/x"], "does not exist"),
        (&["--mount", "type=tmpfs,dst=/mnt"], "Duplicate mount point"),
        (&["--env-rm", "B"], "no such variable"),
        (&["--label-rm", "old"], "no such label"),
        (&["--publish-rm", "80"], "is not published"),
        (&["--publish", "x:80"], "invalid"),
        (&["--mount-rm", "/mnt", "--env-rm", "B"], "no such variable"),
    ] {
        berth.berth([&["update"], args, &["one"]].concat())?.fails(1, words)?;
    }
    ensure!(
        berth.docker(["inspect", "-f", "{{len .Mounts}} {{index .Config.Env 0}}", "one"])?.ok()? == "2 A=3"
    );
    Ok(())
}
