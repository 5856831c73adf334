//! What this machine holds, or is about to: the truth that the store is made to agree with.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::alloc::Cursors;
use crate::error::{Error, Result};
use crate::keys::Key;
use crate::model::{Claim, Endpoint, Network};
use crate::view::View;

/// A container on a network.
pub(crate) type Seat = (String, String);

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Tells its claims from earlier ones.
    pub(crate) token: String,
    /// Its addresses; those that are not settled yet are being asked for.
    pub(crate) addresses: BTreeMap<IpAddr, bool>,
    /// What others are told of it.
    pub(crate) endpoint: Option<Endpoint>,
}

/// Everything that this machine holds.
#[derive(Debug, Default)]
pub(crate) struct Own {
    pub(crate) places: BTreeMap<Seat, Place>,
    cursors: Cursors,
}

impl Place {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { token: token()?, addresses: BTreeMap::new(), endpoint: None })
    }

    /// What stands in the store for its addresses.
    pub(crate) fn claim(&self, host: &str, container: &str) -> Claim {
        Claim { host: host.to_owned(), container: container.to_owned(), token: self.token.clone() }
    }

    pub(crate) fn settled(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().filter(|(_, settled)| **settled).map(|(ip, _)| *ip)
    }
}

/// Text that nobody has had before.
fn token() -> Result<String> {
    let mut bytes = [0u8; 8];
    getrandom::fill(&mut bytes).map_err(|error| Error::Invalid(format!("no random numbers: {error}")))?;
    Ok(hex::encode(bytes))
}

impl Own {
    /// Which container here has an address.
    pub(crate) fn holder(&self, network: &str, ip: IpAddr) -> Option<&str> {
        let mut seats = self.places.iter().filter(|((net, _), _)| net == network);
        seats
            .find(|(_, place)| place.addresses.contains_key(&ip))
            .map(|((_, container), _)| container.as_str())
    }

    /// Puts an address aside for a container: the one that is wanted, or one that nobody has as far as is known.
    ///
    /// # Errors
    /// A container here has it; no address is left.
    pub(crate) fn reserve(
        &mut self,
        view: &View,
        network: &Network,
        seat: &Seat,
        host: &str,
        wanted: (Option<IpAddr>, bool),
    ) -> Result<IpAddr> {
        let (ip, v4) = wanted;
        let ip = match ip {
            Some(ip) if !network.admits(ip) => return Err(Error::AddressOutside { ip }),
            Some(ip) => match self.holder(&network.id, ip) {
                Some(container) if container != seat.1 => {
                    let (container, host) = (container.to_owned(), host.to_owned());
                    return Err(Error::AddressInUse { ip, container, host });
                }
                _ => ip,
            },
            None => {
                self.choose(view, network, host, v4).ok_or_else(|| Error::Exhausted(network.name.clone()))?
            }
        };
        if let Some(place) = self.places.get_mut(seat) {
            place.addresses.entry(ip).or_insert(false);
        }
        Ok(ip)
    }

    fn choose(&mut self, view: &View, network: &Network, host: &str, v4: bool) -> Option<IpAddr> {
        let subnet = network.subnet(v4)?;
        let mut cursors = std::mem::take(&mut self.cursors);
        let taken = |ip| view.claim(&network.id, ip).is_some() || self.holder(&network.id, ip).is_some();
        let found = cursors.next(host, &network.id, subnet, taken);
        self.cursors = cursors;
        found
    }

    /// An address is a container's now, or not to be had.
    pub(crate) fn settle(&mut self, seat: &Seat, ip: IpAddr, got: bool) {
        let Some(place) = self.places.get_mut(seat) else { return };
        if got {
            place.addresses.insert(ip, true);
        } else {
            place.addresses.remove(&ip);
        }
    }

    /// A network is no more.
    pub(crate) fn forget(&mut self, network: &str) {
        self.cursors.forget(network);
    }

