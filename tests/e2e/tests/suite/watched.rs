//! What a daemon tells those who watch it: metrics, and its log as JSON.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::registry::{Kind, Packing, Registry, Style};
use e2e::{http, image, programs};

use crate::build;
use crate::pull;

/// The value of a line that begins with these words.
fn value(page: &str, words: &str) -> Result<f64> {
    let line =
        page.lines().find(|line| line.starts_with(words)).with_context(|| format!("{words}:\n{page}"))?;
    Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
}

#[test]
fn metrics_say_what_happened() -> Result<()> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let berth = Berth::bare(&["--metrics-addr", &format!("127.0.0.1:{port}")])?;
    berth.load(&image::Image::busybox()?, IMAGE)?;
    berth.berth(["run", "-d", "--name", "xx", IMAGE, "sleep", "600"])?.ok()?;
    berth.berth(["run", "--rm", IMAGE, "true"])?.ok()?;
    berth.berth(["inspect", "no-such-container"])?;
    let page = programs::eventually("the events are counted", || {
        let page = http::ask(berth.root(), "GET", "/metrics")?.text()?;
        Ok((value(&page, "berth_container_deaths_total ")? == 1.0).then_some(page))
    })?;
    ensure!(value(&page, "engine_daemon_container_states_containers{state=\"running\"}")? == 1.0);
    ensure!(value(&page, "engine_daemon_engine_info{")? == 1.0);
    ensure!(value(&page, "engine_daemon_container_actions_seconds_count{action=\"start\"}")? == 2.0);
    ensure!(value(&page, "engine_daemon_container_actions_seconds_count{action=\"create\"}")? == 2.0);
    ensure!(value(&page, "berth_container_starts_total ")? == 2.0);
    ensure!(value(&page, "engine_daemon_events_total ")? >= 5.0);
    let missing =
        "berth_api_request_seconds_count{method=\"GET\",route=\"/containers/{name}/json\",status=\"404\"}";
    let missing_by_id = missing.replace("{name}", "{id}");
    ensure!(value(&page, missing).or_else(|_| value(&page, &missing_by_id))? >= 1.0);
    // no line says the same thing twice, and each metric is described
    let mut names: Vec<&str> = page
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, _)| name)
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    ensure!(names.len() == count, "a line stands twice");
    // the same on an address of its own, and nothing else there
    for (path, status) in [("/metrics", "200"), ("/containers/json", "404")] {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer:.200}");
        ensure!(path != "/metrics" || answer.contains("engine_daemon_events_total"), "{answer:.300}");
    }
    ensure!(berth.berth(["info", "-f", "{{.NEventsListener}}"])?.ok()? == "0");
    berth.finish()
}

/// What no event tells: bytes that were pulled, steps that the build cache had, probes.
#[test]
fn metrics_say_what_was_fetched_built_and_probed() -> Result<()> {
    let (berth, registry) = (Berth::bare(&[])?, Registry::start(Kind::Ours)?);
    let picture = pull::picture(Style::Oci, &[Packing::Gzip], &[50_000])?;
    picture.push(&registry.probe_of("some/image")?, "some/image", "1")?;
    berth.berth(["pull", "-q", &registry.site().name("some/image:1")])?.ok()?;
    let page = http::ask(berth.root(), "GET", "/metrics")?.text()?;
    // noise, which no gzip makes smaller
    let pulled = value(&page, "berth_image_pull_bytes_total ")?;
    ensure!(pulled > 50_000.0, "{pulled}");
    ensure!(value(&page, "berth_build_steps_total{result=\"made\"}")? == 0.0);

    berth.load(&image::Image::busybox()?, IMAGE)?;
    let context = build::Context::new(
        &berth,
        "counted",
        &[("Dockerfile", &format!("FROM {IMAGE}\nRUN echo a > /a\nRUN false\n"))],
    )?;
    ensure!(context.own(&[])?.code != 0);
    let recipe = format!("FROM {IMAGE}\nRUN echo a > /a\nRUN echo b > /b\n");
    let context = build::Context::new(&berth, "counted", &[("Dockerfile", &recipe)])?;
    context.own(&[])?.ok()?;
    let page = http::ask(berth.root(), "GET", "/metrics")?.text()?;
    ensure!(value(&page, "berth_builds_failed_total ")? == 1.0);
    // the image and the step that is new; the other one the build that failed had made
    let made = value(&page, "berth_build_steps_total{result=\"made\"}")?;
    let cached = value(&page, "berth_build_steps_total{result=\"cached\"}")?;
    ensure!(made >= 1.0 && cached >= 1.0, "{made} made, {cached} cached");
    context.own(&[])?.ok()?;
    let page = http::ask(berth.root(), "GET", "/metrics")?.text()?;
    ensure!(value(&page, "berth_build_steps_total{result=\"cached\"}")? >= cached + 2.0, "{page}");

    let options = ["--health-cmd", "false", "--health-interval", "100ms", "--health-start-period", "0s"];
    berth.berth([&["run", "-d"], &options[..], &[IMAGE, "sleep", "600"]].concat())?.ok()?;
    programs::eventually("probes are counted", || {
        let page = http::ask(berth.root(), "GET", "/metrics")?.text()?;
        let all = value(&page, "engine_daemon_health_checks_total ")?;
        ensure!(value(&page, "engine_daemon_health_checks_failed_total ")? == all, "{page}");
        Ok((all >= 2.0).then_some(()))
    })?;
    ensure!(value(&page, "berth_image_pull_bytes_total ")? == pulled);
    berth.finish()
}

