//! What is measured, in the order of the report.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::{Berth, programs};

use super::measure::{RUNS, Row, in_turn, processes, pss, time};
use super::{IMAGE, build, files, images, logs, many, net, oci};
use e2e::peers::Docker;

pub(super) type Measure = fn(&Berth, &Docker) -> Result<Vec<Row>>;

/// What belongs together in the report: measured and written as a whole.
pub(super) struct Section {
    pub(super) title: &'static str,
    /// Name and measurement.
    pub(super) rows: &'static [(&'static str, Measure)],
}

pub(super) const ALL: &[Section] = &[
    Section {
        title: "Containers",
        rows: &[
            // first: what a daemon takes that has not done anything yet
            ("memory", memory),
            ("run none", run_none),
            ("run bridge", run_bridge),
            ("exec", exec),
            ("rm", rm),
            ("version", version),
            ("serial", serial),
            ("ps", ps),
        ],
    },
    Section {
        title: "Networks",
        rows: &[
            ("net start", net::start),
            ("net many", net::many),
            ("net create", net::create),
            ("net tcp", net::between),
            ("net published", net::published),
            ("net udp", net::round_trips),
            ("net names", net::lookups),
            ("net range", net::range),
        ],
    },
    Section { title: "Logs", rows: &[("log", logs::rows)] },
    Section {
        title: "Many containers",
        rows: &[("many running", many::stats), ("many listed", many::listed)],
    },
    Section { title: "OCI runtime", rows: &[("oci", oci::rows)] },
    Section { title: "Files", rows: &[("cp", files::rows)] },
    Section { title: "Images", rows: &[("images", images::rows)] },
    Section { title: "Builds", rows: &[("build", build::rows)] },
    Section { title: "Programs", rows: &[("sizes", sizes)] },
];

/// The same command line on both engines, in turn.
fn both(work: &str, berth: &Berth, docker: &Docker, args: &[&str], runs: usize) -> Result<Vec<Row>> {
    let (ours, theirs) = in_turn(|| time(berth.berth_command(args)?), || time(docker.command(args)), runs)?;
    Ok(vec![Row::new(work, "ms", ours, "docker", theirs)])
}

fn run_none(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    both(
        "run --rm --network none true",
        berth,
        docker,
        &["run", "--rm", "--network", "none", IMAGE, "true"],
        RUNS,
    )
}

fn run_bridge(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    both("run --rm true, default bridge", berth, docker, &["run", "--rm", IMAGE, "true"], RUNS)
}

/// A container that stays, on both engines, while `work` runs.
fn with_container(
    berth: &Berth,
    docker: &Docker,
    work: impl FnOnce() -> Result<Vec<Row>>,
) -> Result<Vec<Row>> {
    let start = ["run", "-d", "--name", "bench", IMAGE, "sleep", "1000"];
    berth.berth(start)?.ok()?;
    docker.run(&start)?.ok()?;
    let rows = work();
    berth.berth(["rm", "-f", "bench"])?.ok()?;
    docker.run(&["rm", "-f", "bench"])?.ok()?;
    rows
}

fn exec(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    with_container(berth, docker, || both("exec true", berth, docker, &["exec", "bench", "true"], RUNS))
}

fn rm(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let start = ["run", "-d", "--name", "bench-rm", IMAGE, "sleep", "1000"];
    let end = ["rm", "-f", "bench-rm"];
    let (ours, theirs) = in_turn(
        || {
            berth.berth(start)?.ok()?;
            time(berth.berth_command(end)?)
        },
        || {
            docker.run(&start)?.ok()?;
            time(docker.command(&end))
        },
        RUNS,
    )?;
    Ok(vec![Row::new("rm -f of a running container", "ms", ours, "docker", theirs)])
}

fn version(_: &Berth, _: &Docker) -> Result<Vec<Row>> {
    let berth = programs::program("berth")?;
    let client = |program: &std::path::Path| {
        let mut command = Command::new(program);
        command.arg("--version");
        time(command)
    };
    let (ours, theirs) =
        in_turn(|| client(&berth), || client(std::path::Path::new("/usr/bin/docker")), RUNS)?;
    Ok(vec![Row::new("--version", "ms", ours, "docker", theirs)])
}

