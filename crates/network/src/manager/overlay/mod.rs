//! Networks that several machines share: what is told of them, and making the kernel agree.

mod secure;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use super::Network;
use super::state::{Net, State};
use crate::definition::{CreateRequest, Definition};
use crate::driver::overlay::{self, Bounds, Change, Overlay, Shared, Tables, Tunnel, Underlay};
use crate::error::{Error, Result};
use crate::ipam::{Pool, SubnetRequest};
use crate::model::NetworkInfo;
use crate::overlay::{Host, Hosts, MAX_VNI, OverlayNetwork, OverlaySubnet, Peer, PeerChange};

/// Names of one peer at most, and the longest (RFC 1035).
const MAX_NAMES: usize = 128;
const MAX_NAME: usize = 253;
/// Peers on one network at most: those beyond are not reached.
const MAX_PEERS: usize = 1 << 16;

/// What this machine is told of others.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    /// `None` until it is told.
    hosts: Option<Hosts>,
    /// By the network's id.
    told: HashMap<String, Told>,
}

/// What is told of one network.
#[derive(Debug, Default)]
struct Told {
    /// Whoever is not among the peers is gone. Until then what a former daemon left stays.
    complete: bool,
    /// By the endpoint's id.
    peers: BTreeMap<String, Peer>,
    /// The tunnel, and what the kernel knows of those behind it.
    kernel: Option<(Tunnel, Tables)>,
}

impl Cluster {
    /// How tunnels leave this machine, once it is told.
    pub(super) fn underlay(&self, port: u16) -> Option<Underlay> {
        let own = self.hosts.as_ref()?.own.as_ref()?;
        Some(Underlay { local: own.vtep, port, via: None })
    }

    /// Where the other machines' tunnels end. A machine that gives an address which is no other
    /// machine's is not reached.
    pub(super) fn vteps(&self) -> HashMap<&str, IpAddr> {
        let Some(hosts) = &self.hosts else { return HashMap::new() };
        let own = hosts.own.as_ref().map(|own| own.vtep);
        let good = |ip: &IpAddr| {
            let usable = !ip.is_unspecified() && !ip.is_multicast() && !ip.is_loopback();
            usable && own.is_none_or(|own| own != *ip && own.is_ipv4() == ip.is_ipv4())
        };
        let others = hosts.others.iter().filter(|host| good(&host.vtep));
        others.map(|host| (host.id.as_str(), host.vtep)).collect()
    }
}

impl Cluster {
    /// All machines.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().flat_map(|hosts| hosts.own.iter().chain(&hosts.others))
    }

    /// All others.
    pub(super) fn others(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().flat_map(|hosts| &hosts.others)
    }
}

impl Network {
    pub(crate) fn define_shared(&self, network: &OverlayNetwork) -> Result<NetworkInfo> {
        let definition = define(network)?;
        let mut state = self.state();
        if let Some(net) = state.nets.get(&network.id) {
            if net.definition.as_ref() == Some(&definition) {
                return Ok(net.info(&network.id));
            }
            self.redefine(&mut state, definition)?;
        } else {
            state.check_name(&network.name)?;
            state.check_bridge(&network.id, &definition.bridge_name())?;
            if network.subnets.iter().any(|subnet| state.overlaps(subnet.subnet)) {
                return Err(Error::PoolOverlap);
            }
            definition.write(&self.config.data_dir)?;
            state.nets.insert(network.id.clone(), Net::of(definition, &self.config));
        }
        Ok(state.net(&network.id)?.info(&network.id))
    }

    /// Something of a network has changed: a label, or all of it.
    fn redefine(&self, state: &mut State, definition: Definition) -> Result<()> {
        let id = definition.id.clone();
        let net = state.net(&id)?;
        let Some(known) = net.definition.as_ref().filter(|known| known.shared.is_some()) else {
            return Err(Error::Forbidden(format!("network {} is this machine's own", net.name)));
        };
        let same = known.shared == definition.shared
            && known.pools == definition.pools
            && known.internal == definition.internal
            && known.options == definition.options;
        if !same {
            let name = net.name.clone();
            if state.placed().any(|(_, endpoint)| endpoint.network_id == id) {
                return Err(Error::InUse { name, id });
            }
            net.driver.take_down(&mut self.host(), &self.owner)?;
        }
        definition.write(&self.config.data_dir)?;
        let mut anew = Net::of(definition, &self.config);
        if let Some(net) = state.nets.get_mut(&id).filter(|_| same) {
            anew.up = net.up.take();
        }
        state.nets.insert(id.clone(), anew);
        if same { Ok(()) } else { self.retire_wireguard(state).map(drop).and(self.apply_rules(state)) }
    }

