//! Addresses: claimed, told of, given back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::Addresses;
use crate::error::{Error, Result};
use crate::model::{Claim, Endpoint, Network, Value as _};
use crate::own::{Place, Seat};
use crate::shared::Shared;
use crate::txn::{Txn, found};

/// How often an entry that changes under our hands is looked at again.
const MAX_TRIES: usize = 8;

/// Claims one address of each family that the network has.
pub(crate) async fn claim(shared: &Arc<Shared>, seat: &Seat, wanted: Addresses) -> Result<Addresses> {
    let lease = shared.lease().await?;
    let network = shared.view().networks.get(&seat.0).cloned();
    let network = network.ok_or_else(|| Error::NoSuchNetwork(seat.0.clone()))?;
    {
        let mut own = shared.own();
        if own.places.contains_key(seat) {
            return Err(Error::Invalid(format!(
                "container {} is already attached to network {}",
                seat.1, network.name
            )));
        }
        own.places.insert(seat.clone(), Place::new()?);
    }
    // whatever happens to the one who asks, nothing is left that nobody holds
    let mut guard = Guard { shared, seat: Some(seat) };
    let mut got = Addresses::default();
    if network.subnet(true).is_some() {
        let ip = one(shared, &network, seat, (wanted.ip.map(IpAddr::V4), true), lease).await?;
        got.ip = as_v4(ip);
    }
    if network.subnet(false).is_some() {
        let ip = one(shared, &network, seat, (wanted.ip6.map(IpAddr::V6), false), lease).await?;
        got.ip6 = as_v6(ip);
    }
    guard.seat = None;
    if !shared.is_current(lease) {
        // another session has begun meanwhile, which knows nothing of it
        shared.ask_resync(true);
    }
    Ok(got)
}

fn as_v4(ip: IpAddr) -> Option<Ipv4Addr> {
    if let IpAddr::V4(ip) = ip { Some(ip) } else { None }
}

fn as_v6(ip: IpAddr) -> Option<Ipv6Addr> {
    if let IpAddr::V6(ip) = ip { Some(ip) } else { None }
}

/// Gives back what was claimed, unless all went well.
struct Guard<'a> {
    shared: &'a Arc<Shared>,
    seat: Option<&'a Seat>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(seat) = self.seat {
            release(self.shared, seat);
        }
    }
}

/// One address. Of those that nobody asked for by number, the next one is tried when somebody was faster.
async fn one(
    shared: &Arc<Shared>,
    network: &Network,
    seat: &Seat,
    wanted: (Option<IpAddr>, bool),
    lease: i64,
) -> Result<IpAddr> {
    loop {
        let (ip, claim) = {
            let (view, mut own) = (shared.view(), shared.own());
            let ip = own.reserve(&view, network, seat, shared.host_id(), wanted)?;
            let place = own.places.get(seat).ok_or(Error::Expired)?;
            (ip, place.claim(shared.host_id(), &seat.1))
        };
        let taken = take(shared, &network.id, ip, &claim, lease).await;
        shared.own().settle(seat, ip, taken.is_ok());
        match taken {
            Err(Error::AddressInUse { .. }) if wanted.0.is_none() => {}
            taken => return taken.map(|()| ip),
        }
    }
}

