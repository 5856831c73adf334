//! What is told, to whom, and in which form.

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;
use serde_json::Value;

/// Every event so far that passes `filters`.
fn told(berth: &Berth, filters: &[&str]) -> Result<Vec<Value>> {
    let mut args = vec!["events", "--until", "0s", "--format", "{{json .}}"];
    args.extend(filters.iter().flat_map(|filter| ["--filter", filter]));
    let text = berth.berth(args)?.ok()?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["Action"].as_str()).collect()
}

#[test]
fn a_container_s_life_is_told_with_its_attributes() -> Result<()> {
    let berth = Berth::start()?;
    let ok = |args: &[&str]| berth.berth(args)?.ok();
    let id = ok(&["run", "-d", "--name", "box", "--label", "a=b", IMAGE, "sleep", "1000"])?;
    ok(&["exec", "box", "true"])?;
    berth.berth(["exec", "box", "sh", "-c", "exit 5"])?;
    ok(&["top", "box"])?;
    ok(&["pause", "box"])?;
    ok(&["unpause", "box"])?;
    ok(&["rename", "box", "other"])?;
    ok(&["update", "--pids-limit", "100", "other"])?;
    ok(&["kill", "-s", "HUP", "other"])?;
    ok(&["restart", "-t", "0", "other"])?;
    ok(&["stop", "-t", "0", "other"])?;
    ok(&["rm", "other"])?;
    let events = told(&berth, &["type=container"])?;
    let expected = [
        "create",
        "start",
        "exec_create: true ",
        "exec_start: true ",
        "exec_die",
        "exec_create: sh -c exit 5",
        "exec_start: sh -c exit 5",
        "exec_die",
        "top",
        "pause",
        "unpause",
        "rename",
        "update",
        "kill",
        "kill",
        "kill",
        "die",
        "stop",
        "start",
        "restart",
        "kill",
        "kill",
        "die",
        "stop",
        "destroy",
    ];
    ensure!(actions(&events) == expected, "{:?}", actions(&events));
    let first = |action: &str| {
        events.iter().find(|event| event["Action"] == action).with_context(|| format!("no {action}"))
    };
    for event in &events {
        let attributes = &event["Actor"]["Attributes"];
        ensure!(event["Type"] == "container" && event["scope"] == "local", "{event}");
        ensure!(event["Actor"]["ID"] == id.as_str(), "{event}");
        ensure!(attributes["image"] == IMAGE && attributes["a"] == "b", "{event}");
        ensure!(
            event["timeNano"].as_i64().is_some_and(|nano| nano / 1_000_000_000 == event["time"]),
            "{event}"
        );
    }
    ensure!(events.is_sorted_by_key(|event| event["timeNano"].as_i64()), "times go back");
    ensure!(first("rename")?["Actor"]["Attributes"]["oldName"] == "/box");
    ensure!(first("rename")?["Actor"]["Attributes"]["name"] == "other");
    ensure!(first("kill")?["Actor"]["Attributes"]["signal"] == "1");
    let died: Vec<_> = events.iter().filter(|event| event["Action"] == "exec_die").collect();
    ensure!(died.len() == 2 && died[0]["Actor"]["Attributes"]["exitCode"] == "0", "{died:?}");
    ensure!(died[1]["Actor"]["Attributes"]["exitCode"] == "5", "{died:?}");
    ensure!(died[0]["Actor"]["Attributes"]["execID"].as_str().is_some_and(|id| id.len() == 64));
    let ended = &first("die")?["Actor"]["Attributes"];
    ensure!(ended["exitCode"] == "137" && ended["execDuration"].is_string(), "{ended}");
    berth.finish()
}

#[test]
fn images_and_a_reload_are_told() -> Result<()> {
    let berth = Berth::start()?;
    let ok = |args: &[&str]| berth.berth(args)?.ok();
    ok(&["tag", IMAGE, "berth-test/second:1"])?;
    ok(&["save", "-o", &berth.root().join("saved.tar").display().to_string(), IMAGE])?;
    ok(&["rmi", "berth-test/second:1"])?;
    let pid = rustix::process::Pid::from_raw(berth.pid()?.cast_signed()).context("berthd runs")?;
    rustix::process::kill_process(pid, rustix::process::Signal::HUP)?;
    let reload = programs::eventually("the reload is told", || {
        Ok(told(&berth, &["type=daemon", "event=reload"])?.pop())
    })?;
    ensure!(reload["Actor"]["Attributes"]["debug"] == "false", "{reload}");
    let images = told(&berth, &["type=image"])?;
    ensure!(actions(&images) == ["load", "tag", "save", "untag"], "{images:?}");
    ensure!(images[1]["Actor"]["Attributes"]["name"] == "berth-test/second:1", "{images:?}");
    berth.finish()
}