    /// The claims in `view` that bear this machine's name and are none of its own, with the network's id; and the ids
    /// of such endpoints.
    pub(crate) fn leftovers(&self, view: &View, host: &str) -> Leftovers {
        let mut left = Leftovers::default();
        for (network, room) in view.rooms() {
            for (ip, claim) in room.claims.iter().filter(|(_, claim)| claim.host == host) {
                let place = self.places.get(&(network.clone(), claim.container.clone()));
                if !place.is_some_and(|place| place.addresses.contains_key(ip)) {
                    left.claims.push((network.clone(), *ip, Arc::clone(claim)));
                }
            }
            for (id, endpoint) in room.endpoints.iter().filter(|(_, endpoint)| endpoint.host == host) {
                let ours = |place: &Place| place.endpoint.as_ref().is_some_and(|own| own.id == *id);
                if !self.places.iter().any(|((net, _), place)| net == network && ours(place)) {
                    left.endpoints.push((network.clone(), Arc::clone(endpoint)));
                }
            }
        }
        left
    }

    /// Whether what has become of this key, as `view` knows it, is not what we hold.
    pub(crate) fn misses(&self, view: &View, host: &str, key: &Key) -> bool {
        let (Key::Claim { network, .. } | Key::Endpoint { network, .. }) = key else { return false };
        let mut seats = self.places.iter().filter(|((net, _), _)| net == network);
        seats.any(|((_, container), place)| match key {
            Key::Claim { ip, .. } if place.addresses.get(ip) == Some(&true) => {
                let claim = place.claim(host, container);
                view.claim(network, *ip).is_none_or(|known| **known != claim)
            }
            Key::Endpoint { endpoint, .. } => {
                let own = place.endpoint.as_ref().filter(|own| own.id == *endpoint);
                own.is_some_and(|own| !view.knows(network, own))
            }
            _ => false,
        })
    }
}

/// What an earlier run of this machine's daemon has left in the store.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Leftovers {
    pub(crate) claims: Vec<(String, IpAddr, Arc<Claim>)>,
    pub(crate) endpoints: Vec<(String, Arc<Endpoint>)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;
    use crate::model::Value as _;
    use crate::model::samples::{id, network};

    #[test]
    fn an_address_here_is_nobody_elses_here() {
        let (mut own, view, network) = (Own::default(), View::default(), network(1));
        let seats: [Seat; 2] = [(id(1), id(8)), (id(1), id(9))];
        for seat in &seats {
            own.places.insert(seat.clone(), Place::new().expect("token"));
        }
        let ip: IpAddr = "10.0.1.5".parse().expect("ip");
        assert_eq!(own.reserve(&view, &network, &seats[0], "h", (Some(ip), true)), Ok(ip));
        let again = own.reserve(&view, &network, &seats[1], "h", (Some(ip), true));
        assert!(matches!(again, Err(Error::AddressInUse { .. })), "{again:?}");
        let outside =
            own.reserve(&view, &network, &seats[1], "h", (Some("10.9.0.1".parse().expect("ip")), true));
        assert!(matches!(outside, Err(Error::AddressOutside { .. })));
        let mut all = std::collections::BTreeSet::from([ip]);
        while let Ok(ip) = own.reserve(&view, &network, &seats[1], "h", (None, true)) {
            assert!(all.insert(ip));
        }
        assert_eq!(all.len(), 253);
    }

    #[test]
    fn what_is_left_of_an_earlier_run_is_found() {
        let (mut own, mut view, keys) = (Own::default(), View::default(), Keys::new("p"));
        let place = Place::new().expect("token");
        let ips: [IpAddr; 2] = ["10.0.1.5".parse().expect("ip"), "10.0.1.6".parse().expect("ip")];
        for (ip, container) in ips.iter().zip([8, 9]) {
            let claim = place.claim("h", &id(container));
            view.apply(&keys, keys.claim(&id(1), *ip).as_bytes(), Some(&claim.write())).expect("fit");
        }
        let mut mine = place.clone();
        mine.addresses.insert(ips[0], true);
        own.places.insert((id(1), id(8)), mine);
        let left = own.leftovers(&view, "h");
        assert_eq!(left.claims.iter().map(|(_, ip, _)| *ip).collect::<Vec<_>>(), [ips[1]]);
        assert_eq!(own.leftovers(&view, "other"), Leftovers::default());
        let key = Key::Claim { network: id(1), ip: ips[0] };
        assert!(!own.misses(&view, "h", &key));
        view.apply(&keys, keys.claim(&id(1), ips[0]).as_bytes(), None).expect("gone");
        assert!(own.misses(&view, "h", &key));
    }
}
