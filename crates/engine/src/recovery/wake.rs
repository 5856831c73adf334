//! What runs again when the daemon starts, each container behind those that it can't start without.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::container::HostConfig;
use crate::container::mode::{self, IpcMode, NamespaceMode, NetworkMode};
use crate::container::registry::Entry;
use crate::container::task::Request;
use crate::engine::Inner;

/// How long a container waits for another one, as Docker: longer than a start takes, and no circle holds for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// The containers that are to be started, and whether that is over (well or not).
type Starts = Arc<BTreeMap<String, watch::Sender<bool>>>;

/// Starts these containers. Returns at once.
pub(super) fn wake(engine: &Arc<Inner>, entries: Vec<Arc<Entry>>) {
    let starts: Starts =
        Arc::new(entries.iter().map(|entry| (entry.id.clone(), watch::Sender::new(false))).collect());
    for entry in entries {
        tokio::spawn(start(Arc::clone(engine), entry, Arc::clone(&starts)));
    }
}

async fn start(engine: Arc<Inner>, entry: Arc<Entry>, starts: Starts) {
    let container = entry.snapshot();
    let linked = container.links.iter().map(|link| link.target.clone());
    for name in needed(&container.host).into_iter().chain(linked) {
        let Ok(other) = engine.containers.find(&name) else { continue };
        if let Some(over) = starts.get(&other.id).filter(|_| other.id != entry.id) {
            // past it the start says what is missing
            let _ = tokio::time::timeout(PATIENCE, over.subscribe().wait_for(|over| *over)).await;
        }
    }
    let between_runs = container.state.is_restarting();
    let started = entry.ask(if between_runs { Request::Restart } else { Request::Start }).await;
    if let Err(error) = started {
        tracing::warn!(container = %entry.id, %error, "the container was not started again");
    }
    if let Some(over) = starts.get(&entry.id) {
        over.send_replace(true);
    }
}

/// Names of the containers whose namespaces a container joins.
fn needed(host: &HostConfig) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(NetworkMode::Container(name)) = NetworkMode::parse(&host.network_mode) {
        names.push(name);
    }
    if let Ok(NamespaceMode::Container(name)) = mode::parse_pid(&host.pid_mode) {
        names.push(name);
    }
    if let Ok(IpcMode::Container(name)) = mode::parse_ipc(&host.ipc_mode, "") {
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_needed_for_their_namespaces() {
        let host = HostConfig {
            network_mode: "container:a".to_owned(),
            ipc_mode: "container:b".to_owned(),
            pid_mode: "host".to_owned(),
            ..HostConfig::default()
        };
        assert_eq!(needed(&host), ["a", "b"]);
        assert!(needed(&HostConfig::default()).is_empty());
    }
}
