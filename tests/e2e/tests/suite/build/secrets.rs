//! What a client lends a step and nobody else: secrets and ssh agents.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;

use super::{Context, found_below, no_places};

/// What is no part of any image.
const SECRET: &str = "tr0ub4dor-and-three";

#[test]
fn files_and_variables() -> Result<()> {
    let berth = Berth::start()?;
    let dockerfile = format!(
        "FROM {IMAGE}\n\
         RUN --mount=type=secret,id=file,target=/a/b --mount=type=secret,id=var,env=TOKEN \\\n\
         echo -n $TOKEN | cmp - /a/b && [ $(stat -c %a /a/b) = 400 ] && touch /same\n\
         RUN [ -z \"$TOKEN\" ] && ! test -e /a/b\n\
         RUN --mount=type=secret,id=absent ! test -e /run/secrets/absent\n"
    );
    let context = Context::new(&berth, "lent", &[("Dockerfile", &dockerfile)])?;
    let secret = tempfile::NamedTempFile::new()?;
    std::fs::write(secret.path(), SECRET)?;
    let file = format!("id=file,src={}", secret.path().display());
    let mut command =
        context.own_command(&["-t", "lent", "--secret", &file, "--secret", "id=var,env=A_TOKEN"])?;
    programs::run(command.env("A_TOKEN", SECRET))?.ok()?;
    berth.docker(["run", "--rm", "lent", "ls", "/same"])?.ok()?;
    let found = found_below(berth.root(), SECRET.as_bytes())?;
    ensure!(found.is_none(), "the secret was kept in {found:?}");
    no_places(&berth)?;
    berth.finish()
}

#[test]
fn one_that_is_missing_is_named() -> Result<()> {
    let berth = Berth::start()?;
    let required = format!("FROM {IMAGE}\nRUN --mount=type=secret,id=token,required=true true\n");
    let context = Context::new(&berth, "required", &[("Dockerfile", &required)])?;
    context.own(&[])?.fails(1, "secret token: not found")?;
    context.own(&["--secret", "id=token,src=/nonexistent"])?.fails(1, "/nonexistent is no file")?;
    let agent = format!("FROM {IMAGE}\nRUN --mount=type=ssh,required=true true\n");
    let context = Context::new(&berth, "agent", &[("Dockerfile", &agent)])?;
    context.own(&[])?.fails(1, "no SSH key \"default\" forwarded from the client")?;
    no_places(&berth)?;
    berth.finish()
}

/// An ssh agent of the test's own.
pub(super) struct Agent {
    pub(super) socket: PathBuf,
    process: Child,
}

impl Agent {
    /// Starts one that holds the key in the file `key`.
    pub(super) fn start(dir: &Path, key: &Path) -> Result<Self> {
        let socket = dir.join("agent");
        let mut command = Command::new("/usr/bin/ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).stdin(Stdio::null()).stdout(Stdio::null());
        let process = command.spawn().context("cannot run ssh-agent: apt-get install openssh-client")?;
        let agent = Self { socket, process };
        programs::eventually("the agent listens", || {
            Ok(std::os::unix::net::UnixStream::connect(&agent.socket).ok())
        })?;
        let mut add = Command::new("/usr/bin/ssh-add");
        programs::run(add.arg(key).env("SSH_AUTH_SOCK", &agent.socket))?.ok()?;
        Ok(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Puts a program of the machine's and its libraries below `root`, where they are on the machine.
fn install(program: &str, root: &Path) -> Result<()> {
    let needs = programs::run(Command::new("/usr/bin/ldd").arg(program))?.ok()?;
    let libraries = needs.split_whitespace().filter(|word| word.starts_with('/'));
    for path in libraries.chain([program]) {
        let target = root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(target.parent().unwrap_or(root))?;
        std::fs::copy(path, target)?;
    }
    Ok(())
}

#[test]
fn an_ssh_agent_signs_for_a_step() -> Result<()> {
    let berth = Berth::start()?;
    let dir = tempfile::tempdir()?;
    let key = dir.path().join("key");
    let mut generate = Command::new("/usr/bin/ssh-keygen");
    programs::run(generate.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key))?.ok()?;
    let agent = Agent::start(dir.path(), &key)?;
    let dockerfile = format!(
        "FROM {IMAGE}\nCOPY root/ /\nCOPY key.pub /\n\
         RUN --mount=type=ssh,required=true ssh-add -T /key.pub && ssh-add -L > /default\n\
         RUN --mount=type=ssh,id=other,uid=1000,mode=0600,target=/x/agent \\\n\
         [ $(stat -c '%u-%a' /x/agent) = 1000-600 ] && SSH_AUTH_SOCK=/x/agent ssh-add -L > /other\n\
         RUN [ -z \"$SSH_AUTH_SOCK\" ] && ! test -S /run/buildkit/ssh_agent.0\n"
    );
    let context = Context::new(&berth, "ssh", &[("Dockerfile", &dockerfile)])?;
    install("/usr/bin/ssh-add", &context.path().join("root"))?;
    let public = std::fs::read_to_string(key.with_extension("pub"))?;
    std::fs::write(context.path().join("key.pub"), &public)?;
    let other = format!("other={}", agent.socket.display());
    let flags = ["-t", "ssh", "--no-cache", "--ssh", "default", "--ssh", &other];
    let keys = public.split(' ').take(2).collect::<Vec<_>>().join(" ");
    for mut command in [context.own_command(&flags)?, context.buildkit_command(&flags)?] {
        programs::run(command.env("SSH_AUTH_SOCK", &agent.socket))?.ok()?;
        let seen = berth.docker(["run", "--rm", "ssh", "cat", "/default", "/other"])?.ok()?;
        ensure!(seen.lines().count() == 2 && seen.lines().all(|line| line.starts_with(&keys)), "{seen}");
        berth.docker(["rmi", "ssh"])?.ok()?;
    }
    no_places(&berth)?;
    berth.finish()
}
