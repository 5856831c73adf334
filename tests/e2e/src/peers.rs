//! Other engines, on roots of their own: Debian's `dockerd`, containerd and Podman. The benchmark measures
//! beside them, and the tests put our OCI runtime under them.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::lab::Namespace;
use crate::leaks;
use crate::programs::{self, PATIENCE, Ran};

/// A daemon that is ended by SIGTERM, so that it takes its mounts and rules with it.
struct Server {
    root: tempfile::TempDir,
    child: Child,
}

impl Server {
    /// Starts `program` with the arguments that `arguments` makes from the server's folder.
    fn start(program: &str, arguments: impl FnOnce(&Path) -> Vec<String>) -> Result<Self> {
        let root = tempfile::Builder::new().prefix("berth-peer-").tempdir()?;
        let log = std::fs::File::create(root.path().join("log"))?;
        let child = Command::new(program)
            .args(arguments(root.path()))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {program}"))?;
        Ok(Self { root, child })
    }

    /// Waits until `answers` succeeds.
    fn ready(mut self, answers: impl Fn(&Path) -> Result<Ran>) -> Result<Self> {
        programs::eventually("the peer answers", || {
            if let Some(status) = self.child.try_wait()? {
                bail!("the peer has ended with {status}");
            }
            Ok(answers(self.root.path()).is_ok_and(|ran| ran.code == 0).then_some(()))
        })
        .with_context(|| std::fs::read_to_string(self.root.path().join("log")).unwrap_or_default())?;
        Ok(self)
    }

    fn end(&mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        if programs::wait(&mut self.child, PATIENCE)?.is_none() {
            bail!("{} did not end on SIGTERM", self.root.path().display());
        }
        self.unmount()
    }

    /// What it has left mounted below its folder: `dockerd` pins its network namespace to a file
    /// (`exec/netns/default`), which would keep the namespace alive and the folder from being removed.
    fn unmount(&self) -> Result<()> {
        for mount in leaks::mounts(self.root.path())?.iter().rev() {
            // proc_pid_mountinfo(5): id, parent, device, root, place
            let place = mount.split(' ').nth(4).unwrap_or_default();
            rustix::mount::unmount(place, rustix::mount::UnmountFlags::DETACH)
                .with_context(|| format!("cannot unmount {place}"))?;
        }
        let left = leaks::mounts(self.root.path())?;
        if !left.is_empty() {
            bail!("a peer has left mounts: {left:?}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.end();
        }
    }
}

/// Debian's `dockerd`.
pub struct Docker {
    server: Server,
}

impl Docker {
    /// Starts it with more options. Unless these say otherwise it makes its default bridge and firewall
    /// rules: run it in a network namespace of its own, or with [`Docker::NO_NETWORK`].
    pub fn start(options: &[&str]) -> Result<Self> {
        Self::up(|| Server::start("/usr/sbin/dockerd", |root| arguments(root, options)))
    }

    /// Waits until it answers. It gives its containerd a quarter of a minute, and then up: on a machine that is at work
    /// otherwise it is started again.
    fn up(begin: impl Fn() -> Result<Server>) -> Result<Self> {
        const TRIES: u32 = 5;
        let mut tries = 0;
        loop {
            tries += 1;
            match begin()?.ready(|root| programs::run(&mut docker(root, &["version"]))) {
                Ok(server) => return Ok(Self { server }),
                Err(error)
                    if tries < TRIES && format!("{error:#}").contains("timeout waiting for containerd") => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts it with its network, in a network namespace of its own: see [`Docker::inside`].
    pub fn apart(options: &[&str]) -> Result<Self> {
        Self::inside(&Namespace::new()?, options)
    }

    /// Starts it with its network in a namespace, and with a cgroup parent of its own: the machine's are left
    /// alone. All goes with the process and the namespace but the cgroups, which [`Docker::stop`] removes.
    pub fn inside(netns: &Namespace, options: &[&str]) -> Result<Self> {
        Self::up(|| {
            netns.within(|| {
                Server::start("/usr/sbin/dockerd", |root| {
                    let cgroup = format!("/{}", root.file_name().unwrap_or_default().to_string_lossy());
                    arguments(root, &[options, &["--cgroup-parent", &cgroup][..]].concat())
                })
            })
        })
    }

    /// Options with which it leaves the machine's network alone.
    pub const NO_NETWORK: &[&str] =
        &["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"];

    /// The folder of this daemon.
    pub fn root(&self) -> &Path {
        self.server.root.path()
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.server.child.id()
    }

    /// The 20.10 client, pointed at this daemon.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        docker(self.root(), args)
    }

    /// Runs the client with `args`.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Ran> {
        programs::run(&mut self.command(args))
    }

    /// Ends the daemon.
    pub fn stop(mut self) -> Result<()> {
        self.server.end()?;
        remove_cgroups(self.root())
    }
}

fn arguments(root: &Path, options: &[&str]) -> Vec<String> {
    let mut arguments: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
        arguments.extend([option.to_owned(), root.join(name).display().to_string()]);
    }
    arguments.extend(["--host".to_owned(), format!("unix://{}", root.join("sock").display())]);
    // on every host the driver that is ours unless asked: under cgroup v2 it would ask systemd, with systemd's limits
    arguments.extend(["--exec-opt", "native.cgroupdriver=cgroupfs"].map(str::to_owned));
    arguments
}

/// Removes the cgroup parent that [`Docker::apart`] names after its folder, in every hierarchy.
fn remove_cgroups(root: &Path) -> Result<()> {
    let name = root.file_name().context("a folder without a name")?;
    let mut hierarchies = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup")? {
        hierarchies.push(hierarchy?.path());
    }
    for hierarchy in hierarchies {
        let parent = hierarchy.join(name);
        if parent.is_dir() {
            std::fs::remove_dir(&parent).with_context(|| format!("cannot remove {}", parent.display()))?;
        }
    }
    Ok(())
}

