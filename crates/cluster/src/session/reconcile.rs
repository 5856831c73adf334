//! Making the store agree with what this machine holds: what is missing is claimed again, what an earlier run has left
//! is taken away, and what somebody else has by now is told of, loudly.

use std::net::IpAddr;
use std::sync::Arc;

use crate::Lost;
use crate::error::{Error, Result};
use crate::model::Value as _;
use crate::own::{Place, Seat};
use crate::shared::Shared;
use crate::txn::Txn;
use crate::view::View;

/// Compares and repairs. With `rewrite`, entries that are there hang on another lease, and are written again.
pub(super) async fn reconcile(shared: &Arc<Shared>, view: &View, lease: i64, rewrite: bool) -> Result<()> {
    take_over(shared, view);
    let places: Vec<(Seat, Place)> =
        shared.own().places.iter().map(|(seat, place)| (seat.clone(), place.clone())).collect();
    for (seat, place) in places {
        let mut lost = None;
        for ip in place.settled() {
            match hold(shared, view, &seat, (&place, ip), (lease, rewrite)).await {
                Err(Error::AddressInUse { container, host, .. }) => lost = Some((ip, container, host)),
                // the network has gone from the store: its removal is told as such
                Err(Error::NoSuchNetwork(_)) => {}
                held => held?,
            }
        }
        if let Some((ip, container, host)) = lost {
            give_up(shared, seat, place, (ip, container, host));
            continue;
        }
        if let Some(endpoint) = &place.endpoint
            && (rewrite || !view.knows(&seat.0, endpoint))
        {
            crate::claim::announce(shared, &seat, &place, endpoint, lease).await?;
        }
    }
    sweep(shared, view).await
}

/// The claims of an earlier run of this daemon for containers that still live are ours.
fn take_over(shared: &Shared, view: &View) {
    let mut own = shared.own();
    for ((network, container), place) in &mut own.places {
        let known = place.settled().find_map(|ip| view.claim(network, ip));
        let ours = known.filter(|claim| claim.host == shared.host_id() && claim.container == *container);
        if let Some(claim) = ours {
            place.token.clone_from(&claim.token);
        }
    }
}

/// Holds one address.
async fn hold(
    shared: &Shared,
    view: &View,
    seat: &Seat,
    (place, ip): (&Place, IpAddr),
    (lease, rewrite): (i64, bool),
) -> Result<()> {
    let claim = place.claim(shared.host_id(), &seat.1);
    if view.claim(&seat.0, ip).is_some_and(|known| **known == claim) {
        if !rewrite {
            return Ok(());
        }
        let key = shared.keys.claim(&seat.0, ip);
        let txn = Txn::default().if_value(&key, claim.write()).put(&key, claim.write(), lease);
        if shared.client.txn(txn.build()).await?.succeeded {
            return Ok(());
        }
    }
    crate::claim::take(shared, &seat.0, ip, &claim, lease).await
}

/// A container's address was given away while this machine counted as dead.
fn give_up(shared: &Arc<Shared>, seat: Seat, place: Place, (ip, container, host): (IpAddr, String, String)) {
    tracing::error!(
        network = %seat.0, container = %seat.1, %ip, holder = %container, host = %host,
        "the address of a container was given to another one while this host counted as dead: it leaves the network"
    );
    shared.own().places.remove(&seat);
    shared.tell_lost(Lost {
        network: seat.0.clone(),
        container: seat.1.clone(),
        ip,
        holder: container,
        host,
    });
    crate::claim::drop_place(shared, seat, place);
}

/// Takes away what bears this machine's name and is none of its own.
async fn sweep(shared: &Shared, view: &View) -> Result<()> {
    let left = shared.own().leftovers(view, shared.host_id());
    let count = left.claims.len() + left.endpoints.len();
    for (network, ip, claim) in left.claims {
        let key = shared.keys.claim(&network, ip);
        let txn = Txn::default().if_value(&key, claim.write()).delete(&key);
        shared.client.txn(txn.build()).await?;
    }
    for (network, endpoint) in left.endpoints {
        let key = shared.keys.endpoint(&network, &endpoint.id);
        let txn = Txn::default().if_value(&key, endpoint.write()).delete(&key);
        shared.client.txn(txn.build()).await?;
    }
    if count > 0 {
        tracing::info!(count, "what an earlier run had left in the cluster store is taken away");
    }
    Ok(())
}