    pub(crate) fn forget_shared(&self, id: &str) -> Result<()> {
        let shared = {
            let state = self.state();
            state.nets.get(id).is_some_and(|net| net.driver.overlay().is_some())
        };
        if !shared {
            return Ok(());
        }
        self.remove(id)?;
        let mut state = self.state();
        if let Some(told) = state.cluster.told.remove(id) {
            let mut names = self.names_mut();
            told.peers.keys().for_each(|peer| names.leave(&key(peer), id));
        }
        Ok(())
    }

    pub(crate) fn shared(&self) -> Vec<OverlayNetwork> {
        let state = self.state();
        state.nets.values().filter_map(|net| describe(net.definition.as_ref()?)).collect()
    }

    pub(crate) fn told_hosts(&self, hosts: &Hosts) -> Result<()> {
        let mut state = self.state();
        if state.cluster.hosts.as_ref() == Some(hosts) {
            return Ok(());
        }
        let before = state.cluster.underlay(self.config.vxlan_port);
        state.cluster.hosts = Some(hosts.clone());
        let moved = state.cluster.underlay(self.config.vxlan_port) != before;
        let up: Vec<_> = state
            .nets
            .iter()
            .filter(|(_, net)| net.up.is_some() && net.driver.overlay().is_some())
            .map(|(id, _)| id.clone())
            .collect();
        let mut outcome = Ok(());
        for id in up.iter().filter(|_| moved) {
            outcome = outcome.and(self.retunnel(&mut state, id));
        }
        outcome = outcome.and(self.tell_wireguard(&state));
        for id in up {
            outcome = outcome.and(self.agree(&mut state, &id));
        }
        outcome
    }

    /// The tunnel of a network that is up leaves this machine in another way than it did.
    fn retunnel(&self, state: &mut State, id: &str) -> Result<()> {
        let driver = state.net(id)?.driver.clone();
        let segment = driver.bring_up(&mut self.host(), &self.setting(state, false))?;
        if let Some(up) = &mut state.net_mut(id)?.up {
            up.segment = segment;
        }
        Ok(())
    }

    pub(crate) fn told_peers(&self, id: &str, changes: &[PeerChange]) -> Result<()> {
        let mut state = self.state();
        let named = state.shared_net(id)?;
        let mut names = self.names_mut();
        let told = state.cluster.told.entry(id.to_owned()).or_default();
        // First, as an address may be another's by now.
        for change in changes {
            let (PeerChange::Remove(gone) | PeerChange::Upsert(Peer { endpoint_id: gone, .. })) = change;
            if told.peers.remove(gone).is_some() {
                names.leave(&key(gone), id);
            }
        }
        for change in changes {
            let PeerChange::Upsert(peer) = change else { continue };
            if told.peers.len() >= MAX_PEERS {
                tracing::warn!(
                    network = named.name,
                    "more than {MAX_PEERS} peers: {} is left out",
                    peer.endpoint_id
                );
                continue;
            }
            named.introduce(&mut names, id, peer);
            told.peers.insert(peer.endpoint_id.clone(), peer.clone());
        }
        drop(names);
        self.agree(&mut state, id)
    }

    pub(crate) fn told_all_peers(&self, id: &str, peers: &[Peer]) -> Result<()> {
        let listed: HashSet<_> = peers.iter().map(|peer| peer.endpoint_id.as_str()).collect();
        let mut changes: Vec<_> = {
            let mut state = self.state();
            state.shared_net(id)?;
            let told = state.cluster.told.entry(id.to_owned()).or_default();
            told.complete = true;
            let gone = told.peers.keys().filter(|known| !listed.contains(known.as_str()));
            gone.map(|gone| PeerChange::Remove(gone.clone())).collect()
        };
        changes.extend(peers.iter().cloned().map(PeerChange::Upsert));
        self.told_peers(id, &changes)
    }

