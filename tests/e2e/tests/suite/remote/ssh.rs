//! `ssh://`, by an sshd of the test's own on a loopback address: our client and Docker's, to a machine that has a
//! `berth`, and to one that has only a `docker`.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use e2e::daemon::Berth;
use e2e::lab::Namespace;
use e2e::programs;

use super::{build, everything};

/// An sshd with its keys, and a client's `ssh` that knows it.
pub(crate) struct Sshd {
    root: tempfile::TempDir,
    pub(crate) port: u16,
    child: Child,
}

impl Sshd {
    /// Programs that the far shell finds before the machine's lie in `bin/`.
    pub(crate) fn start(berth: &Berth) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Self::listening(berth, port, Command::spawn)
    }

    /// The same at ssh's own port, in a namespace that has it to give.
    pub(crate) fn inside(berth: &Berth, netns: &Namespace) -> Result<Self> {
        Self::listening(berth, 22, |command| netns.spawn(command).map_err(std::io::Error::other))
    }

    fn listening(
        berth: &Berth,
        port: u16,
        spawn: impl FnOnce(&mut Command) -> std::io::Result<Child>,
    ) -> Result<Self> {
        let root = tempfile::Builder::new().prefix("berth-sshd-").tempdir()?;
        let at = |name: &str| root.path().join(name);
        for key in ["host", "user"] {
            let file = at(key).display().to_string();
            let mut keygen = Command::new("/usr/bin/ssh-keygen");
            programs::run(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &file]))?.ok()?;
        }
        std::fs::create_dir(at("bin"))?;
        std::fs::create_dir(at("near"))?;
        let server = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {host}\nAuthorizedKeysFile {user}.pub\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\n\
             SetEnv PATH={bin}:/usr/bin:/bin BERTH_HOST={daemon} DOCKER_CONFIG={near}\n",
            host = at("host").display(),
            user = at("user").display(),
            bin = at("bin").display(),
            near = at("near").display(),
            daemon = berth.host(),
        );
        std::fs::write(at("sshd_config"), server)?;
        let known = format!("[127.0.0.1]:{port} {}", std::fs::read_to_string(at("host.pub"))?);
        std::fs::write(at("known"), known)?;
        let client = format!(
            "IdentityFile {}\nIdentitiesOnly yes\nUserKnownHostsFile {}\nStrictHostKeyChecking yes\nBatchMode yes\n",
            at("user").display(),
            at("known").display()
        );
        std::fs::write(at("ssh_config"), client)?;
        let wrapper = format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", at("ssh_config").display());
        std::fs::write(at("near/ssh"), wrapper)?;
        std::fs::set_permissions(at("near/ssh"), PermissionsExt::from_mode(0o755))?;
        // where it separates privileges; Debian's service makes it, too
        std::fs::create_dir_all("/run/sshd")?;
        let log = std::fs::File::create(at("log"))?;
        let mut server = Command::new("/usr/sbin/sshd");
        server.args(["-D", "-e", "-f"]).arg(at("sshd_config"));
        server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = spawn(&mut server).context("cannot run sshd: apt-get install openssh-server")?;
        let sshd = Self { root, port, child };
        programs::eventually("sshd listens", || {
            let log = std::fs::read_to_string(sshd.root.path().join("log"))?;
            Ok(log.contains("listening").then_some(()))
        })?;
        Ok(sshd)
    }

    /// The key that it lets in.
    pub(crate) fn key(&self) -> PathBuf {
        self.root.path().join("user")
    }

    /// The far machine has this program by this name, and no other that we know.
    fn has(&self, program: &Path, name: &str) -> Result<()> {
        let bin = self.root.path().join("bin");
        for entry in std::fs::read_dir(&bin)? {
            std::fs::remove_file(entry?.path())?;
        }
        Ok(symlink(program, bin.join(name))?)
    }

    fn client(&self, program: &Path, path: &str, words: &[&str]) -> Command {
        let near = self.root.path().join("near");
        let mut command = programs::command(program, words);
        command
            .env("DOCKER_HOST", format!("ssh://root@127.0.0.1:{}{path}", self.port))
            .env("DOCKER_CONFIG", self.root.path().join("config"))
            .env("PATH", format!("{}:/usr/bin:/bin", near.display()));
        command
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = programs::wait(&mut self.child, programs::PATIENCE);
    }
}

#[test]
fn everything_works_over_ssh() -> Result<()> {
    let berth = Berth::start()?;
    let sshd = Sshd::start(&berth)?;
    let scratch = tempfile::tempdir()?;
    let ours: PathBuf = programs::program("berth")?;
    sshd.has(&ours, "berth")?;
    let client = |words: &[&str]| Ok(sshd.client(&ours, "", words));
    everything(&client, scratch.path())?;
    build(&client, scratch.path())?;
    // Docker's client asks the far machine for `docker`: that may be ours under that name
    sshd.has(&ours, "docker")?;
    let dockers = programs::docker_client()?;
    let client = |words: &[&str]| Ok(sshd.client(&dockers, "", words));
    everything(&client, scratch.path())?;
    // and so it may be for our client, where nothing is called berth
    ensure!(
        programs::run(&mut sshd.client(&ours, "", &["version", "-f", "{{.Server.Platform.Name}}"]))?.ok()?
            == "Berth"
    );
    berth.finish()
}

#[test]
fn a_socket_can_be_named() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let sshd = Sshd::start(&berth)?;
    let ours = programs::program("berth")?;
    sshd.has(&ours, "berth")?;
    let socket = berth.root().join("sock").display().to_string();
    programs::run(&mut sshd.client(&ours, &socket, &["ps", "-q"]))?.ok()?;
    programs::run(&mut sshd.client(&ours, "/no/such/sock", &["ps"]))?.fails(1, "Is berthd running?")?;
    // Docker's own client on the far side, which our daemon answers as well
    sshd.has(&programs::docker_client()?, "docker")?;
    programs::run(&mut sshd.client(&ours, &socket, &["ps", "-q"]))?.ok()?;
    berth.finish()
}

#[test]
fn failures_of_ssh_are_shown() -> Result<()> {
    let berth = Berth::bare(&[])?;
    let sshd = Sshd::start(&berth)?;
    let ours = programs::program("berth")?;
    sshd.has(Path::new("/bin/false"), "berth")?;
    programs::run(&mut sshd.client(&ours, "", &["ps"]))?.fails(1, "has exited with exit status 1")?;
    sshd.has(Path::new("/bin/true"), "nothing")?;
    let mut refused = sshd.client(&ours, "", &["ps"]);
    refused.env("DOCKER_HOST", "ssh://127.0.0.1:1");
    programs::run(&mut refused)?.fails(1, "Connection refused")?;
    let mut dash = sshd.client(&ours, "", &["ps"]);
    dash.env("DOCKER_HOST", "ssh://-oProxyCommand=touch%20x");
    programs::run(&mut dash)?.fails(1, "is not valid")?;
    berth.finish()
}