fn serial(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    const STARTS: usize = 20;
    let args = ["run", "--rm", IMAGE, "true"];
    let many = |one: &dyn Fn() -> Result<f64>| -> Result<f64> {
        let start = Instant::now();
        for _ in 0..STARTS {
            one()?;
        }
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    let (ours, theirs) =
        in_turn(|| many(&|| time(berth.berth_command(args)?)), || many(&|| time(docker.command(&args))), 1)?;
    Ok(vec![Row::new("20 runs, one after another", "ms", ours, "docker", theirs)])
}

fn ps(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    with_running(berth, docker, || both("ps with 20 running", berth, docker, &["ps"], RUNS))
}

/// Twenty containers on both engines while `work` runs.
fn with_running(berth: &Berth, docker: &Docker, work: impl FnOnce() -> Result<Vec<Row>>) -> Result<Vec<Row>> {
    const RUNNING: usize = 20;
    let names: Vec<String> = (0..RUNNING).map(|n| format!("bench-{n}")).collect();
    for name in &names {
        let start = ["run", "-d", "--network", "none", "--name", name, IMAGE, "sleep", "1000"];
        berth.berth(start)?.ok()?;
        docker.run(&start)?.ok()?;
    }
    let rows = work();
    let remove: Vec<&str> = ["rm", "-f"].into_iter().chain(names.iter().map(String::as_str)).collect();
    berth.berth(&remove)?.ok()?;
    docker.run(&remove)?.ok()?;
    rows
}

fn memory(berth: &Berth, docker: &Docker) -> Result<Vec<Row>> {
    let engine = processes("containerd", &docker.root().display().to_string());
    let theirs = engine.iter().try_fold(pss(docker.pid())?, |sum, pid| anyhow::Ok(sum + pss(*pid)?))?;
    let mut rows = vec![Row::new("daemon idle, PSS", "MiB", pss(berth.pid()?)?, "docker", theirs)];
    // Several, for the pages of the program that they share are the machine's only once.
    rows.extend(with_running(berth, docker, || {
        let root = berth.root().display().to_string();
        let ours = settled(|| average(&processes("berth-shim", &root)))?;
        let theirs = average(&processes("containerd-shim-runc-v2", &docker.root().display().to_string()))?;
        Ok(vec![Row::new("shim, PSS, 20 running", "MiB", ours, "docker", theirs)])
    })?);
    Ok(rows)
}

fn average(pids: &[u32]) -> Result<f64> {
    anyhow::ensure!(!pids.is_empty(), "no shim is running");
    Ok(pids.iter().try_fold(0.0, |sum, pid| anyhow::Ok(sum + pss(*pid)?))? / pids.len() as f64)
}

/// The figure once it no longer changes: an idle shim gives memory back after a moment.
fn settled(figure: impl Fn() -> Result<f64>) -> Result<f64> {
    let mut last = (figure()?, Instant::now());
    programs::eventually("the memory of the shims settles", || {
        let now = figure()?;
        if (now - last.0).abs() > last.0 / 100.0 {
            last = (now, Instant::now());
        }
        Ok((last.1.elapsed() > Duration::from_secs(2)).then_some(now))
    })
}

fn sizes(_: &Berth, _: &Docker) -> Result<Vec<Row>> {
    let mib =
        |path: &std::path::Path| std::fs::metadata(path).map_or(0.0, |meta| meta.len() as f64 / 1_048_576.0);
    let mut ours = 0.0;
    for name in ["berth", "berthd", "berth-shim", "berth-oci"] {
        ours += mib(&programs::program(name)?);
    }
    let theirs = [
        "/usr/bin/docker",
        "/usr/sbin/dockerd",
        "/usr/bin/containerd",
        "/usr/bin/containerd-shim-runc-v2",
        "/usr/sbin/runc",
        "/usr/sbin/docker-proxy",
    ];
    let theirs = theirs.iter().map(|path| mib(std::path::Path::new(path))).sum();
    Ok(vec![Row::new("the programs, on disk", "MiB", ours, "docker", theirs)])
}