/// Makes a claim, if nobody else has the address and the network is there.
pub(crate) async fn take(
    shared: &Shared,
    network: &str,
    ip: IpAddr,
    claim: &Claim,
    lease: i64,
) -> Result<()> {
    let (key, net) = (shared.keys.claim(network, ip), shared.keys.network(network));
    for _ in 0..MAX_TRIES {
        let txn = Txn::default().if_present(&net).if_absent(&key).put(&key, claim.write(), lease);
        let answer =
            shared.client.txn(txn.or_get(&key).or_get(&net).build()).await.map_err(|e| expired(shared, e))?;
        if answer.succeeded {
            return Ok(());
        }
        let mut there = found(answer.responses);
        let (held, net) = (there.next().flatten(), there.next().flatten());
        if net.is_none() {
            return Err(Error::NoSuchNetwork(network.to_owned()));
        }
        let Some(held) = held else { continue };
        let holder = Claim::read("", &held.value).ok();
        let ours = holder.as_ref().is_some_and(|holder| {
            let here = shared.own();
            let lives = here.holder(network, ip).is_some_and(|container| container == holder.container);
            holder.host == claim.host && (holder.container == claim.container || !lives)
        });
        if !ours {
            let (host, container) =
                holder.map_or_else(Default::default, |holder| (holder.host, holder.container));
            return Err(Error::AddressInUse { ip, container, host });
        }
        // what an earlier run, or an earlier try of this one, has left
        let txn = Txn::default().if_unchanged(&key, held.mod_revision).put(&key, claim.write(), lease);
        if shared.client.txn(txn.build()).await.map_err(|e| expired(shared, e))?.succeeded {
            return Ok(());
        }
    }
    Err(Error::Refused(format!("the claim of {ip} keeps changing")))
}

/// A lease that is no more ends the session.
fn expired(shared: &Shared, error: Error) -> Error {
    if error == Error::Expired {
        shared.ask_resync(true);
    }
    error
}

/// Tells all machines of a container's place; what can't be told now is told when the store is back.
pub(crate) async fn publish(shared: &Arc<Shared>, seat: &Seat, endpoint: Endpoint) {
    let place = {
        let mut own = shared.own();
        let Some(place) = own.places.get_mut(seat) else { return };
        place.endpoint = Some(endpoint.clone());
        place.clone()
    };
    let told = match shared.lease().await {
        Ok(lease) => announce(shared, seat, &place, &endpoint, lease).await,
        Err(error) => Err(error),
    };
    if let Err(error) = told {
        tracing::warn!(container = %seat.1, %error, "other hosts are not told of the container yet");
        shared.ask_resync(false);
    }
}

/// Writes an endpoint, if its addresses are still the container's.
pub(crate) async fn announce(
    shared: &Shared,
    seat: &Seat,
    place: &Place,
    endpoint: &Endpoint,
    lease: i64,
) -> Result<()> {
    let claim = place.claim(shared.host_id(), &seat.1).write();
    let held = place
        .settled()
        .fold(Txn::default(), |txn, ip| txn.if_value(&shared.keys.claim(&seat.0, ip), claim.clone()));
    let txn = held.put(&shared.keys.endpoint(&seat.0, &endpoint.id), endpoint.write(), lease);
    if !shared.client.txn(txn.build()).await.map_err(|e| expired(shared, e))?.succeeded {
        // the next comparison finds out why
        tracing::debug!(container = %seat.1, "the claims of the container are gone");
    }
    Ok(())
}

/// Gives a container's place back. That it has none is no error.
pub(crate) fn release(shared: &Arc<Shared>, seat: &Seat) {
    let place = shared.own().places.remove(seat);
    if let Some(place) = place {
        drop_place(shared, seat.clone(), place);
    }
}

/// Takes a place out of the store, in the background: what can't be done now is done when the store is back.
pub(crate) fn drop_place(shared: &Arc<Shared>, seat: Seat, place: Place) {
    let shared = Arc::clone(shared);
    let Some(runtime) = shared.runtime().cloned() else { return };
    runtime.spawn(async move {
        if let Err(error) = delete(&shared, &seat, &place).await {
            tracing::debug!(container = %seat.1, %error, "a container's addresses are given back later");
            shared.ask_resync(false);
        }
    });
}

async fn delete(shared: &Shared, seat: &Seat, place: &Place) -> Result<()> {
    if let Some(endpoint) = &place.endpoint {
        let key = shared.keys.endpoint(&seat.0, &endpoint.id);
        let txn = Txn::default().if_value(&key, endpoint.write()).delete(&key);
        shared.client.txn(txn.build()).await?;
    }
    // also those that are being asked for: the question may have arrived
    let claim = place.claim(shared.host_id(), &seat.1);
    for ip in place.addresses.keys() {
        let key = shared.keys.claim(&seat.0, *ip);
        let txn = Txn::default().if_value(&key, claim.write()).delete(&key);
        shared.client.txn(txn.build()).await?;
    }
    Ok(())
}
