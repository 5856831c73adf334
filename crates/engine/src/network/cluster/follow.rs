//! What other machines do, brought to this one's kernel and directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ::cluster::{Changes, EndpointChange, Lost, View};
use ::network::{Hosts, PeerChange};

use super::{Part, convert};
use crate::container::task::{Request, blocking};
use crate::engine::Inner;

/// Begins to take part: after every living container was taken over, so that nothing of theirs is swept.
pub(crate) fn start(engine: &Arc<Inner>) {
    let Some(part) = &engine.cluster else { return };
    part.cluster.start();
    tokio::spawn(follow(Arc::clone(engine)));
    if let Some(lost) = part.listen() {
        tokio::spawn(leave_lost(Arc::clone(engine), lost));
    }
}

async fn follow(engine: Arc<Inner>) {
    let mut closing = engine.closing.subscribe();
    let Some(part) = &engine.cluster else { return };
    let (mut updates, mut follower) = (part.cluster.updates(), Follower::default());
    loop {
        let update = tokio::select! {
            update = updates.next() => update,
            _ = closing.wait_for(|closing| *closing) => break,
        };
        let Some((view, changes)) = update else { break };
        let revision = view.revision;
        if follower.begun && changes.is_empty() && follower.refused.is_empty() {
            part.applied.send_replace(revision);
            continue;
        }
        let engine = Arc::clone(&engine);
        let applied = blocking(move || {
            if let Some(part) = &engine.cluster {
                follower.apply(&engine, part, &view, &changes);
            }
            Ok(follower)
        });
        match applied.await {
            Ok(applied) => {
                follower = applied;
                part.applied.send_replace(revision);
            }
            Err(error) => {
                tracing::error!(%error, "what other hosts do could not be followed");
                follower = Follower::default();
            }
        }
    }
    part.cluster.close();
}

/// How far this machine agrees with what it was told.
#[derive(Default)]
struct Follower {
    /// Something was applied.
    begun: bool,
    /// Networks whose peers are known to the kernel as they were told last.
    told: BTreeSet<String>,
    /// Networks that can't be had here, and why, as it was said last.
    refused: BTreeMap<String, String>,
}

impl Follower {
    fn apply(&mut self, engine: &Inner, part: &Part, view: &View, changes: &Changes) {
        self.begun = true;
        let own = part.cluster.host();
        if let Some(hosts) = &changes.hosts {
            let others =
                hosts.iter().filter(|host| host.id != own.id).map(|host| convert::host(host)).collect();
            let hosts = Hosts { own: Some(convert::host(&own)), others };
            if let Err(error) = engine.network.set_hosts(&hosts) {
                tracing::error!(%error, "tunnels to other hosts are not as they should be");
            }
        }
        forget(engine, view);
        for gone in &changes.networks_gone {
            self.told.remove(gone);
        }
        for network in &changes.networks {
            self.told.remove(&network.id);
        }
        self.refused.retain(|id, _| view.networks.contains_key(id));
        let again: Vec<_> = self.refused.keys().filter_map(|id| view.networks.get(id)).collect();
        for network in changes.networks.iter().chain(again) {
            self.define(engine, network);
        }
        for id in view.networks.keys() {
            if self.refused.contains_key(id) {
                continue;
            }
            if !self.told.contains(id) {
                self.tell_all(engine, view, id, &own.id);
            } else if let Some(changes) = changes.endpoints.get(id) {
                self.tell(engine, id, changes, &own.id);
            }
        }
    }

    /// Makes a network known here. One that clashes with another of this machine's is tried again with each change, and
    /// told of once.
    fn define(&mut self, engine: &Inner, network: &::cluster::Network) {
        let Err(error) = engine.network.define_overlay(&convert::overlay(network)) else {
            self.refused.remove(&network.id);
            return;
        };
        let why = error.to_string();
        if self.refused.get(&network.id) != Some(&why) {
            tracing::error!(network = %network.name, id = %network.id, %why, "a shared network can't be had here");
            self.refused.insert(network.id.clone(), why);
        }
    }

    /// Tells of all peers of a network: whoever is not among them is gone.
    fn tell_all(&mut self, engine: &Inner, view: &View, id: &str, own: &str) {
        let all = view.endpoints(id);
        let others = all.values().filter(|endpoint| endpoint.host != own);
        let peers: Vec<_> = others.filter_map(|endpoint| convert::peer(endpoint)).collect();
        match engine.network.replace_peers(id, &peers) {
            Ok(()) => drop(self.told.insert(id.to_owned())),
            Err(error) => tracing::warn!(network = %id, %error, "other hosts' containers can't be reached"),
        }
    }

    fn tell(&mut self, engine: &Inner, id: &str, changes: &[EndpointChange], own: &str) {
        let change = |change: &EndpointChange| match change {
            EndpointChange::Put(endpoint) if endpoint.host == own => None,
            EndpointChange::Put(endpoint) => convert::peer(endpoint).map(PeerChange::Upsert),
            EndpointChange::Gone(endpoint) => Some(PeerChange::Remove(endpoint.clone())),
        };
        let changes: Vec<_> = changes.iter().filter_map(change).collect();
        if let Err(error) = engine.network.set_peers(id, &changes) {
            tracing::warn!(network = %id, %error, "other hosts' containers are not reached as they should be");
            self.told.remove(id);
        }
    }
}

/// Networks that are no more, unless containers here are still on them.
fn forget(engine: &Inner, view: &View) {
    for network in engine.network.overlays() {
        if view.networks.contains_key(&network.id) {
            continue;
        }
        match engine.network.forget_overlay(&network.id) {
            Ok(()) => {
                crate::network::publish(engine, "destroy", &network.id, &network.name, super::DRIVER, None)
            }
            Err(error) => tracing::error!(
                network = %network.name, id = %network.id, %error,
                "a network is gone from the cluster store while containers of this host are on it"
            ),
        }
    }
}

/// Containers whose address was given to others while this machine counted as dead leave the network.
async fn leave_lost(engine: Arc<Inner>, mut lost: tokio::sync::mpsc::UnboundedReceiver<Lost>) {
    while let Some(lost) = lost.recv().await {
        let Ok(entry) = engine.containers.find(&lost.container) else { continue };
        let snapshot = entry.snapshot();
        let mut ends = snapshot.network.networks.iter();
        let Some((network, _)) = ends.find(|(_, end)| end.network_id == lost.network) else { continue };
        let network = network.clone();
        let left = entry.ask(|reply| Request::Disconnect { network: network.clone(), reply }).await;
        match left {
            Ok(()) => tracing::error!(
                container = %lost.container, %network, ip = %lost.ip, holder = %lost.holder, host = %lost.host,
                "disconnected: its address is another container's; connect it again to get a new one"
            ),
            Err(error) => tracing::error!(
                container = %lost.container, %network, ip = %lost.ip, %error,
                "its address is another container's, and it could not be disconnected"
            ),
        }
    }
}
