//! The start of an engine: find every container again, ask the shims for the truth, sweep what nobody owns. Running
//! containers are never stopped. Everything here may be repeated.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;

use shim::protocol::{ExitRecord, HelloReply, Status as ShimStatus};
use sys::cgroup::{Cgroup, CgroupPath};

use crate::container::record::{self, Durability};
use crate::container::task::{Request, Task, blocking, lost, remove_shim_directory};
use crate::container::{Container, Exited, RestartPolicy, Running, State, restarts_with_daemon};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::shim::{Events, ShimHandle};

/// Finds everything again.
///
/// # Errors
/// The containers' directory can't be read. A single container that can't be read is reported and left alone.
pub(crate) async fn recover(engine: &Arc<Inner>) -> Result<()> {
    let found = {
        let engine = Arc::clone(engine);
        blocking(move || read_all(&engine)).await?
    };
    let mut adopted = Vec::new();
    for container in found.containers {
        adopted.push(tokio::spawn(adopt(Arc::clone(engine), container)));
    }
    let mut wake = Vec::new();
    for container in adopted {
        match container.await {
            Ok(again) => wake.extend(again),
            Err(error) => tracing::error!(%error, "a container could not be taken over"),
        }
    }
    let sweeping = Arc::clone(engine);
    blocking(move || {
        sweep(&sweeping, &found.unreadable);
        Ok(())
    })
    .await?;
    for entry in wake {
        tokio::spawn(async move {
            if let Err(error) = entry.ask(Request::Start).await {
                tracing::warn!(container = %entry.id, %error, "the container was not started again");
            }
        });
    }
    Ok(())
}

struct Found {
    containers: Vec<Container>,
    /// Ids whose record can't be read: nothing of theirs is swept.
    unreadable: Vec<String>,
}

fn read_all(engine: &Inner) -> Result<Found> {
    let directory = engine.layout.containers();
    let failed = |error| Error::because(format!("read {}", directory.display()), error);
    let mut found = Found { containers: Vec::new(), unreadable: Vec::new() };
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let id = entry.file_name().to_string_lossy().into_owned();
        match record::read(&entry.path()) {
            Ok(container) if container.id == id => found.containers.push(container),
            Ok(_) => found.unreadable.push(id),
            Err(_) if !entry.path().join(crate::layout::RECORD).exists() => {
                // half-made or half-removed
                if let Err(error) = record::remove_directory(&engine.layout, &id) {
                    tracing::warn!(container = %id, %error, "a container without a record could not be removed");
                }
            }
            Err(error) => {
                tracing::error!(container = %id, %error, "the record can't be read: the container is left alone");
                found.unreadable.push(id);
            }
        }
    }
    for container in &found.containers {
        if let Err(error) = engine.containers.reserve(&container.name, &container.id) {
            tracing::warn!(container = %container.id, %error, "two records have one name");
        }
    }
    Ok(found)
}

/// Takes one container over; gives it back when it is to be started.
async fn adopt(
    engine: Arc<Inner>,
    mut container: Container,
) -> Option<Arc<crate::container::registry::Entry>> {
    let state_dir = engine.layout.shim(&container.id);
    match ShimHandle::connect(&state_dir).await {
        Ok((shim, events, hello)) if is_live(&hello) => {
            live(&engine, &mut container, &hello).await;
            Task::spawn(&engine, container, Some((shim, events)));
            None
        }
        Ok((shim, events, hello)) => {
            drop_shim(shim, events).await;
            remove_shim_directory(&state_dir);
            ended(&engine, container, hello.state.exit).await
        }
        Err(_) => {
            remove_shim_directory(&state_dir);
            ended(&engine, container, None).await
        }
    }
}

fn is_live(hello: &HelloReply) -> bool {
    matches!(hello.state.status, ShimStatus::Running | ShimStatus::Paused)
}

async fn drop_shim(shim: ShimHandle, events: Events) {
    if let Err(error) = shim.shutdown().await {
        tracing::warn!(%error, "a shim without a running container did not end");
    }
    drop(events);
}

/// The shim says that it runs.
async fn live(engine: &Arc<Inner>, container: &mut Container, hello: &HelloReply) {
    let before = container.clone();
    let known = container.state.running().cloned();
    let run = Running {
        pid: hello.state.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default(),
        started_at: hello
            .state
            .started_at
            .or(known.map(|run| run.started_at))
            .unwrap_or_else(jiff::Timestamp::now),
    };
    container.state = match hello.state.status {
        ShimStatus::Paused => State::Paused(run),
        _ => State::Running(run),
    };
    let (engine, container) = (Arc::clone(engine), container.clone());
    let again = blocking(move || {
        crate::network::adopt(&engine, &container)?;
        if container == before {
            Ok(())
        } else {
            record::write(&engine.layout, &container, Durability::Memory)
        }
    })
    .await;
    if let Err(error) = again {
        tracing::warn!(%error, "a running container's network was not taken over whole");
    }
}

