//! Repositories by the ways that git has of its own: ssh with the client's agent, and `git://`.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::lab::Namespace;
use e2e::registry::tls::{self, Authority};
use e2e::web::{Repository, Web};
use e2e::{image, programs};

use super::secrets::Agent;
use super::{Context, no_places};
use crate::remote::ssh::Sshd;

/// `git daemon` on a port of the test's own.
struct Daemon {
    port: u16,
    child: Child,
}

impl Daemon {
    fn start(base: &Path, log: &Path) -> Result<Self> {
        let path = programs::run(Command::new("git").arg("--exec-path"))?.ok()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(Path::new(&path).join("git-daemon"))
            .args(["--listen=127.0.0.1", "--export-all", "--verbose", "--reuseaddr"])
            .args([format!("--port={port}"), format!("--base-path={}", base.display())])
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(log)?)
            .spawn()
            .context("cannot run git-daemon: apt-get install git")?;
        let daemon = Self { port, child };
        programs::eventually("git daemon listens", || {
            Ok(std::fs::read_to_string(log)?.contains("Ready to rumble").then_some(()))
        })?;
        Ok(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = programs::wait(&mut self.child, programs::PATIENCE);
    }
}

/// A repository with a directory, a tag, a branch and a submodule.
fn whole(git: &Path) -> Result<Repository> {
    let dockerfile = format!("FROM {IMAGE}\nCOPY . /files\nRUN cat /files/name > /said\n");
    Repository::new(git, "part")?.commit(&[("inner", "of the part")])?;
    let whole = Repository::new(git, "whole")?;
    whole.commit(&[
        ("Dockerfile", &dockerfile),
        ("name", "first"),
        ("sub/Dockerfile", &dockerfile),
        ("sub/name", "sub"),
    ])?;
    whole.git(&["tag", "--annotate", "--message", "t", "v1"])?;
    whole.git(&["push", "--quiet", "origin", "v1"])?;
    whole.git(&["submodule", "--quiet", "add", "../part.git", "module"])?;
    whole.commit(&[("name", "top")])?;
    Ok(whole)
}

#[test]
fn a_repository_behind_ssh_is_opened_by_the_clients_agent() -> Result<()> {
    let berth = Berth::start()?;
    let dir = tempfile::tempdir()?;
    let _whole = whole(dir.path())?;
    let sshd = Sshd::start(&berth)?;
    let agent = Agent::start(dir.path(), &sshd.key())?;
    let url = format!("ssh://root@127.0.0.1:{}{}/whole.git", sshd.port, dir.path().display());
    let says = |tag: &str| berth.docker(["run", "--rm", tag, "cat", "/said"])?.ok();
    let build = |words: &[&str]| {
        let mut command = berth.berth_command(["build", "-t", "there"])?;
        programs::run(command.args(words).env("SSH_AUTH_SOCK", &agent.socket))
    };
    for (what, wanted) in
        [(url.clone(), "top"), (format!("{url}#v1:sub"), "sub"), (format!("{url}?tag=v1"), "first")]
    {
        build(&["--ssh", "default", &what])?.ok()?;
        ensure!(says("there")? == wanted, "{what}");
    }
    // as a source, and with a submodule that lies behind the same door
    let dockerfile =
        format!("FROM {IMAGE}\nADD {url} /there\nRUN cat /there/name /there/module/inner > /said\n");
    let context = Context::new(&berth, "ssh-git", &[("Dockerfile", &dockerfile)])?;
    let flags = ["-t", "ssh-git", "--ssh", "default"];
    for mut command in [context.own_command(&flags)?, context.buildkit_command(&flags)?] {
        programs::run(command.env("SSH_AUTH_SOCK", &agent.socket))?.ok()?;
        ensure!(says("ssh-git")? == "topof the part");
    }
    // nobody else has the key: not the daemon, and no client that lends none
    let refused = build(&["--no-cache", &url])?;
    refused.fails(1, "Permission denied")?;
    no_places(&berth)?;
    berth.finish()
}