#[test]
fn the_log_is_json_when_that_is_asked_for() -> Result<()> {
    let berth = Berth::bare(&["--log-format=json", "--debug"])?;
    berth.berth(["ps"])?.ok()?;
    let log = berth.log();
    ensure!(log.lines().count() > 1, "{log}");
    for line in log.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        for name in ["level", "msg", "time"] {
            ensure!(entry[name].is_string(), "{name}: {line}");
        }
    }
    ensure!(log.contains("serving the Docker Engine API"), "{log}");
    berth.finish()
}

/// The daemon's own score is nothing that containers have.
#[test]
fn containers_do_not_inherit_the_daemon_s_oom_score() -> Result<()> {
    let berth = Berth::bare(&["--oom-score-adjust=321"])?;
    berth.load(&image::Image::busybox()?, IMAGE)?;
    let own = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", berth.pid()?))?;
    ensure!(own.trim() == "321", "{own}");
    let score = ["run", "--rm", IMAGE, "cat", "/proc/self/oom_score_adj"];
    ensure!(berth.berth(score)?.ok()? == "0");
    berth.finish()
}

#[test]
fn tcp_without_tls_must_be_meant() -> Result<()> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let host = format!("tcp://127.0.0.1:{port}");
    let Err(error) = Berth::bare(&["-H", &host]) else { anyhow::bail!("the daemon has started") };
    ensure!(format!("{error:#}").contains("--tls=false"), "{error:#}");
    let berth = Berth::bare(&["-H", &host, "--tls=false"])?;
    let mut ping = programs::command(&programs::program("berth")?, ["-H", &host, "ps", "-q"]);
    programs::run(&mut ping)?.ok()?;
    ensure!(berth.log().contains("without TLS"), "{}", berth.log());
    berth.finish()
}

/// The group of the socket may connect; others may not.
#[test]
fn the_socket_belongs_to_its_group() -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let berth = Berth::bare(&["-G", "4321"])?;
    let socket = std::fs::metadata(berth.root().join("sock"))?;
    ensure!((socket.gid(), socket.mode() & 0o777) == (4321, 0o660), "{} {:o}", socket.gid(), socket.mode());
    // everybody may come as far as the socket
    std::fs::set_permissions(berth.root(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let by = |group: &str| {
        let mut command = std::process::Command::new("/usr/bin/setpriv");
        command.args([
            "--reuid=4000",
            &format!("--regid={group}"),
            "--clear-groups",
            "/usr/bin/docker",
            "version",
            "-f",
            "{{.Server.Os}}",
        ]);
        programs::run(command.env("DOCKER_HOST", berth.host()).env("HOME", "/tmp"))
    };
    ensure!(by("4321")?.ok()? == "linux");
    by("4322")?.fails(1, "permission denied")?;
    berth.finish()
}

#[test]
fn the_doctor_looks_at_everything() -> Result<()> {
    let berth = Berth::bare(&[])?;
    for words in [
        &["system", "doctor", "--format", "json"][..],
        &["system", "doctor", "--no-daemon", "--format", "json"],
    ] {
        let ran = berth.berth(words)?;
        let told: serde_json::Value =
            serde_json::from_str(&ran.stdout).with_context(|| ran.stdout.clone())?;
        let checks = told["Checks"].as_array().context("no checks")?;
        for name in [
            "kernel",
            "overlay",
            "seccomp",
            "cgroups",
            "forwarding",
            "firewall",
            "names",
            "storage",
            "free space",
            "clock",
        ] {
            ensure!(
                checks.iter().any(|check| check["Name"] == name),
                "{name} was not looked at: {}",
                ran.stdout
            );
        }
        for check in checks {
            ensure!(check["Status"] == "ok" || check["Advice"] != "", "no advice: {check}");
        }
        // this machine runs containers
        ensure!((ran.code == 0) == (told["Status"] != "fail"), "{} {}", ran.code, told["Status"]);
        ensure!(told["Status"] != "fail", "{}", ran.stdout);
        let asked = !words.contains(&"--no-daemon");
        ensure!(checks.iter().any(|check| check["Name"] == "daemon") == asked);
    }
    let mut without =
        programs::command(&programs::program("berth")?, ["-H", "unix:///no/such", "system", "doctor"]);
    let ran = programs::run(&mut without)?;
    ensure!(ran.code == 0 && ran.stdout.contains("Cannot connect to the Berth daemon"), "{ran:?}");
    berth.finish()
}
