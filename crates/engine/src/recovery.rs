//! The start of an engine: find every container again, ask the shims for the truth, sweep what nobody owns. Running
//! containers are never stopped. Everything here may be repeated.

mod wake;

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;

use shim::protocol::{ExitRecord, HelloReply, Status as ShimStatus};
use sys::cgroup::{Cgroup, CgroupPath};

use crate::config::CgroupDriver;
use crate::container::record::{self, Durability};
use crate::container::task::{
    Request, Task, blocking, health_at_rest, initial_health, lost, remove_shim_directory,
};
use crate::container::{Container, Exited, RestartPolicy, Running, State, conclude, starts_with_daemon};
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::shim::{Events, ShimHandle};

/// Finds everything again.
///
/// # Errors
/// The containers' directory can't be read. A single container that can't be read is reported and left alone.
pub(crate) async fn recover(engine: &Arc<Inner>) -> Result<()> {
    // Before anything is put back, so that nothing that is lost in the meantime stays so.
    crate::network::guard(engine);
    let found = {
        let engine = Arc::clone(engine);
        blocking(move || read_all(&engine)).await?
    };
    let mut adopted = Vec::new();
    for container in found.containers {
        adopted.push(tokio::spawn(adopt(Arc::clone(engine), container)));
    }
    let mut again = Vec::new();
    for container in adopted {
        match container.await {
            Ok(entry) => again.extend(entry),
            Err(error) => tracing::error!(%error, "a container could not be taken over"),
        }
    }
    let sweeping = Arc::clone(engine);
    let swept = blocking(move || {
        sweep(&sweeping, &found.unreadable);
        Ok(())
    })
    .await;
    crate::network::cluster::start(engine);
    engine.set_swept();
    swept?;
    wake::wake(engine, again);
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
                record::keep_own(engine, &id);
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
    let connected = ShimHandle::connect(&state_dir).await;
    // not before: a shim that answers has done what the last daemon has asked
    sweep_checkpoints(&engine, &container.id).await;
    match connected {
        Ok((shim, events, mut hello)) if is_live(&hello) => {
            thaw_unasked(&shim, &container, &mut hello).await;
            live(&engine, &mut container, &hello).await;
            crate::network::sockets::resume(&engine, &container, &shim).await;
            crate::network::resolver::resume(&engine, &container, &shim).await;
            Task::spawn(&engine, container, Some((shim, events)));
            None
        }
        Ok((shim, events, hello)) => {
            drop_shim(shim, events).await;
            ended(&engine, container, hello.state.exit, false).await
        }
        Err(_) => {
            // the directory lies on a file system that goes with the machine, and goes itself when an end is noted
            let machine_restarted = !state_dir.exists();
            ended(&engine, container, None, machine_restarted).await
        }
    }
}

/// A freeze that nobody asked to last: a daemon was killed in the middle of a commit, or before it had answered.
async fn thaw_unasked(shim: &ShimHandle, container: &Container, hello: &mut HelloReply) {
    if hello.state.status != ShimStatus::Paused || container.state.is_paused() {
        return;
    }
    match shim.resume().await {
        Ok(()) => hello.state.status = ShimStatus::Running,
        Err(error) => {
            tracing::warn!(container = %container.id, %error, "a frozen container could not be thawed")
        }
    }
}

