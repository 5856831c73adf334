//! A process of a build: a container without a record, whose shim ends with our connection to it.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ::build::graph::{Exec, MountKind, NetworkMode, SecurityMode};
use ::build::progress::Stream;
use ::build::solve::{Job, Tree};
use ::build::{Error, Result};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use oci::Digest;
use shim::protocol::{AttachRequest, Event, ExitRecord};
use sys::signal::Signal;
use tokio::sync::oneshot;

use super::secret::Agent;
use super::worker::{BuildWorker, because, layers};
use crate::container::start::{self, Extra};
use crate::container::task::{blocking, remove_shim_directory};
use crate::container::{
    Chunk, Container, ContainerConfig, FileMount, HostConfig, LogConfig, NetworkingConfig, Source, State,
    Ulimit, mode, record,
};
use crate::engine::Inner;
use crate::error;
use crate::shim::{ShimEvent, ShimHandle, SpawnOptions};
use crate::volume::Handed;

/// What is mounted for a step.
#[derive(Default)]
pub(super) struct Mounted {
    pub(super) files: Vec<FileMount>,
    pub(super) handed: Vec<Handed>,
    /// Places in the root that are only there to be mounted on.
    pub(super) places: Vec<String>,
    /// What must stay as long as the step.
    pub(super) agents: Vec<Agent>,
}

impl Mounted {
    pub(super) fn hand(&mut self, target: &str, mount: OwnedFd, options: &[&str]) {
        self.places.push(target.to_owned());
        self.files.push(FileMount {
            source: Some("/".into()),
            destination: target.to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        });
        self.handed.push(Handed { destination: target.to_owned(), mount, keep: String::new() });
    }
}

/// A step's variables: of its ssh agents the first is the one that is found, if nothing else is said.
fn environment(exec: &Exec, secrets: &[String]) -> Vec<String> {
    const AGENT: &str = "SSH_AUTH_SOCK=";
    let agent = exec.mounts.iter().find(|mount| matches!(mount.kind, MountKind::Ssh(_)));
    let agent = agent.filter(|_| !exec.env.iter().any(|variable| variable.starts_with(AGENT)));
    let agent = agent.map(|mount| format!("{AGENT}{}", mount.target));
    exec.env.iter().chain(&exec.proxy_env).cloned().chain(agent).chain(secrets.iter().cloned()).collect()
}

impl BuildWorker {
    /// Runs one.
    pub(super) fn step(&self, job: &Job<'_>, exec: &Exec, inputs: &[Tree]) -> Result<Vec<(u32, Tree)>> {
        let root = exec.root().ok_or_else(|| Error::Invalid("no root file system is mounted".into()))?;
        let below = match root.input {
            Some(input) => layers(inputs.get(input))?,
            None => Vec::new(),
        };
        let id = crate::id::random().map_err(because("make a step"))?;
        let secrets = self.secret_env(exec)?;
        let container = self.container(&id, exec, &secrets).map_err(because("make a step"))?;
        let mounted = self.mounted(exec, inputs)?;
        let places = mounted.places.clone();
        let stubs = Stubs::before(self, &below, &places)?;
        let _clean = Clean { engine: &self.engine, id: &id };
        self.prepare(&id, &below).map_err(because("make a step"))?;
        let code = self.runtime.block_on(self.run(job, &container, mounted))?;
        job.cancel.check()?;
        let good =
            if exec.valid_exit_codes.is_empty() { code == 0 } else { exec.valid_exit_codes.contains(&code) };
        if !good {
            return Err(Error::Exit { args: exec.args.clone(), code });
        }
        match root.output {
            Some(number) => {
                stubs.remove(self, &id)?;
                Ok(vec![(number, self.committed(&id, &below, &[])?)])
            }
            None => Ok(Vec::new()),
        }
    }

    fn prepare(&self, id: &str, below: &[Digest]) -> error::Result<()> {
        record::make_directory(&self.engine.layout, id)?;
        self.engine.store.create_snapshot_on(id, below)?;
        Ok(())
    }

    /// The step as the container that it would be.
    fn container(&self, id: &str, exec: &Exec, secrets: &[String]) -> error::Result<Container> {
        let engine = &self.engine;
        let host = self.host(exec)?;
        let mode = mode::NetworkMode::parse(&host.network_mode)?;
        let hostname = if exec.hostname.is_empty() { id[..12].to_owned() } else { exec.hostname.clone() };
        let config = ContainerConfig {
            hostname,
            user: exec.user.clone(),
            working_dir: exec.cwd.clone(),
            cmd: Some(exec.args.clone()),
            env: environment(exec, secrets),
            ..ContainerConfig::default()
        };
        let networking = NetworkingConfig::default();
        let network = crate::network::initial(engine, &mode, &config, &networking);
        let (path, args) =
            exec.args.split_first().map(|(path, args)| (path.clone(), args.to_vec())).unwrap_or_default();
        Ok(Container {
            created: Timestamp::now(),
            image_id: String::new(),
            os: "linux".to_owned(),
            path,
            args,
            state: State::Created { failure: None },
            restart_count: 0,
            run: 1,
            stopped_by_hand: false,
            restart_cancelled: false,
            network,
            mounts: Vec::new(),
            storage_driver: engine.store.driver().name().to_owned(),
            health: None,
            log_path: None,
            hostname_path: engine.layout.hostname(id),
            hosts_path: engine.layout.hosts(id),
            resolv_conf_path: engine.layout.resolv_conf(id),
            system: false,
            links: Vec::new(),
            exec_ids: Vec::new(),
            config: Arc::new(config),
            host: Arc::new(host),
            networking: Arc::new(networking),
            id: id.to_owned(),
            name: format!("build-{}", &id[..12]),
        })
    }