#[test]
fn filters_replay_and_forms() -> Result<()> {
    let berth = Berth::start()?;
    let ok = |args: &[&str]| berth.berth(args)?.ok();
    let id = ok(&["run", "-d", "--name", "first", "--label", "who=me", IMAGE, "sleep", "1000"])?;
    ok(&["run", "--rm", "--name", "second", IMAGE, "true"])?;
    let found = |filters: &[&str]| Ok::<_, anyhow::Error>(told(&berth, filters)?.len());
    ensure!(found(&["container=first"])? == 2);
    ensure!(found(&["container=fir"])? == 2 && found(&[&format!("container={}", &id[..12])])? == 2);
    ensure!(found(&["container=first", "container=second", "event=create"])? == 2);
    ensure!(found(&["label=who"])? == 2 && found(&["label=who=you"])? == 0);
    ensure!(found(&["event=die"])? == 1 && found(&["event=die", "container=first"])? == 0);
    ensure!(found(&[&format!("image={IMAGE}"), "event=start"])? == 2);
    ensure!(found(&["scope=swarm"])? == 0 && found(&["type=volume"])? == 0);
    ensure!(found(&["type=image"])? == 1 && found(&["type=plugin"])? == 0);
    berth
        .berth(["events", "--until", "0s", "--filter", "colour=red"])?
        .fails(1, "invalid filter 'colour'")?;
    // Times, in every form that Docker's command line takes; the API wants seconds.
    for since in ["0", "0.5", "1970-01-01T00:00:00Z", "1970-01-01", "24h"] {
        let text = ok(&["events", "--since", since, "--until", "0s", "--filter", "event=die"])?;
        ensure!(text.lines().count() == 1 && text.contains("container die"), "{since}: {text}");
    }
    ensure!(ok(&["events", "--since", "0s", "--until", "-1s", "--filter", "event=die"])?.is_empty());
    berth.berth(["events", "--since", "never"])?.fails(1, "failed to parse value as time or duration")?;
    let get = |path: &str, accept: &str| http(&berth, path, accept);
    ensure!(
        get("/events?since=20&until=10", "")?.contains("`since` time (20) cannot be after `until` time (10)")
    );
    ensure!(get("/events?since=x", "")?.contains("HTTP/1.1 400"));
    let plain = get("/events?until=1", "")?;
    ensure!(plain.to_lowercase().contains("content-type: application/json\r\n"), "{plain}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs() + 1;
    let all = format!("/events?until={now}");
    let lines = get(&all, "application/x-ndjson")?;
    ensure!(lines.to_lowercase().contains("content-type: application/x-ndjson\r\n"), "{lines}");
    ensure!(lines.contains("\"Action\":\"die\"") && !lines.contains('\x1e'), "{lines}");
    let sequence = get(&all, "application/json-seq")?;
    ensure!(sequence.to_lowercase().contains("content-type: application/json-seq\r\n"), "{sequence}");
    ensure!(sequence.matches('\x1e').count() == lines.matches("\"Action\"").count(), "{sequence}");
    berth.finish()
}

/// The raw answer to one request.
fn http(berth: &Berth, path: &str, accept: &str) -> Result<String> {
    use std::io::{Read, Write};
    let mut socket = std::os::unix::net::UnixStream::connect(berth.root().join("sock"))?;
    socket.set_read_timeout(Some(programs::PATIENCE))?;
    let accept = if accept.is_empty() { String::new() } else { format!("Accept: {accept}\r\n") };
    write!(socket, "GET {path} HTTP/1.1\r\nHost: berth\r\n{accept}Connection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn wrong_verbs_are_refused_in_docker_s_words() -> Result<()> {
    let berth = Berth::start()?;
    let ok = |args: &[&str]| berth.berth(args)?.ok();
    let refused = |args: &[&str], words: &str| berth.berth(args)?.fails(1, words);
    let up = ok(&["run", "-d", "--name", "up", IMAGE, "sleep", "1000"])?;
    ok(&["create", "--name", "down", IMAGE, "sleep", "1000"])?;
    refused(&["unpause", "up"], &format!("Container {up} is not paused"))?;
    refused(&["pause", "down"], "is not running")?;
    ok(&["pause", "up"])?;
    refused(&["pause", "up"], "is already paused")?;
    refused(&["exec", "up", "true"], "is paused, unpause the container before exec")?;
    refused(&["start", "up"], "cannot start a paused container, try unpause instead")?;
    refused(&["attach", "up"], "cannot attach to a paused container, unpause it first")?;
    refused(&["rm", "up"], "cannot remove container")?;
    ok(&["restart", "-t", "0", "up"])?;
    for (signal, words) in [
        ("FOO", "invalid signal: FOO"),
        ("0", "invalid signal: 0"),
        ("99", "the linux daemon does not support signal 99"),
    ] {
        refused(&["kill", "-s", signal, "up"], words)?;
    }
    for signal in ["WINCH", "sigwinch", "28", "URG"] {
        ok(&["kill", "-s", signal, "up"])?;
    }
    refused(&["kill", "down"], "is not running")?;
    refused(&["rename", "up", "down"], "The container name \"/down\" is already in use by container")?;
    refused(&["rename", "up", "up"], "Renaming a container with the same name as its current name")?;
    refused(
        &["rename", "up", "/bad name"],
        "Error when allocating new name: Invalid container name (/bad name)",
    )?;
    refused(&["rename", "up", ""], "Neither old nor new names may be empty")?;
    let cannot = format!("Cannot update container {up}: ");
    ok(&["update", "-m", "50m", "--memory-swap", "60m", "up"])?;
    refused(
        &["update", "-m", "100m", "up"],
        &format!("{cannot}Memory limit should be smaller than already set"),
    )?;
    refused(&["update", "-m", "4m", "up"], "Minimum memory limit allowed is 6MB")?;
    refused(&["update", "--restart", "always:3", "up"], "maximum retry count can")?;
    refused(&["update", "--restart", "sometimes", "up"], "sometimes")?;
    berth.berth(["run", "--rm", "--restart", "always", IMAGE, "true"])?.fails(125, "--restart and --rm")?;
    ok(&["rename", "up", "renamed"])?;
    ensure!(ok(&["ps", "--format", "{{.Names}}"])? == "renamed");
    // The old name is free again.
    ok(&["create", "--name", "up", IMAGE])?;
    berth.finish()
}

/// A day in the life of everything that events are told of; `{tar}` is a file to write to.
const DAY: &[&str] = &[
    "create --network none --name boxx --label a=b {image} sleep 1000",
    "start boxx",
    "exec boxx true",
    "exec -d boxx true",
    "top boxx",
    "pause boxx",
    "unpause boxx",
    "rename boxx other",
    "update --pids-limit 100 other",
    "kill -s HUP other",
    "cp other:/etc/passwd {tar}.passwd",
    "cp {tar}.passwd other:/tmp/passwd",
    "export -o {tar}.export other",
    "commit --pause=false other day:1",
    "tag day:1 day:2",
    "save -o {tar} day:2",
    "rmi day:2",
    "load -i {tar}",
    "rmi day:2",
    "rmi day:1",
    "import {tar}.export day:3",
    "restart -t 0 other",
    "stop -t 0 other",
    "rm other",
    "volume create vol",
    "run --rm --network none -v vol:/vol {image} true",
    "volume rm vol",
    "container prune -f",
    "image prune -f",
    "volume prune -f",
];

/// Kind, action and names of attributes of each event, but for what today's Docker tells otherwise than Debian's.
fn shapes(run: &dyn Fn(&[&str]) -> Result<programs::Ran>, tar: &str, image: &str) -> Result<Vec<String>> {
    for step in DAY {
        let words = step.replace("{tar}", tar).replace("{image}", image);
        run(&words.split(' ').collect::<Vec<_>>())?.ok()?;
        if step.starts_with("exec -d") {
            programs::eventually("the session's end is told", || {
                let told = run(&["events", "--since", "0", "--until", "-2s", "--filter", "event=exec_die"]);
                // 20.10 knows no span that lies ahead: the second must pass
                let told = told.and_then(programs::Ran::ok)?;
                Ok((told.lines().count() == 2).then_some(()))
            })?;
        }
    }
    let told = programs::eventually("the last event is told", || {
        let text = run(&["events", "--since", "0", "--until", "-2s", "--format", "{{json .}}"])?.ok()?;
        let last = text.lines().last().unwrap_or_default();
        Ok((last.contains("\"volume\"") && last.contains("\"prune\"")).then_some(text))
    })?;
    let mut shapes = Vec::new();
    for line in told.lines() {
        let event: Value = serde_json::from_str(line)?;
        let attributes = event["Actor"]["Attributes"].as_object().context("no attributes")?;
        let names: Vec<&str> =
            attributes.keys().map(String::as_str).filter(|name| *name != "execDuration").collect();
        let kind = event["Type"].as_str().unwrap_or_default();
        shapes.push(format!("{kind} {} {}", event["Action"].as_str().unwrap_or_default(), names.join(",")));
    }
    // Debian's tells of a volume's creation again when it is used, and of the network that is none.
    shapes.retain(|shape| !shape.starts_with("network "));
    shapes.dedup();
    Ok(shapes)
}

#[test]
fn everything_is_told_as_debian_s_docker_tells_it() -> Result<()> {
    use e2e::peers::Docker;
    let berth = Berth::start()?;
    let tar = berth.root().join("day.tar").display().to_string();
    let ours = shapes(&|args| berth.berth(args), &tar, IMAGE)?;
    let docker = Docker::start(Docker::NO_NETWORK)?;
    let archive = docker.root().join("image.tar");
    e2e::image::Image::busybox()?.save(&archive, IMAGE)?;
    docker.run(&["load", "-i", &archive.display().to_string()])?.ok()?;
    let tar = docker.root().join("day.tar").display().to_string();
    let theirs = shapes(&|args| docker.run(args), &tar, IMAGE)?;
    docker.stop()?;
    for at in 0..ours.len().max(theirs.len()) {
        ensure!(ours.get(at) == theirs.get(at), "event {at}:\n{ours:#?}\n{theirs:#?}");
    }
    berth.finish()
}
