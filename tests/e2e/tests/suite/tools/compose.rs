//! Docker Compose 1.29, Debian's `docker-compose`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::Berth;
use e2e::programs;

struct Project<'a> {
    berth: &'a Berth,
}

impl Project<'_> {
    fn command(&self, greeting: &str, args: &[&str]) -> Command {
        let mut command = programs::command(Path::new("/usr/bin/docker-compose"), ["-p", "three"]);
        command.args(["--ansi", "never", "-f"]).arg(self.berth.root().join("project.yml")).args(args);
        command
            .env("DOCKER_HOST", self.berth.host())
            .env("GREETING", greeting)
            .env("COMPOSE_HTTP_TIMEOUT", "30");
        command
    }

    fn ok(&self, args: &[&str]) -> Result<String> {
        programs::run(&mut self.command("hello", args))?.ok()
    }

    /// The container of a service.
    fn id(&self, service: &str) -> Result<String> {
        self.ok(&["ps", "-q", service])
    }

    fn ids(&self) -> Result<Vec<String>> {
        ["store", "app", "web"].iter().map(|service| self.id(service)).collect()
    }
}

#[test]
fn a_project_of_three_services() -> Result<()> {
    let berth = Berth::start()?;
    std::fs::write(berth.root().join("project.yml"), include_str!("project.yml"))?;
    let project = Project { berth: &berth };
    let ok = |args: &[&str]| project.ok(args);
    ok(&["config", "-q"])?;
    ok(&["up", "-d"])?;
    let first = project.ids()?;
    ensure!(first.iter().all(|id| id.len() == 64), "{first:?}");
    let health = berth.berth(["inspect", "-f", "{{.State.Health.Status}}", &first[0], &first[1]])?.ok()?;
    ensure!(health == "healthy\nhealthy", "started before what they depend on was healthy: {health}");
    let listed = ok(&["ps"])?;
    ensure!(listed.matches(" Up").count() == 3 && listed.contains("->80/tcp"), "{listed}");
    serves(&ok(&["port", "web", "80"])?)?;

    ok(&["up", "-d"])?;
    ensure!(project.ids()? == first, "a second `up` with nothing changed made containers anew");
    programs::run(&mut project.command("bonjour", &["up", "-d"]))?.ok()?;
    let second = project.ids()?;
    ensure!(second[0] == first[0] && second[1] != first[1], "{first:?} became {second:?}");
    ensure!(ok(&["logs", "--no-color", "app"])?.contains("greeting is bonjour"));

    ensure!(ok(&["exec", "-T", "store", "cat", "/data/state"])? == "kept");
    // (busybox's own resolver: a static program cannot use the C library's.)
    let fetch = "to=$(nslookup store | awk '/^Address/ {last=$NF} END {print last}'); \
                 printf 'GET /state HTTP/1.0\\r\\n\\r\\n' | nc -w 10 $to 80";
    let page = ok(&["exec", "-T", "app", "sh", "-c", fetch])?;
    ensure!(page.ends_with("kept"), "app finds store by its name: {page}");
    let ran = programs::run(&mut project.command("bonjour", &["exec", "-T", "app", "sh", "-c", "exit 7"]))?;
    ensure!(ran.code == 7, "{ran:?}");
    ensure!(ok(&["top", "store"])?.contains("httpd"));
    by_turns(&project)?;
    ensure!(ok(&["run", "--rm", "-T", "--no-deps", "store", "cat", "/data/state"])?.ends_with("kept"));

    programs::run(&mut project.command("bonjour", &["down", "-v"]))?.ok()?;
    ensure!(berth.berth(["ps", "-aq"])?.ok()?.is_empty());
    ensure!(berth.berth(["volume", "ls", "-q"])?.ok()?.is_empty());
    ensure!(berth.berth(["network", "ls", "-q", "-f", "type=custom"])?.ok()?.is_empty());
    berth.finish()
}

/// More of a service and fewer, stopped, started, restarted, paused, killed and removed.
fn by_turns(project: &Project<'_>) -> Result<()> {
    let ok = |args: &[&str]| programs::run(&mut project.command("bonjour", args))?.ok();
    ok(&["up", "-d", "--scale", "web=3"])?;
    ensure!(ok(&["ps", "-q", "web"])?.lines().count() == 3);
    ok(&["scale", "web=1"])?;
    ensure!(ok(&["ps", "-q", "web"])?.lines().count() == 1);
    ok(&["pause", "web"])?;
    ensure!(ok(&["ps"])?.contains("Paused"));
    ok(&["unpause", "web"])?;
    ok(&["stop", "-t", "5"])?;
    let stopped = ok(&["ps"])?;
    ensure!(!stopped.contains(" Up"), "{stopped}");
    ok(&["start"])?;
    ok(&["restart", "-t", "5", "app"])?;
    ensure!(ok(&["logs", "--no-color", "--tail", "1", "app"])?.contains("greeting"));
    ok(&["kill", "web"])?;
    ok(&["rm", "-f", "web"])?;
    ok(&["up", "-d"])?;
    ensure!(ok(&["exec", "-T", "store", "cat", "/data/state"])? == "kept\nkept", "the volume was not kept");
    Ok(())
}

/// The published port of the machine leads to the service.
pub(super) fn serves(address: &str) -> Result<()> {
    use std::io::{Read, Write};
    let mut stream =
        std::net::TcpStream::connect(address).with_context(|| format!("connect to {address:?}"))?;
    stream.set_read_timeout(Some(programs::PATIENCE))?;
    stream.write_all(b"GET /state HTTP/1.0\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    ensure!(page.ends_with("kept\n"), "{address}: {page}");
    Ok(())
}
