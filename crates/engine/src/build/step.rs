//! A process of a build: a container without a record, whose shim ends with our connection to it.

use std::collections::BTreeMap;
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

use super::mounts::{Mounted, Sight, View};
use super::settings;
use super::stubs::Stubs;
use super::worker::{BuildWorker, because, layers};
use crate::container::security::selinux;
use crate::container::start::{self, Extra};
use crate::container::task::{blocking, remove_shim_directory};
use crate::container::{
    Chunk, Container, ContainerConfig, HostConfig, LogConfig, NetworkingConfig, Source, State, mode, record,
};
use crate::engine::Inner;
use crate::error;
use crate::shim::{ShimEvent, ShimHandle, SpawnOptions};
use crate::userns::{IdMap, Ids};

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
        let mut container = self.container(&id, exec, &secrets).map_err(because("make a step"))?;
        // kept as long as the step runs: no record says whose it is
        let _level = selinux::take(&self.engine, &mut container).map_err(because("make a step"))?;
        let user = container.ids.as_ref().map(IdMap::holder).transpose().map_err(because("make a step"))?;
        let sight = Sight { user: user.as_ref(), label: self.engine.selinux.mount_label(&container) };
        let Some(mounted) = self.mounted(job, exec, inputs, sight)? else {
            return Err(Error::Cancelled);
        };
        let Mounted { view, places, mut outputs } = mounted;
        let stubs = Stubs::before(self, &below, &places)?;
        let _clean = Clean { engine: &self.engine, id: &id };
        self.prepare(&id, &below).map_err(because("make a step"))?;
        let code = self.runtime.block_on(self.run(job, &container, view))?;
        job.cancel.check()?;
        let good =
            if exec.valid_exit_codes.is_empty() { code == 0 } else { exec.valid_exit_codes.contains(&code) };
        if !good {
            return Err(Error::Exit { args: exec.args.clone(), code });
        }
        let mut results = outputs.drain(..).map(|output| output.finish(self)).collect::<Result<Vec<_>>>()?;
        if let Some(number) = root.output {
            stubs.remove(self, &id)?;
            results.push((number, self.committed(&id, &below, &[])?));
        }
        Ok(results)
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
        let ids = match crate::userns::settle(engine, &host)? {
            Ids::Common(ids) => Some(ids),
            Ids::Host | Ids::Own => None,
        };
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
            ids,
            links: Vec::new(),
            process_label: String::new(),
            mount_label: String::new(),
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
        resources.ulimits.extend(exec.ulimits.iter().map(settings::ulimit));
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
        let mut host = HostConfig {
            resources,
            network_mode,
            privileged,
            readonly_rootfs: exec.root().is_some_and(|root| root.readonly),
            log_config: LogConfig { driver: "none".to_owned(), options: BTreeMap::new() },
            extra_hosts: exec.extra_hosts.iter().map(|host| format!("{}:{}", host.host, host.ip)).collect(),
            shm_size: exec.shm_size.and_then(|size| i64::try_from(size).ok()).unwrap_or(0),
            ipc_mode: "private".to_owned(),
            cgroupns_mode: if privileged && !engine.host.cgroup_v2 { "host" } else { "private" }.to_owned(),
            security_opt: self.settings.security_opt.clone(),
            init: Some(false),
            ..HostConfig::default()
        };
        // a definition of a client's says more than its request
        settings::check(engine, &mut host)?;
        Ok(host)
    }

    /// From the first process's beginning to its end; its exit code.
    async fn run(&self, job: &Job<'_>, container: &Container, view: View) -> Result<i32> {
        let engine = &self.engine;
        let state_dir = engine.layout.shim(&container.id);
        let options = SpawnOptions { program: &engine.config.shim, id: &container.id, state_dir: &state_dir };
        let failed = |error: crate::shim::ShimError| Error::because("run a step", error);
        let (shim, mut events) = ShimHandle::spawn(&options).map_err(failed)?;
        let result = async {
            let request = AttachRequest { stdout: true, stderr: true, ..AttachRequest::default() };
            let (_, near) = shim.attach(request).await.map_err(failed)?;
            let extra = Extra { bound: true, files: view.files, handed: view.handed, ..Extra::default() };
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