    /// Makes the kernel's entries of a network say what was told. Nothing happens while the network is
    /// not up here or the machines are not known.
    pub(super) fn agree(&self, state: &mut State, id: &str) -> Result<()> {
        let Some((wanted, bounds)) = state.wanted(id) else { return Ok(()) };
        let net = state.net(id)?;
        let (Some(overlay), Some(up)) = (net.driver.overlay(), &net.up) else { return Ok(()) };
        let mut host = self.host();
        let Some(tunnel) = Overlay::find(overlay, &host, &up.segment, &self.wireguard) else { return Ok(()) };
        let told = state.cluster.told.entry(id.to_owned()).or_default();
        let known = match &mut told.kernel {
            Some((known, tables)) if *known == tunnel => tables,
            // As a former daemon left it, or somebody else.
            other => &mut other.insert((tunnel, overlay::read(&mut host, tunnel)?)).1,
        };
        let changes = known.changes(&wanted, !told.complete);
        // The address has become a container's here, whose entry is in its place.
        let ours = |change: &Change| matches!(change, Change::NoNeighbour(ip) if bounds.ips.contains(ip));
        let (stale, changes): (Vec<_>, Vec<_>) = changes.into_iter().partition(ours);
        stale.into_iter().for_each(|change| known.note(change));
        overlay::apply(&mut host, tunnel, known, &changes)
    }
}

/// What a network is called, for the directory of names.
struct Named {
    name: String,
    bounds: Bounds,
}

impl Named {
    /// Tells containers here by which names a peer is found.
    fn introduce(&self, names: &mut crate::dns::Directory, id: &str, peer: &Peer) {
        let ips = [peer.ip.map(IpAddr::V4), peer.ip6.map(IpAddr::V6)];
        let ips: Vec<_> = ips.into_iter().flatten().filter(|ip| self.bounds.allow_ip(ip)).collect();
        if ips.is_empty() {
            return;
        }
        let good = |name: &&String| !name.is_empty() && name.len() <= MAX_NAME;
        let called: Vec<_> = peer.names.iter().filter(good).take(MAX_NAMES).cloned().collect();
        names.tell(&self.name, id, &self.bounds.subnets, &key(&peer.endpoint_id), &called, &ips);
    }
}

/// A peer in the directory of names: no container's id can look like it.
fn key(endpoint_id: &str) -> String {
    format!("peer {endpoint_id}")
}

impl State {
    fn shared_net(&self, id: &str) -> Result<Named> {
        let net = self.net(id)?;
        if net.driver.overlay().is_none() {
            return Err(Error::NoSuchNetwork(id.to_owned()));
        }
        Ok(Named { name: net.name.clone(), bounds: self.bounds(id, net) })
    }

    /// The entries that a network is to have; `None` while the machines are not known.
    fn wanted(&self, id: &str) -> Option<(Tables, Bounds)> {
        let net = self.nets.get(id).filter(|net| net.driver.overlay().is_some())?;
        self.cluster.hosts.as_ref()?;
        let bounds = self.bounds(id, net);
        let peers = self.cluster.told.get(id).into_iter().flat_map(|told| told.peers.values());
        // An encrypted network has no other ends than those within WireGuard.
        let ends = if net.encrypted() { self.cluster.tunnels() } else { self.cluster.vteps() };
        Some((Tables::wanted(peers, &ends, &bounds), bounds))
    }

    /// What no peer on this network may claim.
    fn bounds(&self, id: &str, net: &Net) -> Bounds {
        let here = || self.placed().filter(|(_, endpoint)| endpoint.network_id == id).map(|(_, e)| e);
        let mut ips: BTreeSet<_> =
            here().flat_map(|endpoint| endpoint.addresses().map(|address| address.addr())).collect();
        let pools = net.definition.iter().flat_map(|definition| &definition.pools);
        ips.extend(pools.filter_map(|pool| pool.gateway));
        let mut macs: BTreeSet<_> = here().map(|endpoint| endpoint.mac).collect();
        macs.extend(net.driver.overlay().map(|overlay| overlay.gateway_mac));
        Bounds { subnets: net.subnets.clone(), ips, macs }
    }
}

