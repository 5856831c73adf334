//! `stats`: Docker's numbers under Docker's names, for one reader and for many.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::peers::Docker;
use e2e::{http, programs, shape};
use serde_json::Value;

const BUSY: &str = "while :; do :; done";

fn number(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or_default()
}

/// The share of the processors, by the formula of the API's document.
fn share(stats: &Value) -> f64 {
    let span = |path: &str| {
        number(stats, &format!("/cpu_stats/{path}")) - number(stats, &format!("/precpu_stats/{path}"))
    };
    span("cpu_usage/total_usage") / span("system_cpu_usage") * number(stats, "/cpu_stats/online_cpus") * 100.0
}

/// A container that takes half a processor, one that is limited in memory, one that was never started.
fn prepare(run: impl Fn(&[&str]) -> Result<()>) -> Result<()> {
    run(&[
        "run",
        "-d",
        "--name",
        "busy",
        "--network",
        "none",
        "--cpus",
        "0.5",
        "--pids-limit",
        "7",
        IMAGE,
        "sh",
        "-c",
        BUSY,
    ])?;
    run(&["run", "-d", "--name", "small", "--network", "none", "-m", "16m", IMAGE, "sleep", "1000"])?;
    run(&["create", "--name", "rest", IMAGE, "true"])
}

#[test]
fn one_reading_has_dockers_fields() -> Result<()> {
    let berth = Berth::start()?;
    let docker = Docker::start(Docker::NO_NETWORK)?;
    let archive = tempfile::NamedTempFile::new()?;
    e2e::image::Image::busybox()?.save(archive.path(), IMAGE)?;
    docker.run(&["load", "-i", archive.path().to_str().context("path")?])?.ok()?;
    prepare(|args| berth.berth(args)?.ok().map(drop))?;
    prepare(|args| docker.run(args)?.ok().map(drop))?;
    for name in ["busy", "small", "rest"] {
        for query in ["stream=false", "stream=false&one-shot=true"] {
            let path = format!("/v1.41/containers/{name}/stats?{query}");
            let (ours, theirs) = (http::get(berth.root(), &path)?, http::get(docker.root(), &path)?);
            let differs = shape::differences(&shape::shape(&ours, &[]), &shape::shape(&theirs, &[]));
            // the newer API's field
            ensure!(differs == ["+ .os_type: string"], "{path}: {differs:?}");
            for same in
                ["/memory_stats/limit", "/pids_stats/limit", "/pids_stats/current", "/cpu_stats/online_cpus"]
            {
                ensure!(ours.pointer(same) == theirs.pointer(same), "{path} {same}: {ours} {theirs}");
            }
        }
    }
    let refused = "/v1.41/containers/busy/stats?stream=true&one-shot=true";
    let (ours, theirs) =
        (http::ask(berth.root(), "GET", refused)?, http::ask(docker.root(), "GET", refused)?);
    ensure!((ours.status, ours.text()?) == (theirs.status, theirs.text()?.trim_end().to_owned() + "\n"));
    docker.run(&["rm", "-f", "busy", "small", "rest"])?.ok()?;
    docker.stop()?;
    berth.finish()
}

