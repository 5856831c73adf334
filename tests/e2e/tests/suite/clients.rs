//! The everyday commands, by the real `docker` client and by `berth`: the same steps, the same answers.

use std::process::Command;

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs::{self, Ran};

/// One of the two clients.
#[derive(Clone, Copy)]
enum Client {
    Docker,
    Berth,
}

impl Client {
    fn command(self, berth: &Berth, args: &[&str]) -> Result<Command> {
        match self {
            Self::Docker => berth.docker_command(args),
            Self::Berth => berth.berth_command(args),
        }
    }

    fn run(self, berth: &Berth, args: &[&str]) -> Result<Ran> {
        programs::run(&mut self.command(berth, args)?)
    }

    fn ok(self, berth: &Berth, args: &[&str]) -> Result<String> {
        self.run(berth, args)?.ok()
    }
}

fn everyday(client: Client) -> Result<()> {
    let berth = Berth::start()?;
    foreground(client, &berth)?;
    background(client, &berth)?;
    stopping(client, &berth)?;
    by_steps(client, &berth)?;
    berth.finish()
}

/// run: output, exit codes, input.
fn foreground(client: Client, berth: &Berth) -> Result<()> {
    let ok = |args: &[&str]| client.ok(berth, args);
    ensure!(ok(&["run", "--rm", IMAGE, "echo", "hello"])? == "hello");
    ensure!(client.run(berth, &["run", "--rm", IMAGE, "sh", "-c", "exit 7"])?.code == 7);
    client.run(berth, &["run", "--rm", IMAGE, "/no/such/program"])?.fails(127, "no such file")?;
    client.run(berth, &["run", "--rm", IMAGE, "/etc/passwd"])?.fails(126, "permission denied")?;
    let mut cat = client.command(berth, &["run", "--rm", "-i", IMAGE, "cat"])?;
    let ran = programs::run_with(&mut cat, b"from outside\n", programs::PATIENCE)?;
    ensure!(ran.ok()? == "from outside");
    let streams = client.run(berth, &["run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2"])?;
    ensure!(streams.stdout == "out\n" && streams.stderr == "err\n", "{streams:?}");
    Ok(())
}

/// A service in the background, seen, entered, paused and renamed.
fn background(client: Client, berth: &Berth) -> Result<()> {
    let ok = |args: &[&str]| client.ok(berth, args);
    let script = "trap 'echo bye; exit 3' TERM; echo started; while :; do sleep 0.1 & wait $!; done";
    let id = ok(&["run", "-d", "--name", "service", "--label", "role=test", IMAGE, "sh", "-c", script])?;
    ensure!(id.len() == 64, "{id}");
    ensure!(ok(&["ps", "-q", "--no-trunc"])? == id);
    ensure!(
        ok(&["ps", "-aq", "--no-trunc", "--filter", "label=role=test", "--filter", "status=running"])? == id
    );
    ensure!(ok(&["ps", "-aq", "--filter", "label=role=other"])?.is_empty());
    ensure!(ok(&["ps", "-aq", "--filter", "name=serv"])?.len() == 12);
    ensure!(
        ok(&["inspect", "-f", "{{.State.Running}} {{.State.Status}} {{.Name}}", "service"])?
            == "true running /service"
    );
    ensure!(ok(&["exec", "service", "sh", "-c", "echo $$; hostname"])?.ends_with(&id[..12]));
    ensure!(client.run(berth, &["exec", "service", "sh", "-c", "exit 9"])?.code == 9);
    ensure!(client.run(berth, &["exec", "service", "nothing-here"])?.code == 127);
    ensure!(
        ok(&[
            "exec",
            "-e",
            "A=b",
            "-w",
            "/tmp",
            "-u",
            "app",
            "service",
            "sh",
            "-c",
            "echo $A $PWD $(id -u)"
        ])? == "b /tmp 1000"
    );
    ensure!(ok(&["top", "service"])?.contains("sleep 0.1"));

    ok(&["pause", "service"])?;
    ensure!(ok(&["ps", "--format", "{{.Status}}"])?.ends_with("(Paused)"));
    client.run(berth, &["exec", "service", "true"])?.fails(1, "paused")?;
    ok(&["unpause", "service"])?;
    ok(&["rename", "service", "renamed"])?;
    ensure!(ok(&["ps", "--format", "{{.Names}}"])? == "renamed");
    Ok(())
}