/// The record of a shared network, every value checked.
fn define(network: &OverlayNetwork) -> Result<Definition> {
    let wrong = |what: String| Error::Invalid(format!("network {}: {what}", shown(&network.name)));
    let digits = network.id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if network.id.len() != 64 || !digits {
        return Err(wrong("its id is not 64 hex digits".to_owned()));
    }
    if !(1..=MAX_VNI).contains(&network.vni) {
        return Err(wrong(format!("its number {} is not 1 to {MAX_VNI}", network.vni)));
    }
    if network.mtu.is_some_and(|mtu| !(68..=65_535).contains(&mtu)) {
        return Err(wrong(format!("invalid MTU: {:?}", network.mtu)));
    }
    overlay::read_options(&network.options)?;
    let [v4, v6] = [true, false]
        .map(|v4| network.subnets.iter().filter(|subnet| subnet.subnet.addr().is_ipv4() == v4).count());
    if v4 > 1 || v6 > 1 || v4 + v6 == 0 {
        return Err(wrong("it must have one subnet of a family".to_owned()));
    }
    if let Some(bad) = network.subnets.iter().find(|subnet| !fits(subnet)) {
        return Err(wrong(format!("addresses do not belong to its subnet {}", bad.subnet)));
    }
    let request = CreateRequest {
        name: network.name.clone(),
        driver: "overlay".to_owned(),
        scope: "global".to_owned(),
        enable_ipv4: v4 == 1,
        enable_ipv6: v6 == 1,
        subnets: if network.subnet_chosen { network.subnets.iter().map(asked).collect() } else { Vec::new() },
        internal: network.internal,
        attachable: network.attachable,
        options: network.options.clone(),
        labels: network.labels.clone(),
        ..CreateRequest::default()
    };
    crate::manager::create::check(&request)?;
    let pools = network.subnets.iter().map(|subnet| Pool {
        subnet: subnet.subnet.trunc(),
        ip_range: subnet.ip_range,
        gateway: Some(subnet.gateway),
        aux: subnet.aux.clone(),
    });
    let mut definition = Definition::new(network.id.clone(), network.created_ms, request, pools.collect());
    let (vni, mtu, encrypted) = (network.vni, network.mtu, network.encrypted);
    definition.shared = Some(Shared { vni, mtu, encrypted });
    Ok(definition)
}

/// Every address lies in the subnet, and the gateway is a host's.
fn fits(subnet: &OverlaySubnet) -> bool {
    let net = subnet.subnet.trunc();
    let host = subnet.gateway != net.network() && subnet.gateway != net.broadcast();
    let aux = subnet.aux.len() <= MAX_NAMES && subnet.aux.values().all(|ip| net.contains(ip));
    host && aux && net.contains(&subnet.gateway) && subnet.ip_range.is_none_or(|range| net.contains(&range))
}

fn asked(subnet: &OverlaySubnet) -> SubnetRequest {
    SubnetRequest {
        subnet: subnet.subnet.to_string(),
        ip_range: subnet.ip_range.map(|range| range.to_string()).unwrap_or_default(),
        gateway: subnet.gateway.to_string(),
        aux: subnet.aux.iter().map(|(name, ip)| (name.clone(), ip.to_string())).collect(),
    }
}

/// The inverse of [`define`].
fn describe(made: &Definition) -> Option<OverlayNetwork> {
    let shared = made.shared.as_ref()?;
    let subnet = |pool: &Pool| {
        let (ip_range, aux) = (pool.ip_range, pool.aux.clone());
        Some(OverlaySubnet { subnet: pool.subnet, ip_range, gateway: pool.gateway?, aux })
    };
    Some(OverlayNetwork {
        id: made.id.clone(),
        name: made.name.clone(),
        created_ms: made.created_ms,
        vni: shared.vni,
        mtu: shared.mtu,
        encrypted: shared.encrypted,
        subnets: made.pools.iter().filter_map(subnet).collect(),
        internal: made.internal,
        attachable: made.attachable,
        options: made.options.clone(),
        labels: made.labels.clone(),
        subnet_chosen: !made.asked.is_empty(),
    })
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod secure_tests;