#[test]
fn the_share_is_of_now_and_comes_soon() -> Result<()> {
    let berth = Berth::start()?;
    prepare(|args| berth.berth(args)?.ok().map(drop))?;
    let path = "/v1.55/containers/busy/stats?stream=false";
    let (start, first) = (Instant::now(), http::get(berth.root(), path)?);
    // Docker's own answer takes one to two seconds
    ensure!(start.elapsed() < programs::patient(Duration::from_millis(900)), "{:?}", start.elapsed());
    // half of a processor; of a quarter of a second, a busy machine may give it all or nothing
    let mut reading = first;
    programs::eventually("the share is a half", || {
        let found = (20.0..80.0).contains(&share(&reading)).then_some(());
        reading = http::get(berth.root(), path)?;
        Ok(found)
    })?;
    let one_shot = http::get(berth.root(), "/v1.55/containers/busy/stats?stream=false&one-shot=1")?;
    ensure!(number(&one_shot, "/precpu_stats/cpu_usage/total_usage") == 0.0, "{one_shot}");
    ensure!(number(&one_shot, "/cpu_stats/throttling_data/periods") > 0.0, "{one_shot}");
    // what has stopped uses nothing, on all clients
    berth.berth(["kill", "busy"])?.ok()?;
    let format = "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}";
    let args = ["stats", "-a", "--no-stream", "--format", format];
    let (ours, theirs) = (berth.berth(args)?.ok()?, berth.docker(args)?.ok()?);
    for shown in [&ours, &theirs] {
        ensure!(shown.contains("busy 0.00% 0B / 0B 0") && shown.contains("rest 0.00% 0B / 0B 0"), "{shown}");
        ensure!(shown.contains("small") && shown.contains(" / 16MiB 1"), "{shown}");
    }
    ensure!(berth.berth(["stats", "--no-stream"])?.ok()?.lines().count() == 2);
    berth.berth(["stats", "--no-stream", "nosuch"])?.fails(1, "No such container: nosuch")?;
    berth.finish()
}

/// A stream goes on through a stop and a start, and ends with the removal; all readers see the same readings.
#[test]
fn a_stream_lives_as_long_as_the_container() -> Result<()> {
    let berth = Berth::start()?;
    let start = ["run", "-d", "--name", "seen", IMAGE, "sleep", "1000"];
    berth.berth(start)?.ok()?;
    let open = || http::ask(berth.root(), "GET", "/v1.55/containers/seen/stats");
    let (mut one, mut two) = (open()?, open()?);
    let next = |answer: &mut http::Answer| answer.line()?.context("the stream has ended");
    let first = next(&mut one)?;
    ensure!(
        first["preread"] == "0001-01-01T00:00:00Z" && first["precpu_stats"]["system_cpu_usage"].is_null(),
        "{first}"
    );
    ensure!(
        first["networks"]["eth0"]["rx_bytes"].is_u64() && first["networks"].get("lo").is_none(),
        "{first}"
    );
    next(&mut two)?;
    let (a, b) = (next(&mut one)?, next(&mut two)?);
    ensure!(a["read"] == b["read"] && a["preread"] == first["read"], "{a} {b}");
    berth.berth(["kill", "seen"])?.ok()?;
    let empty = |value: &Value| value["read"] == "0001-01-01T00:00:00Z";
    while !empty(&next(&mut one)?) {}
    berth.berth(["start", "seen"])?.ok()?;
    while empty(&next(&mut one)?) {}
    berth.berth(["rm", "-f", "seen"])?.ok()?;
    while let Some(last) = one.line()? {
        ensure!(last["name"] == "/seen", "{last}");
    }
    berth.finish()
}

/// The live table shows who comes and forgets who goes.
#[test]
fn the_table_follows_the_events() -> Result<()> {
    use std::io::{BufRead, BufReader};
    let berth = Berth::start()?;
    let run =
        |name| berth.berth(["run", "-d", "--name", name, "--network", "none", IMAGE, "sleep", "1000"])?.ok();
    run("first")?;
    let mut table = berth.berth_command(["stats", "--format", "{{.Name}} {{.PIDs}}."])?;
    let mut table = table.stdout(std::process::Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(table.stdout.take().context("no output")?).lines();
    let mut until = |wanted: &str| -> Result<()> {
        loop {
            if lines.next().context("the table has ended")?? == wanted {
                return Ok(());
            }
        }
    };
    until("first 1.")?;
    run("second")?;
    until("second 1.")?;
    berth.berth(["kill", "second"])?.ok()?;
    until("first 1.")?;
    table.kill()?;
    table.wait()?;
    // with names: until all of them are gone
    let mut named = berth.berth_command(["stats", "--format", "{{.Name}}", "first"])?;
    let mut named = named.stdout(std::process::Stdio::null()).spawn()?;
    berth.berth(["rm", "-f", "first"])?.ok()?;
    let status = programs::wait(&mut named, programs::PATIENCE)?;
    ensure!(status.is_some_and(|status| matches!(status.code(), Some(0 | 1))), "{status:?}");
    berth.finish()
}
