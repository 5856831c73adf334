//! What the store holds, as far as this machine was told, and what has changed between two states of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::keys::{Key, Keys};
use crate::model::{Claim, Endpoint, Host, Network, Unfit, Value};

/// Keys that are kept, at most.
const MAX_KEYS: usize = 500_000;

/// The state of the store at one revision. Cloning it costs little.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The revision.
    pub revision: i64,
    /// Networks, by id.
    pub networks: BTreeMap<String, Arc<Network>>,
    /// Machines that live, by id.
    pub hosts: BTreeMap<String, Arc<Host>>,
    /// Who is on a network, by its id.
    rooms: BTreeMap<String, Arc<Room>>,
    keys: usize,
}

/// Who is on one network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) claims: BTreeMap<IpAddr, Arc<Claim>>,
    pub(crate) endpoints: BTreeMap<String, Arc<Endpoint>>,
}

/// What has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Networks that are new or other than they were.
    pub networks: Vec<Arc<Network>>,
    /// Ids of those that are gone.
    pub networks_gone: Vec<String>,
    /// The machines: all of them, if one has changed.
    pub hosts: Option<Vec<Arc<Host>>>,
    /// Endpoints by the network's id; those of networks that are gone are left out.
    pub endpoints: BTreeMap<String, Vec<EndpointChange>>,
}

/// What has become of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointChange {
    /// It is there, and so it is.
    Put(Arc<Endpoint>),
    /// It is gone; its id.
    Gone(String),
}

impl Changes {
    /// Nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl View {
    /// Takes a key's new value, or that it is gone.
    ///
    /// # Errors
    /// A value that we would not have written: the key counts as gone.
    pub(crate) fn apply(&mut self, keys: &Keys, key: &[u8], value: Option<&[u8]>) -> Result<(), Unfit> {
        let Some(read) = keys.read(key) else { return Err(Unfit("no key of ours".to_owned())) };
        let full = value.is_some() && self.keys >= MAX_KEYS;
        let value = value.filter(|_| !full);
        let result = match read {
            Key::Index => Ok(()),
            Key::Network(id) => {
                let value = value.map(|text| Network::read(&id, text)).transpose();
                put(&mut self.networks, &mut self.keys, id, value)
            }
            Key::Host(id) => {
                let value = value.map(|text| Host::read(&id, text)).transpose();
                put(&mut self.hosts, &mut self.keys, id, value)
            }
            Key::Claim { network, ip } => {
                let value = value.map(|text| Claim::read("", text)).transpose();
                self.in_room(&network, |room, count| put(&mut room.claims, count, ip, value))
            }
            Key::Endpoint { network, endpoint } => {
                let value = value.map(|text| Endpoint::read(&endpoint, text)).transpose();
                self.in_room(&network, |room, count| put(&mut room.endpoints, count, endpoint, value))
            }
        };
        if full { Err(Unfit(format!("there are more than {MAX_KEYS} keys"))) } else { result }
    }

    fn in_room(
        &mut self,
        network: &str,
        change: impl FnOnce(&mut Room, &mut usize) -> Result<(), Unfit>,
    ) -> Result<(), Unfit> {
        let room = self.rooms.entry(network.to_owned()).or_default();
        let result = change(Arc::make_mut(room), &mut self.keys);
        if room.claims.is_empty() && room.endpoints.is_empty() {
            self.rooms.remove(network);
        }
        result
    }

    /// Who has an address.
    pub(crate) fn claim(&self, network: &str, ip: IpAddr) -> Option<&Arc<Claim>> {
        self.rooms.get(network)?.claims.get(&ip)
    }

    /// Whether an endpoint is there as it is.
    pub(crate) fn knows(&self, network: &str, endpoint: &Endpoint) -> bool {
        let room = self.rooms.get(network);
        room.and_then(|room| room.endpoints.get(&endpoint.id)).is_some_and(|known| **known == *endpoint)
    }

    /// The claims and endpoints of every network.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = (&String, &Room)> {
        self.rooms.iter().map(|(network, room)| (network, room.as_ref()))
    }

    /// The endpoints of a network, by id; those whose addresses are not the network's are left out.
    pub fn endpoints(&self, network: &str) -> BTreeMap<&str, &Arc<Endpoint>> {
        let (Some(network), Some(room)) = (self.networks.get(network), self.rooms.get(network)) else {
            return BTreeMap::new();
        };
        let fit = room.endpoints.iter().filter(|(_, endpoint)| network.takes(endpoint));
        fit.map(|(id, endpoint)| (id.as_str(), endpoint)).collect()
    }

    /// What has changed since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Changes {
        let changed = |(id, network): &(&String, &Arc<Network>)| before.networks.get(*id) != Some(*network);
        let mut changes = Changes {
            networks: self.networks.iter().filter(changed).map(|(_, network)| Arc::clone(network)).collect(),
            networks_gone: before
                .networks
                .keys()
                .filter(|id| !self.networks.contains_key(*id))
                .cloned()
                .collect(),
            hosts: (self.hosts != before.hosts).then(|| self.hosts.values().cloned().collect()),
            endpoints: BTreeMap::new(),
        };
        for (id, network) in &self.networks {
            let same = match (self.rooms.get(id), before.rooms.get(id)) {
                (Some(now), Some(then)) => Arc::ptr_eq(now, then),
                (None, None) => true,
                _ => false,
            };
            if same && before.networks.get(id) == Some(network) {
                continue;
            }
            let (now, then) = (self.endpoints(id), before.endpoints(id));
            let new = now.iter().filter(|(id, endpoint)| then.get(**id) != Some(*endpoint));
            let new = new.map(|(_, endpoint)| EndpointChange::Put(Arc::clone(endpoint)));
            let gone = then.keys().filter(|id| !now.contains_key(**id));
            // what goes, first: somebody else may have its address now
            let list: Vec<_> = gone.map(|id| EndpointChange::Gone((*id).to_owned())).chain(new).collect();
            if !list.is_empty() {
                changes.endpoints.insert(id.clone(), list);
            }
        }
        changes
    }
}