/// It does not run (any more).
async fn ended(
    engine: &Arc<Inner>,
    mut container: Container,
    exit: Option<ExitRecord>,
) -> Option<Arc<crate::container::registry::Entry>> {
    let ran = !matches!(container.state, State::Created { .. });
    let before = container.clone();
    if let Some(run) = container.state.running().cloned() {
        let (inner, snapshot) = (Arc::clone(engine), container.clone());
        let swept = blocking(move || {
            kill_leftovers(&inner, &snapshot);
            Ok(record::read_exit(&inner.layout, &snapshot.id))
        });
        let record = match exit {
            Some(record) => {
                // the leftovers' result is not needed
                drop(swept.await);
                record
            }
            None => swept.await.ok().flatten().unwrap_or_else(lost),
        };
        container.state = State::Exited(Exited {
            code: record.code,
            started_at: Some(run.started_at),
            finished_at: Some(record.at),
            oom_killed: record.oom_killed,
            error: record.error.unwrap_or_default(),
        });
    }
    container.state = match container.state {
        State::Restarting(exit) | State::Removing(exit) => State::Exited(exit),
        other => other,
    };
    container.network = crate::network::at_rest(&container.network);
    if container == before {
        return settle(engine, container, ran).await;
    }
    let (inner, snapshot) = (Arc::clone(engine), container.clone());
    let settled = blocking(move || {
        if let Err(error) = crate::network::detach(&inner, &snapshot.id) {
            tracing::warn!(container = %snapshot.id, %error, "the network was not given back whole");
        }
        record::write(&inner.layout, &snapshot, Durability::Disk)
    })
    .await;
    if let Err(error) = settled {
        tracing::error!(container = %container.id, %error, "the record could not be written");
    }
    settle(engine, container, ran).await
}

/// Gone (`--rm`), to be started (restart policy), or at rest.
async fn settle(
    engine: &Arc<Inner>,
    container: Container,
    ran: bool,
) -> Option<Arc<crate::container::registry::Entry>> {
    let policy = container.host.restart_policy;
    let again = restarts_with_daemon(policy, ran, container.state.exit_code(), container.stopped_by_hand);
    let remove = container.host.auto_remove && policy == RestartPolicy::No;
    let entry = Task::spawn(engine, container, None);
    if remove {
        let options = crate::container::RemoveOptions { force: true, volumes: true, link: false };
        if let Err(error) = entry.ask(|reply| Request::Remove { options, reply }).await {
            tracing::warn!(container = %entry.id, %error, "automatic removal failed");
        }
        return None;
    }
    again.then_some(entry)
}

/// Kills and removes what a container's killed shim has left in its cgroup. Blocks.
pub(crate) fn kill_leftovers(engine: &Inner, container: &Container) {
    if let Err(error) = remove_cgroup(&engine.cgroup_path(container)) {
        tracing::warn!(container = %container.id, %error, "the cgroup could not be removed");
    }
}

/// How long killed processes may take to go.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

fn remove_cgroup(path: &str) -> Result<()> {
    let failed = |error: sys::cgroup::Error| Error::because(format!("remove cgroup {path}"), error);
    let path = CgroupPath::new(path).map_err(failed)?;
    // one that is not there is as good as removed
    let Ok(cgroup) = Cgroup::open(&path) else { return Ok(()) };
    cgroup.kill().map_err(failed)?;
    cgroup.wait_empty(PATIENCE).map_err(failed)?;
    cgroup.remove().map_err(failed)
}

/// Removes what bears the id of no container. Every step is tried; failures are reported.
fn sweep(engine: &Inner, unreadable: &[String]) {
    let containers = engine.containers.all();
    let mut known: HashSet<String> = containers.iter().map(|entry| entry.id.clone()).collect();
    known.extend(unreadable.iter().cloned());
    match engine.store.sweep(&known) {
        Ok(swept) if swept != store::Swept::default() => {
            tracing::info!(?swept, "orphans of the store removed")
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "orphans of the store stay"),
    }
    let mut live: HashSet<String> = containers
        .iter()
        .filter(|entry| entry.snapshot().state.running().is_some())
        .map(|entry| entry.id.clone())
        .collect();
    live.extend(unreadable.iter().cloned());
    if let Err(error) = engine.network.sweep(&live) {
        tracing::warn!(%error, "orphans of the network stay");
    }
    sweep_directory(&engine.layout.shims(), &live, remove_shim_directory);
    sweep_directory(&engine.layout.shms(), &live, |path| {
        // not mounted is as good
        let _ = sys::mount::detach(path);
        let _ = fs::remove_dir(path);
    });
    sweep_cgroups(engine, &live);
}

fn sweep_directory(directory: &std::path::Path, live: &HashSet<String>, remove: impl Fn(&std::path::Path)) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if !live.contains(entry.file_name().to_string_lossy().as_ref()) {
            remove(&entry.path());
        }
    }
}

/// Removes this instance's own cgroup where nothing is left in it: the kernel keeps one that is in use.
pub(crate) fn remove_empty_parent(config: &crate::Config) {
    let Ok(host) = sys::cgroup::Host::get() else { return };
    if !config.cgroup_parent.is_empty() {
        return;
    }
    let parent = config.cgroup_parent();
    for mount in host.v1.iter().map(|hierarchy| &hierarchy.mount).chain(host.unified.iter()) {
        let _ = fs::remove_dir(mount.join(parent.trim_matches('/')));
    }
}

/// Cgroups beneath our parent that are named like containers.
fn sweep_cgroups(engine: &Inner, live: &HashSet<String>) {
    // a parent chosen by a person may hold another engine's containers
    if !engine.config.cgroup_parent.is_empty() {
        return;
    }
    let Ok(host) = sys::cgroup::Host::get() else { return };
    let parent = engine.config.cgroup_parent();
    let relative = parent.trim_matches('/');
    let mounts = host.v1.iter().map(|hierarchy| &hierarchy.mount).chain(host.unified.iter());
    let mut orphans = HashSet::new();
    for entries in mounts.filter_map(|mount| fs::read_dir(mount.join(relative)).ok()) {
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_id = name.len() == 64 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
            if is_id && !live.contains(&name) {
                orphans.insert(name);
            }
        }
    }
    for name in orphans {
        if let Err(error) = remove_cgroup(&format!("/{relative}/{name}")) {
            tracing::warn!(cgroup = %name, %error, "an orphaned cgroup stays");
        }
    }
}