/// The service stopped, started, killed and removed.
fn stopping(client: Client, berth: &Berth) -> Result<()> {
    let ok = |args: &[&str]| client.ok(berth, args);
    ok(&["stop", "renamed"])?;
    ensure!(ok(&["wait", "renamed"])? == "3");
    ensure!(ok(&["logs", "renamed"])? == "started\nbye");
    ensure!(ok(&["logs", "--tail", "1", "renamed"])? == "bye");
    ensure!(
        ok(&["ps", "-a", "--filter", "exited=3", "--format", "{{.Names}} {{.Image}}"])?
            == format!("renamed {IMAGE}")
    );
    ok(&["start", "renamed"])?;
    ok(&["restart", "-t", "5", "renamed"])?;
    ok(&["kill", "-s", "KILL", "renamed"])?;
    ensure!(ok(&["wait", "renamed"])? == "137");
    ok(&["rm", "renamed"])?;
    client.run(berth, &["rm", "renamed"])?.fails(1, "No such container: renamed")?;
    Ok(())
}

/// create, start -a, rm -f; what the server says of itself.
fn by_steps(client: Client, berth: &Berth) -> Result<()> {
    let ok = |args: &[&str]| client.ok(berth, args);
    let id = ok(&["create", "--name", "made", IMAGE, "echo", "once"])?;
    ensure!(ok(&["start", "-a", "made"])? == "once");
    ok(&["rm", &id])?;
    ok(&["run", "-d", "--name", "forced", IMAGE, "sleep", "1000"])?;
    ok(&["rm", "-f", "forced"])?;
    ensure!(ok(&["ps", "-aq"])?.is_empty());

    ensure!(ok(&["version", "--format", "{{.Server.APIVersion}}"])?.starts_with("1."));
    ensure!(ok(&["info", "--format", "{{.Containers}} {{.Images}}"])? == "0 1");
    Ok(())
}

#[test]
fn everyday_commands_of_the_docker_client() -> Result<()> {
    everyday(Client::Docker)
}

#[test]
fn everyday_commands_of_berth() -> Result<()> {
    everyday(Client::Berth)
}

fn follow(client: Client) -> Result<()> {
    let berth = Berth::start()?;
    // The container waits for a file, so that the follower is certainly there before the second line.
    let script = "echo one; until [ -e /go ]; do sleep 0.05; done; echo two; echo three >&2";
    client.ok(&berth, &["run", "-d", "--name", "box", IMAGE, "sh", "-c", script])?;
    let mut command = client.command(&berth, &["logs", "-f", "box"])?;
    let follower = std::thread::spawn(move || programs::run(&mut command));
    // in the background: the container may end before the session does
    client.ok(&berth, &["exec", "-d", "box", "touch", "/go"])?;
    let ran = follower.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    ensure!(ran.code == 0 && ran.stdout == "one\ntwo\n" && ran.stderr == "three\n", "{ran:?}");
    let stamped = client.ok(&berth, &["logs", "-t", "--tail", "2", "box"])?;
    ensure!(stamped.starts_with("20") && stamped.contains("Z two"), "{stamped}");
    ensure!(client.ok(&berth, &["logs", "--since", "1h", "box"])?.contains("one"));
    ensure!(client.ok(&berth, &["logs", "--until", "2000-01-01T00:00:00Z", "box"])?.is_empty());
    berth.finish()
}

#[test]
fn logs_are_followed_by_the_docker_client() -> Result<()> {
    follow(Client::Docker)
}

#[test]
fn logs_are_followed_by_berth() -> Result<()> {
    follow(Client::Berth)
}

#[test]
fn events_tell_the_life_of_a_container() -> Result<()> {
    let berth = Berth::start()?;
    berth.docker(["run", "--rm", "--name", "watched", IMAGE, "true"])?.ok()?;
    // The client cuts times to whole seconds: the next one is certainly after the container's end.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let until = (now.as_secs() + 1).to_string();
    let format = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}";
    let seen = berth
        .docker([
            "events",
            "--since",
            "1h",
            "--until",
            &until,
            "--filter",
            "container=watched",
            "--format",
            format,
        ])?
        .ok()?;
    let mut at = 0;
    for action in ["create", "attach", "start", "die", "destroy"] {
        let line = format!("container {action} watched");
        let found = seen[at..].find(&line);
        ensure!(found.is_some(), "{line:?} is missing or out of order in:\n{seen}");
        at += found.unwrap_or(0);
    }
    berth.finish()
}