    fn host(&self, exec: &Exec) -> error::Result<HostConfig> {
        let engine = &self.engine;
        let mut resources = self.settings.resources.clone();
        resources.ulimits.extend(exec.ulimits.iter().map(|limit| Ulimit {
            name: limit.name.clone(),
            soft: limit.soft,
            hard: limit.hard,
        }));
        if !exec.cgroup_parent.is_empty() {
            resources.cgroup_parent.clone_from(&exec.cgroup_parent);
        }
        if exec.network == NetworkMode::Host && !self.settings.allow_host_network {
            return Err(error::Error::bad_parameter(
                "network.host is not allowed: the build was not given this entitlement",
            ));
        }
        let privileged = exec.security == SecurityMode::Insecure;
        if privileged && !self.settings.allow_insecure {
            return Err(error::Error::bad_parameter(
                "security.insecure is not allowed: the build was not given this entitlement",
            ));
        }
        let off = engine.config.bridge.name == "none";
        let network_mode = match exec.network {
            NetworkMode::Host => "host".to_owned(),
            NetworkMode::None => "none".to_owned(),
            NetworkMode::Sandbox if self.settings.network.is_empty() && off => "none".to_owned(),
            NetworkMode::Sandbox if self.settings.network.is_empty() => "bridge".to_owned(),
            NetworkMode::Sandbox => self.settings.network.clone(),
        };
        Ok(HostConfig {
            resources,
            network_mode,
            privileged,
            log_config: LogConfig { driver: "none".to_owned(), options: BTreeMap::new() },
            extra_hosts: exec.extra_hosts.iter().map(|host| format!("{}:{}", host.host, host.ip)).collect(),
            shm_size: exec.shm_size.and_then(|size| i64::try_from(size).ok()).unwrap_or(0),
            ipc_mode: "private".to_owned(),
            cgroupns_mode: if privileged { "host" } else { "private" }.to_owned(),
            security_opt: self.settings.security_opt.clone(),
            init: Some(false),
            ..HostConfig::default()
        })
    }

    /// What the step sees beside its root.
    fn mounted(&self, exec: &Exec, inputs: &[Tree]) -> Result<Mounted> {
        let mut mounted = Mounted::default();
        for mount in exec.mounts.iter().filter(|mount| mount.target != "/") {
            let target = &mount.target;
            match &mount.kind {
                MountKind::Bind if !mount.readonly || mount.output.is_some() => {
                    return Err(Error::Unsupported(format!("a bind mount that is written to ({target})")));
                }
                MountKind::Bind => {
                    let tree = match mount.input {
                        Some(input) => inputs.get(input).cloned(),
                        None => Some(Tree::Layers(Vec::new())),
                    };
                    let tree = tree.ok_or_else(|| Error::Invalid("an input is missing".into()))?;
                    let part = self.part(&tree, &mount.selector)?;
                    mounted.hand(target, part, &["rbind", "rprivate", "ro"]);
                }
                MountKind::Tmpfs { size } => {
                    mounted.places.push(target.clone());
                    let mut options = vec!["nosuid".to_owned(), "nodev".to_owned(), "mode=1777".to_owned()];
                    options.extend(size.map(|size| format!("size={size}")));
                    mounted.files.push(FileMount { source: None, destination: target.clone(), options });
                }
                MountKind::Cache(_) => {
                    return Err(Error::Unsupported(format!("a cache mount ({target})")));
                }
                MountKind::Secret(secret) => {
                    if let Some(file) = self.secret(secret)? {
                        mounted.hand(target, file, &["bind", "rprivate", "ro", "nosuid", "nodev", "noexec"]);
                    }
                }
                MountKind::Ssh(ssh) => {
                    if let Some((socket, agent)) = self.agent(ssh)? {
                        mounted.hand(target, socket, &["bind", "rprivate", "nosuid", "nodev", "noexec"]);
                        mounted.agents.push(agent);
                    }
                }
            }
        }
        Ok(mounted)
    }

