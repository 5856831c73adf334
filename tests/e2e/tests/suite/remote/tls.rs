//! TCP over TLS: ours to ours, Docker's client to ours, ours to Docker's daemon; and who is not let in.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use e2e::daemon::{Berth, IMAGE};
use e2e::image;
use e2e::peers::Docker;
use e2e::programs;
use e2e::registry::tls::{Authority, Pair};

use super::{build, everything};

const NAMES: &str = "IP:127.0.0.1,DNS:localhost";

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).context("a path is not UTF-8")
}

/// Options of a daemon that wants certificates of its clients.
fn options(authority: &Authority, server: &Pair, port: u16) -> Result<Vec<String>> {
    Ok(vec![
        "-H".into(),
        format!("tcp://127.0.0.1:{port}"),
        "--tlsverify".into(),
        "--tlscacert".into(),
        text(&authority.certificate())?,
        "--tlscert".into(),
        text(&server.cert)?,
        "--tlskey".into(),
        text(&server.key)?,
    ])
}

/// A folder with the names that clients look for.
fn certificates(place: &Path, ca: &Path, pair: Option<&Pair>) -> Result<()> {
    std::fs::create_dir_all(place)?;
    std::fs::copy(ca, place.join("ca.pem"))?;
    if let Some(pair) = pair {
        std::fs::copy(&pair.cert, place.join("cert.pem"))?;
        std::fs::copy(&pair.key, place.join("key.pem"))?;
    }
    Ok(())
}

/// A client that is told everything by its environment.
fn client(program: &Path, port: u16, folder: &Path, words: &[&str]) -> Command {
    let mut command = programs::command(program, words);
    command
        .env("DOCKER_HOST", format!("tcp://127.0.0.1:{port}"))
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_CERT_PATH", folder)
        .env("DOCKER_CONFIG", folder.join("config"));
    command
}

#[test]
fn everything_works_over_tls() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let authority = Authority::new()?;
    let port = free_port()?;
    let options = options(&authority, &authority.issue("server", NAMES, 2)?, port)?;
    let folder = scratch.path().join("certs");
    certificates(&folder, &authority.certificate(), Some(&authority.issue("client", NAMES, 2)?))?;
    let berth = Berth::bare(&options.iter().map(String::as_str).collect::<Vec<_>>())?;
    berth.load(&image::Image::busybox()?, IMAGE)?;
    for program in [programs::program("berth")?, programs::docker_client()?] {
        let client = |words: &[&str]| Ok(client(&program, port, &folder, words));
        everything(&client, scratch.path()).with_context(|| program.display().to_string())?;
    }
    let berths = |words: &[&str]| Ok(client(&programs::program("berth")?, port, &folder, words));
    build(&berths, scratch.path())?;
    berth.finish()
}

#[test]
fn docker_s_daemon_is_reached_over_tls() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let authority = Authority::new()?;
    let port = free_port()?;
    let options = options(&authority, &authority.issue("server", NAMES, 2)?, port)?;
    let folder = scratch.path().join("certs");
    certificates(&folder, &authority.certificate(), Some(&authority.issue("client", NAMES, 2)?))?;
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let docker = Docker::apart(&options)?;
    // the port is the namespace's: the client has to be there, too
    let archive = scratch.path().join("image.tar");
    image::Image::busybox()?.save(&archive, IMAGE)?;
    docker.run(&["load", "-i", &text(&archive)?])?.ok()?;
    let inside = |words: &[&str]| {
        let program = programs::program("berth")?;
        let mut command = Command::new("/usr/bin/nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", docker.pid())).arg(program).args(words);
        let like = client(Path::new("berth"), port, &folder, &[]);
        for (name, value) in like.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Ok(command)
    };
    everything(&inside, scratch.path())?;
    docker.stop()
}

#[test]
fn strangers_are_not_let_in_and_false_daemons_not_believed() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let (authority, other) = (Authority::new()?, Authority::new()?);
    let port = free_port()?;
    let good = options(&authority, &authority.issue("server", NAMES, 2)?, port)?;
    let berth = Berth::bare(&good.iter().map(String::as_str).collect::<Vec<_>>())?;
    let program = programs::program("berth")?;
    let ca = authority.certificate();
    let known = authority.issue("client", NAMES, 2)?;
    let cases = [
        ("none", &ca, None, "remote error: tls: certificate required"),
        ("stranger", &ca, Some(other.issue("client", NAMES, 2)?), "remote error: tls: "),
        ("late", &ca, Some(authority.issue_late("late", NAMES)?), "remote error: tls: expired certificate"),
        ("false", &other.certificate(), Some(known.clone()), "x509: certificate signed by unknown authority"),
    ];
    for (name, ca, pair, words) in &cases {
        let folder = scratch.path().join(name);
        certificates(&folder, ca, pair.as_ref())?;
        // again and again: the reason must not be lost to a reset
        for _ in 0..10 {
            programs::run(&mut client(&program, port, &folder, &["ps"]))?
                .fails(1, words)
                .with_context(|| (*name).to_owned())?;
        }
    }
    let folder = scratch.path().join("good");
    certificates(&folder, &ca, Some(&known))?;
    let mut plain = client(&program, port, &folder, &["ps"]);
    programs::run(plain.env_remove("DOCKER_TLS_VERIFY"))?.fails(1, "TLS-enabled daemon without TLS")?;
    let mut named = client(&program, port, &folder, &["-H", &format!("tcp://127.0.0.2:{port}"), "ps"]);
    // nobody listens there
    programs::run(&mut named)?.fails(1, "Cannot connect")?;
    berth.finish()
}

/// A certificate for another name, one that is over, and none of TLS at all.
#[test]
fn what_a_daemon_shows_is_checked() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let authority = Authority::new()?;
    let program = programs::program("berth")?;
    let folder = scratch.path().join("certs");
    certificates(&folder, &authority.certificate(), Some(&authority.issue("client", NAMES, 2)?))?;
    let cases = [
        (authority.issue("elsewhere", "DNS:elsewhere.test", 2)?, "x509: certificate is valid for"),
        (authority.issue_late("over", NAMES)?, "x509: certificate has expired or is not yet valid"),
    ];
    for (pair, words) in &cases {
        let port = free_port()?;
        let options = options(&authority, pair, port)?;
        let berth = Berth::bare(&options.iter().map(String::as_str).collect::<Vec<_>>())?;
        programs::run(&mut client(&program, port, &folder, &["ps"]))?.fails(1, words)?;
        // `--tls` alone asks for no proof, as with Docker
        let mut trusting = client(&program, port, &folder, &["--tls", "ps"]);
        programs::run(trusting.env_remove("DOCKER_TLS_VERIFY"))?.ok()?;
        berth.finish()?;
    }
    let missing: PathBuf = scratch.path().join("nothing");
    std::fs::create_dir_all(&missing)?;
    programs::run(&mut client(&program, free_port()?, &missing, &["ps"]))?.fails(1, "Cannot connect")?;
    Ok(())
}