fn docker<S: AsRef<OsStr>>(root: &Path, args: &[S]) -> Command {
    let mut command = programs::command(Path::new("/usr/bin/docker"), args);
    command.env("DOCKER_HOST", format!("unix://{}", root.join("sock").display()));
    command.env("DOCKER_CONFIG", root.join("client"));
    command
}

/// Debian's containerd, driven by `ctr`.
pub struct Containerd {
    server: Server,
}

impl Containerd {
    /// Starts it.
    pub fn start() -> Result<Self> {
        let server = Server::start("/usr/bin/containerd", |root| {
            let config = root.join("config.toml");
            // Without the CRI plugin, which wants CNI; a failure to write shows as containerd's own error.
            let _ =
                std::fs::write(&config, "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n");
            let place = |name: &str| root.join(name).display().to_string();
            [
                "--config",
                &place("config.toml"),
                "--root",
                &place("data"),
                "--state",
                &place("state"),
                "--address",
            ]
            .into_iter()
            .map(str::to_owned)
            .chain([place("sock")])
            .collect()
        })?;
        Ok(Self { server: server.ready(|root| programs::run(&mut ctr(root, &["version"])))? })
    }

    /// Runs `ctr` with `args`.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Ran> {
        programs::run(&mut ctr(self.server.root.path(), args))
    }

    /// Ends the daemon.
    pub fn stop(mut self) -> Result<()> {
        self.server.end()
    }
}

fn ctr<S: AsRef<OsStr>>(root: &Path, args: &[S]) -> Command {
    let mut command = Command::new("/usr/bin/ctr");
    command.arg("--address").arg(root.join("sock")).args(args);
    command
}

/// Debian's Podman on a storage of its own, with our runtime.
pub struct Podman {
    root: tempfile::TempDir,
}

impl Podman {
    /// Prepares the storage and a configuration whose limits this machine allows.
    pub fn prepare() -> Result<Self> {
        let root = tempfile::Builder::new().prefix("berth-podman-").tempdir()?;
        let conf = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                    [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";
        std::fs::write(root.path().join("containers.conf"), conf)?;
        let policy = "{\"default\": [{\"type\": \"insecureAcceptAnything\"}]}";
        std::fs::write(root.path().join("policy.json"), policy)?;
        Ok(Self { root })
    }

    /// Runs `podman` with `args`, `runtime` as its OCI runtime.
    pub fn run(&self, runtime: &Path, args: &[&str]) -> Result<Ran> {
        let root = self.root.path();
        let mut command = Command::new("/usr/bin/podman");
        command.env("CONTAINERS_CONF", root.join("containers.conf")).env_remove("DOCKER_HOST");
        // conmon leaves a file `oom` where it stands
        command.current_dir(root);
        command.arg("--root").arg(root.join("data")).arg("--runroot").arg(root.join("run"));
        command
            .arg("--tmpdir")
            .arg(root.join("tmp"))
            .args(["--storage-driver", "vfs", "--runtime"])
            .arg(runtime);
        programs::run(command.args(args))
    }

    /// The folder of this Podman.
    pub fn root(&self) -> &Path {
        self.root.path()
    }
}