async fn sweep_checkpoints(engine: &Arc<Inner>, id: &str) {
    let (layout, own) = (engine.layout.clone(), id.to_owned());
    let swept = blocking(move || crate::container::checkpoint::sweep(&layout, &own)).await;
    if let Err(error) = swept {
        tracing::warn!(container = %id, %error, "a half-made checkpoint could not be swept");
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

/// A shim, or the record that it left, tells of a run. Whether that is news: the last daemon was killed after it had
/// begun the run and before it could note so.
fn is_news(container: &mut Container, run: u64) -> bool {
    if run <= container.run {
        return false;
    }
    container.run = run;
    if !container.state.is_restarting() {
        // it was begun by hand
        container.restart_count = 0;
        (container.stopped_by_hand, container.restart_cancelled) = (false, false);
    }
    true
}

/// The shim says that it runs.
async fn live(engine: &Arc<Inner>, container: &mut Container, hello: &HelloReply) {
    let before = container.clone();
    if is_news(container, hello.state.run) {
        container.health = initial_health(container);
    }
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
    told: Option<ExitRecord>,
    machine_restarted: bool,
) -> Option<Arc<crate::container::registry::Entry>> {
    let before = container.clone();
    let (inner, id) = (Arc::clone(engine), container.id.clone());
    let told = match told {
        Some(told) => Some(told),
        None => blocking(move || Ok(record::read_exit(&inner.layout, &id))).await.ok().flatten(),
    };
    take_end(&mut container, told, machine_restarted);
    container.network = crate::network::at_rest(&container.network);
    let directory = engine.layout.shim(&container.id);
    if container == before {
        remove_shim_directory(&directory);
        return settle(engine, container).await;
    }
    container.health = container.health.take().map(health_at_rest);
    let (inner, snapshot) = (Arc::clone(engine), container.clone());
    let settled = blocking(move || {
        kill_leftovers(&inner, &snapshot);
        if let Err(error) = crate::network::detach(&inner, &snapshot.id) {
            tracing::warn!(container = %snapshot.id, %error, "the network was not given back whole");
        }
        record::write(&inner.layout, &snapshot, Durability::Disk)
    })
    .await;
    if let Err(error) = settled {
        tracing::error!(container = %container.id, %error, "the record could not be written");
    }
    // Not before the end is on disk: to a daemon that finds neither, the machine has restarted.
    remove_shim_directory(&directory);
    settle(engine, container).await
}

/// Puts the end of a run into a container that does not run, once: an end that was noted changes nothing. Pure.
fn take_end(container: &mut Container, told: Option<ExitRecord>, machine_restarted: bool) {
    let started_at = container.state.started_at();
    let waited_for = container.state.running().is_some();
    let news = told.as_ref().is_some_and(|told| is_news(container, told.run));
    match told.filter(|told| told.run == container.run) {
        Some(told) if news || waited_for => {
            let started_at = told.started_at.or(started_at);
            conclude(container, Exited { started_at, ..Exited::from(told) });
        }
        _ if waited_for => {
            let lost = Exited { started_at, ..Exited::from(lost()) };
            if machine_restarted {
                // as in Docker: no end of its own
                conclude(container, Exited { code: MACHINE_RESTARTED, error: String::new(), ..lost });
                container.restart_count = 0;
            } else {
                conclude(container, lost);
            }
        }
        _ => {
            if let State::Removing(exit) = &container.state {
                container.state = State::Exited(exit.clone());
            }
        }
    }
}

/// Docker's exit code of a container that ran when the machine went down.
const MACHINE_RESTARTED: i32 = 255;

/// Gone (`--rm`), to be started (restart policy), or at rest.
async fn settle(engine: &Arc<Inner>, container: Container) -> Option<Arc<crate::container::registry::Entry>> {
    let again = container.state.is_restarting() || starts_with_daemon(&container);
    let remove = container.host.auto_remove && container.host.restart_policy == RestartPolicy::No;
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
    if !engine.host.cgroups {
        return;
    }
    let by_systemd = engine.config.cgroup_driver == CgroupDriver::Systemd;
    let cgroup = Cgroup::whole_of_container(&engine.cgroup_path(container), by_systemd);
    if let Err(error) = remove_cgroup(cgroup) {
        tracing::warn!(container = %container.id, %error, "the cgroup could not be removed");
    }
}

/// How long killed processes may take to go.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

fn remove_cgroup(opened: std::result::Result<Cgroup, sys::cgroup::Error>) -> Result<()> {
    // one that is not there is as good as removed
    let Ok(cgroup) = opened else { return Ok(()) };
    let failed =
        |error: sys::cgroup::Error| Error::because(format!("remove cgroup {}", cgroup.path()), error);
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
    crate::volume::sweep(&engine.layout);
    crate::trust::sweep(engine);
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
        let cgroup = CgroupPath::new(&format!("/{relative}/{name}")).and_then(|path| Cgroup::open(&path));
        if let Err(error) = remove_cgroup(cgroup) {
            tracing::warn!(cgroup = %name, %error, "an orphaned cgroup stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::container::{HostConfig, sample};

    fn running(run: u64) -> Container {
        let host = HostConfig { restart_policy: RestartPolicy::Always, ..HostConfig::default() };
        let mut container = sample(Default::default(), host);
        container.run = run;
        container.state = State::Running(Running { pid: 1, started_at: Timestamp::now() });
        container
    }

    fn end(run: u64) -> Option<ExitRecord> {
        Some(ExitRecord { code: 3, run, ..lost() })
    }

    #[test]
    fn an_end_counts_once() {
        let mut container = running(4);
        take_end(&mut container, end(4), false);
        assert_eq!((container.restart_count, container.state.exit_code()), (1, 3));
        assert!(container.state.is_restarting());
        // the daemon is killed before the next start, or after it
        take_end(&mut container, end(4), false);
        assert_eq!(container.restart_count, 1);
        take_end(&mut container, end(5), false);
        assert_eq!((container.restart_count, container.run), (2, 5));
    }

    #[test]
    fn the_record_of_an_older_run_is_no_end_of_this_one() {
        let mut container = running(4);
        take_end(&mut container, end(3), false);
        assert_eq!((container.state.exit_code(), container.restart_count), (lost().code, 1));
        let mut container = running(4);
        container.restart_count = 6;
        take_end(&mut container, None, true);
        assert_eq!((container.state.exit_code(), container.restart_count), (255, 0));
    }

    #[test]
    fn a_start_by_hand_that_nobody_has_noted_begins_the_count_anew() {
        let mut container = running(4);
        container.state = State::Exited(Exited::default());
        (container.restart_count, container.stopped_by_hand) = (9, true);
        container.restart_cancelled = true;
        assert!(is_news(&mut container, 5) && !is_news(&mut container, 5));
        assert_eq!((container.restart_count, container.stopped_by_hand), (0, false));
        assert!(!container.restart_cancelled);
    }
}