    /// From the first process's beginning to its end; its exit code.
    async fn run(&self, job: &Job<'_>, container: &Container, mounted: Mounted) -> Result<i32> {
        let engine = &self.engine;
        let state_dir = engine.layout.shim(&container.id);
        let options = SpawnOptions { program: &engine.config.shim, id: &container.id, state_dir: &state_dir };
        let failed = |error: crate::shim::ShimError| Error::because("run a step", error);
        let (shim, mut events) = ShimHandle::spawn(&options).map_err(failed)?;
        let result = async {
            let request = AttachRequest { stdout: true, stderr: true, ..AttachRequest::default() };
            let (_, near) = shim.attach(request).await.map_err(failed)?;
            let extra =
                Extra { bound: true, files: mounted.files, handed: mounted.handed, ..Extra::default() };
            let started = start::run(engine, container, &shim, None, extra).await;
            started.map_err(|failed| Error::because("failed to start the step", failed.error))?;
            let mut output = crate::container::attached(near).fuse().boxed();
            let exit = self.watch(job, &shim, &mut events, &mut output).await?;
            // what is still in the stream
            while let Some(Ok(chunk)) = output.next().await {
                tell(job, &chunk);
            }
            Ok(exit)
        }
        .await;
        if result.is_err() {
            // nothing runs, or it is to end
            let _ = shim.kill(Signal::KILL.number(), true).await;
        }
        self.give_back(container, &shim).await;
        result.map(|exit: ExitRecord| exit.code)
    }

    async fn watch(
        &self,
        job: &Job<'_>,
        shim: &ShimHandle,
        events: &mut crate::shim::Events,
        output: &mut crate::Stream<Chunk>,
    ) -> Result<ExitRecord> {
        let (told, mut cancelled) = oneshot::channel();
        let _on_cancel = job.cancel.on_cancel(move || {
            let _ = told.send(());
        });
        let (mut open, mut killed) = (true, false);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    ShimEvent::Told(Event::Exited(record)) => return Ok(record),
                    ShimEvent::Told(_) => {}
                    ShimEvent::Gone => return Err(Error::because("run a step", "its shim ended unexpectedly")),
                },
                chunk = output.next(), if open => match chunk {
                    Some(Ok(chunk)) => tell(job, &chunk),
                    _ => open = false,
                },
                _ = &mut cancelled, if !killed => {
                    killed = true;
                    if let Err(error) = shim.kill(Signal::KILL.number(), true).await {
                        tracing::warn!(%error, "a cancelled step was not killed");
                    }
                }
            }
        }
    }

    /// Network, cgroup, shim: all that a run holds.
    async fn give_back(&self, container: &Container, shim: &ShimHandle) {
        let (engine, id) = (Arc::clone(&self.engine), container.id.clone());
        let detach = blocking(move || crate::network::detach(&engine, &id));
        let (detached, ended) = tokio::join!(detach, shim.shutdown());
        if let Err(error) = detached {
            tracing::warn!(step = %container.id, %error, "the network was not given back whole");
        }
        if let Err(error) = ended {
            tracing::warn!(step = %container.id, %error, "the shim did not end");
        }
        remove_shim_directory(&self.engine.layout.shim(&container.id));
    }
}

fn tell(job: &Job<'_>, chunk: &Chunk) {
    let stream = match chunk.source {
        Source::Stdout => Stream::Stdout,
        Source::Stderr => Stream::Stderr,
    };
    job.log(stream, &chunk.data);
}

/// Takes a step's directories away.
struct Clean<'a> {
    engine: &'a Inner,
    id: &'a str,
}

impl Drop for Clean<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.engine.store.remove_snapshot(self.id) {
            tracing::warn!(step = %self.id, %error, "a step's root file system stays until the next start");
        }
        if let Err(error) = record::remove_directory(&self.engine.layout, self.id) {
            tracing::warn!(step = %self.id, %error, "a step's directory stays until the next start");
        }
    }
}

/// Places for mounts that the runtime makes in the root, and that are no change of the step's.
struct Stubs(Vec<String>);

impl Stubs {
    /// Which places are not there yet, the ones above them included.
    fn before(worker: &BuildWorker, below: &[Digest], places: &[String]) -> Result<Self> {
        let mut missing = Vec::new();
        if places.is_empty() {
            return Ok(Self(missing));
        }
        let root = worker.trees.open(&Tree::Layers(below.to_vec()))?;
        for place in places {
            let mut path = String::new();
            for name in place.split('/').filter(|name| !name.is_empty()) {
                path = format!("{path}/{name}");
                if root.lstat(&path).is_err() && !missing.contains(&path) {
                    missing.push(path.clone());
                }
            }
        }
        Ok(Self(missing))
    }

    /// Takes away those that are still empty, beneath the root alone.
    fn remove(&self, worker: &BuildWorker, id: &str) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let failed = |error| Error::because("remove places of mounts", error);
        let snapshot = worker.engine.store.snapshot(id).map_err(failed)?;
        let root = sys::path::Root::in_root(snapshot.mount().map_err(failed)?);
        for place in self.0.iter().rev() {
            // what the step has put there stays, and so does what has become of it
            match root.lstat(place) {
                Ok(stat) if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() => {
                    let _ = root.remove_dir(place);
                }
                Ok(stat)
                    if stat.st_size == 0 && rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() =>
                {
                    let _ = root.remove_file(place);
                }
                _ => {}
            }
        }
        Ok(())
    }
}