/// Puts a value, or takes the key out. What can't be read counts as gone.
fn put<K: Ord, V>(
    map: &mut BTreeMap<K, Arc<V>>,
    count: &mut usize,
    key: K,
    value: Result<Option<V>, Unfit>,
) -> Result<(), Unfit> {
    let (value, result) = match value {
        Ok(value) => (value, Ok(())),
        Err(unfit) => (None, Err(unfit)),
    };
    let (before, now) = match value {
        Some(value) => (map.insert(key, Arc::new(value)).is_some(), true),
        None => (map.remove(&key).is_some(), false),
    };
    *count = (*count + usize::from(now)).saturating_sub(usize::from(before));
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples::{endpoint, id, network};
    use proptest::prelude::*;

    fn keys() -> Keys {
        Keys::new("p")
    }

    fn put_network(view: &mut View, byte: u8) {
        let key = keys().network(&id(byte));
        view.apply(&keys(), key.as_bytes(), Some(&network(byte).write())).expect("fit");
    }

    fn put_endpoint(view: &mut View, net: u8, byte: u8, ip: [u8; 4]) {
        let key = keys().endpoint(&id(net), &id(byte));
        view.apply(&keys(), key.as_bytes(), Some(&endpoint(byte, ip).write())).expect("fit");
    }

    #[test]
    fn changes_lead_from_one_state_to_the_next() {
        let mut view = View::default();
        put_endpoint(&mut view, 1, 7, [10, 0, 1, 7]);
        let waits = view.clone();
        assert!(waits.since(&View::default()).is_empty(), "its network is not there yet");
        put_network(&mut view, 1);
        let changes = view.since(&waits);
        assert_eq!(changes.networks.len(), 1);
        assert_eq!(changes.endpoints[&id(1)], [EndpointChange::Put(Arc::new(endpoint(7, [10, 0, 1, 7])))]);
        let before = view.clone();
        view.apply(&keys(), keys().endpoint(&id(1), &id(7)).as_bytes(), None).expect("gone");
        put_endpoint(&mut view, 1, 8, [10, 0, 1, 7]);
        let changes = view.since(&before);
        let wanted = [EndpointChange::Gone(id(7)), EndpointChange::Put(Arc::new(endpoint(8, [10, 0, 1, 7])))];
        assert_eq!(changes.endpoints[&id(1)], wanted);
        assert!(changes.networks.is_empty() && changes.hosts.is_none());
        let before = view.clone();
        view.apply(&keys(), keys().network(&id(1)).as_bytes(), None).expect("gone");
        let changes = view.since(&before);
        assert_eq!((changes.networks_gone, changes.endpoints.len()), (vec![id(1)], 0));
    }

    #[test]
    fn an_endpoint_with_an_address_of_another_network_is_none() {
        let mut view = View::default();
        put_network(&mut view, 1);
        put_endpoint(&mut view, 1, 7, [10, 0, 2, 7]);
        put_endpoint(&mut view, 1, 8, [10, 0, 1, 1]);
        assert!(view.endpoints(&id(1)).is_empty());
    }

    #[test]
    fn what_becomes_unreadable_counts_as_gone() {
        let mut view = View::default();
        put_network(&mut view, 1);
        let key = keys().network(&id(1));
        assert!(view.apply(&keys(), key.as_bytes(), Some(b"{")).is_err());
        assert!(view.networks.is_empty() && view.keys == 0);
        assert!(view.apply(&keys(), b"q/v1/hosts/a", Some(b"{}")).is_err());
    }

    proptest! {
        #[test]
        fn the_same_changes_in_any_number_of_steps(steps in proptest::collection::vec((0u8..3, 0u8..5, any::<bool>()), 0..60)) {
            let (mut view, mut seen) = (View::default(), View::default());
            let mut told: BTreeMap<(String, String), Arc<Endpoint>> = BTreeMap::new();
            for (at, (net, byte, there)) in steps.into_iter().enumerate() {
                if byte == 0 {
                    let value = there.then(|| network(net).write());
                    let _ = view.apply(&keys(), keys().network(&id(net)).as_bytes(), value.as_deref());
                } else {
                    let value = there.then(|| endpoint(byte, [10, 0, net, byte + 1]).write());
                    let _ = view.apply(&keys(), keys().endpoint(&id(net), &id(byte)).as_bytes(), value.as_deref());
                }
                if at % 3 == 0 {
                    let changes = view.since(&seen);
                    for gone in &changes.networks_gone {
                        told.retain(|(net, _), _| net != gone);
                    }
                    for (net, list) in changes.endpoints {
                        for change in list {
                            match change {
                                EndpointChange::Put(end) => drop(told.insert((net.clone(), end.id.clone()), end)),
                                EndpointChange::Gone(end) => prop_assert!(told.remove(&(net.clone(), end)).is_some()),
                            }
                        }
                    }
                    seen = view.clone();
                    let now: BTreeMap<_, _> = (0..3).flat_map(|net| {
                        let ends = view.endpoints(&id(net)).into_iter().map(|(end, it)| (end.to_owned(), Arc::clone(it)));
                        ends.map(|(end, it)| ((id(net), end), it)).collect::<Vec<_>>()
                    }).collect();
                    prop_assert_eq!(&told, &now);
                }
            }
        }
    }
}