/// `user@host:path` has no place for a port: a namespace has the usual one free.
#[test]
fn a_repository_as_scp_would_name_it() -> Result<()> {
    let netns = Namespace::new()?;
    netns.ip("link set lo up")?;
    let berth = Berth::inside(&netns, &[])?;
    berth.load(&image::Image::busybox()?, IMAGE)?;
    let dir = tempfile::tempdir()?;
    let _whole = whole(dir.path())?;
    let sshd = Sshd::inside(&berth, &netns)?;
    let agent = Agent::start(dir.path(), &sshd.key())?;
    let says = |tag: &str| berth.docker(["run", "--rm", "--network=none", tag, "cat", "/said"])?.ok();
    let run = |command: &mut Command| {
        programs::run(command.env("SSH_AUTH_SOCK", &agent.socket).env("DOCKER_BUILDKIT", "1"))
    };
    let build = |words: &[&str]| {
        let mut command = berth.berth_command(["build", "--network=none", "-t", "there"])?;
        run(command.args(words))
    };
    let path = dir.path().display();
    // from the root, and from the home of whoever is named
    let (url, relative) =
        (format!("root@127.0.0.1:{path}/whole.git"), format!("root@127.0.0.1:..{path}/whole.git"));
    for (what, wanted) in
        [(url.clone(), "top"), (format!("{url}#v1:sub"), "sub"), (format!("{relative}#v1"), "first")]
    {
        build(&["--ssh", "default", &what])?.ok().with_context(|| what.clone())?;
        ensure!(says("there")? == wanted, "{what}");
    }
    let dockerfile =
        format!("FROM {IMAGE}\nADD {url} /there\nRUN cat /there/name /there/module/inner > /said\n");
    let context = Context::new(&berth, "scp", &[("Dockerfile", &dockerfile)])?;
    let flags = ["-t", "scp", "--network=none", "--ssh", "default"];
    for mut command in [context.own_command(&flags)?, context.buildkit_command(&flags)?] {
        run(&mut command)?.ok()?;
        ensure!(says("scp")? == "topof the part");
    }
    build(&["--no-cache", &url])?.fails(1, "Permission denied")?;
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn a_repository_of_git_s_own_daemon_by_fragment_and_by_query() -> Result<()> {
    let berth = Berth::start()?;
    let dir = tempfile::tempdir()?;
    let whole = whole(dir.path())?;
    let commit = whole.git(&["rev-parse", "v1^{commit}"])?;
    let daemon = Daemon::start(dir.path(), &dir.path().join("log"))?;
    let url = format!("git://127.0.0.1:{}/whole.git", daemon.port);
    let build = |what: &str| programs::run(berth.berth_command(["build", "-t", "there"])?.arg(what));
    let says = |words: &[&str]| berth.docker([&["run", "--rm", "there"], words].concat())?.ok();
    for (what, wanted) in [
        (String::new(), "top"),
        ("#v1:sub".to_owned(), "sub"),
        ("?ref=v1&subdir=sub".to_owned(), "sub"),
        ("?branch=main".to_owned(), "top"),
        ("?branch=main#:sub".to_owned(), "sub"),
        (format!("?commit={commit}"), "first"),
    ] {
        build(&format!("{url}{what}"))?.ok().with_context(|| what.clone())?;
        ensure!(says(&["cat", "/said"])? == wanted, "{what}");
    }
    build(&format!("{url}?keep-git-dir=1"))?.ok()?;
    ensure!(says(&["ls", "-A", "/files"])? == ".git\n.gitmodules\nDockerfile\nmodule\nname\nsub");
    ensure!(says(&["cat", "/files/module/inner"])? == "of the part");
    build(&format!("{url}?submodules=false"))?.ok()?;
    ensure!(says(&["ls", "-A", "/files/module"])?.is_empty());
    build(&format!("{url}?commit={commit}&branch=main"))?
        .fails(1, &format!("expected checksum to match {commit}"))?;
    build(&format!("{url}?colour=red"))?.fails(1, "can't be understood")?;
    build(&format!("{url}?tag=none"))?.fails(1, "does not contain ref refs/tags/none")?;
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn a_repository_of_a_server_with_an_authority_of_its_own() -> Result<()> {
    let certs = tempfile::tempdir()?;
    let path = certs.path().display().to_string();
    let berth = Berth::with_environment(&[("BERTH_CERTS_D", &path)], &[])?;
    let dir = tempfile::tempdir()?;
    let _whole = whole(dir.path())?;
    let authority = Authority::new()?;
    let pair = authority.issue("git", "IP:127.0.0.1", 2)?;
    let web = Web::start_tls(dir.path(), tls::serving(&pair)?)?;
    let url = web.url("/git/whole.git");
    ensure!(url.starts_with("https://"), "{url}");
    let build = |what: &str| programs::run(berth.berth_command(["build", "-t", "there"])?.arg(what));
    build(&url)?.fails(1, "certificate")?;
    // another port's authorities are not this one's
    let place = url.trim_start_matches("https://").split('/').next().unwrap_or_default();
    std::fs::create_dir(certs.path().join("127.0.0.1:1"))?;
    std::fs::copy(authority.certificate(), certs.path().join("127.0.0.1:1/ca.crt"))?;
    build(&url)?.fails(1, "certificate")?;
    // nothing needs to be told of a change
    std::fs::create_dir(certs.path().join(place))?;
    std::fs::copy(authority.certificate(), certs.path().join(place).join("ca.crt"))?;
    build(&format!("{url}#v1:sub"))?.ok()?;
    ensure!(berth.docker(["run", "--rm", "there", "cat", "/said"])?.ok()? == "sub");
    // for the other protocol's contexts, and with the submodule
    let target = format!("/build?t=asked&remote={url}");
    let said = e2e::http::ask(berth.root(), "POST", &target)?.text()?;
    ensure!(said.contains("Successfully tagged asked"), "{said}");
    ensure!(berth.docker(["run", "--rm", "asked", "cat", "/files/module/inner"])?.ok()? == "of the part");
    std::fs::write(certs.path().join(place).join("own.key"), "")?;
    build(&url)?.fails(1, "missing client certificate own.cert for key own.key")?;
    no_places(&berth)?;
    berth.finish()
}
