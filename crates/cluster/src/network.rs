//! Networks: made and removed for all machines at once.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::model::{MAX_VNI, Network, Subnet, Value as _};
use crate::shared::Shared;
use crate::txn::{Txn, found};
use crate::view::View;
use crate::wire::{KeyValue, RangeRequest, RangeResponse};

/// How often others may come before us.
const MAX_TRIES: usize = 64;
/// Networks at most.
const MAX_NETWORKS: usize = 4096;
/// Where numbers begin; Docker's do, too.
const FIRST_VNI: u32 = 4096;
/// Where subnets are taken from when nobody asks for one, and how long they are: Docker's.
const POOL: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8);
const SUBNET: u8 = 24;

/// Makes a network: its number is settled here, and with `choose` an IPv4 subnet unless it has one.
pub(crate) async fn create(shared: &Shared, asked: Network, choose: Option<&[IpNet]>) -> Result<Network> {
    shared.lease().await?;
    let keys = &shared.keys;
    for _ in 0..MAX_TRIES {
        let (generation, there) = all(shared).await?;
        if there.iter().any(|other| other.id == asked.id) {
            // an earlier try has arrived
            return there.into_iter().find(|other| other.id == asked.id).ok_or(Error::Expired);
        }
        let network = settle(&asked, &there, choose)?;
        let unchanged = Txn::default().if_unchanged(&keys.generation(), generation);
        let txn = entry(keys, unchanged, &network).or_get(&keys.name(&network.name));
        let answer = shared.client.txn(txn.build()).await?;
        let revision = answer.header.map(|header| header.revision).unwrap_or_default();
        if answer.succeeded {
            shared.seen(revision).await;
            return Ok(network);
        }
        // an entry of the index without its network is no hindrance to others, but to us
        if let Some(holder) = found(answer.responses).next().flatten()
            && !there.iter().any(|other| other.id.as_bytes() == holder.value)
        {
            repair(shared, &holder).await?;
        }
    }
    Err(Error::Refused("too many networks are made at the same time".to_owned()))
}

/// Takes a name away whose network is not there.
async fn repair(shared: &Shared, name: &KeyValue) -> Result<()> {
    let key = String::from_utf8_lossy(&name.key).into_owned();
    let id = String::from_utf8_lossy(&name.value).into_owned();
    let txn = Txn::default()
        .if_unchanged(&key, name.mod_revision)
        .if_absent(&shared.keys.network(&id))
        .delete(&key);
    shared.client.txn(txn.build()).await.map(drop)
}

/// Writes networks again that a store has lost. Others that do the same write the same; what has taken a name or a
/// number meanwhile keeps it.
pub(crate) async fn restore(shared: &Shared, before: &View, now: &View) -> Result<()> {
    let lost = before.networks.values().filter(|network| !now.networks.contains_key(&network.id));
    for network in lost {
        if !shared.client.txn(entry(&shared.keys, Txn::default(), network).build()).await?.succeeded {
            tracing::debug!(network = %network.name, "somebody else has written the network, or another of its name");
        }
    }
    Ok(())
}

/// Puts a network with all its keys, if none of them is there.
fn entry(keys: &Keys, txn: Txn, network: &Network) -> Txn {
    let (name, number) = (keys.name(&network.name), keys.number(network.vni));
    txn.if_absent(&keys.network(&network.id))
        .if_absent(&name)
        .if_absent(&number)
        .put(&keys.generation(), network.id.clone().into(), 0)
        .put(&keys.network(&network.id), network.write(), 0)
        .put(&name, network.id.clone().into(), 0)
        .put(&number, network.id.clone().into(), 0)
}

/// All networks, and the revision at which they were changed last.
async fn all(shared: &Shared) -> Result<(i64, Vec<Network>)> {
    let get = |key: Vec<u8>, range_end: Vec<u8>, revision: i64| {
        shared.client.range(RangeRequest { key, range_end, revision, limit: 0 })
    };
    let RangeResponse { header, kvs, .. } = get(shared.keys.generation().into(), Vec::new(), 0).await?;
    let generation = kvs.first().map_or(0, |kv| kv.mod_revision);
    let revision = header.map(|header| header.revision).unwrap_or_default();
    let (first, end) = shared.keys.networks();
    let there = get(first, end, revision).await?.kvs;
    Ok((generation, there.iter().filter_map(|kv| read(&shared.keys, kv)).collect()))
}

fn read(keys: &Keys, kv: &KeyValue) -> Option<Network> {
    match keys.read(&kv.key)? {
        crate::keys::Key::Network(id) => Network::read(&id, &kv.value).ok(),
        _ => None,
    }
}

/// Gives a network what it lacks, beside those that are there.
fn settle(asked: &Network, there: &[Network], choose: Option<&[IpNet]>) -> Result<Network> {
    if there.iter().any(|other| other.name == asked.name) {
        return Err(Error::NameInUse(asked.name.clone()));
    }
    if there.len() >= MAX_NETWORKS {
        return Err(Error::Invalid(format!("there are {MAX_NETWORKS} networks already")));
    }
    let used: Vec<IpNet> =
        there.iter().flat_map(|other| other.subnets.iter().map(|one| one.subnet)).collect();
    if asked.subnets.iter().any(|one| used.iter().any(|other| overlap(one.subnet, *other))) {
        return Err(Error::PoolOverlap);
    }
    let mut network = asked.clone();
    if let Some(avoid) = choose.filter(|_| network.subnet(true).is_none()) {
        network.subnets.insert(0, free_subnet(&used, avoid)?);
    }
    let free = |vni: &u32| !there.iter().any(|other| other.vni == *vni);
    let vni = if asked.vni == 0 { (FIRST_VNI..=MAX_VNI).find(free) } else { Some(asked.vni).filter(free) };
    network.vni = vni.ok_or_else(|| Error::Invalid(format!("VXLAN number {} is in use", asked.vni)))?;
    network
        .check(&network.id)
        .map_err(|unfit| Error::Invalid(format!("network {}: {unfit}", network.name)))?;
    Ok(network)
}

fn free_subnet(used: &[IpNet], avoid: &[IpNet]) -> Result<Subnet> {
    let mut candidates = POOL.subnets(SUBNET).map_err(|_too_long| Error::NoFreeSubnet)?;
    let free = |one: &Ipv4Net| !used.iter().chain(avoid).any(|other| overlap(IpNet::V4(*one), *other));
    let subnet = candidates.find(free).ok_or(Error::NoFreeSubnet)?;
    let gateway = u32::from(subnet.network()) + 1;
    Ok(Subnet {
        subnet: IpNet::V4(subnet),
        ip_range: None,
        gateway: IpAddr::V4(gateway.into()),
        aux: Default::default(),
    })
}

fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// Removes a network that nobody is on.
pub(crate) async fn remove(shared: &Shared, id: &str) -> Result<()> {
    shared.lease().await?;
    let keys = &shared.keys;
    let (_, there) = all(shared).await?;
    let network = there.into_iter().find(|network| network.id == id);
    let network = network.ok_or_else(|| Error::NoSuchNetwork(id.to_owned()))?;
    let txn = Txn::default()
        .if_present(&keys.network(id))
        .if_none(&keys.claims(id))
        .if_none(&keys.endpoints(id))
        .put(&keys.generation(), id.into(), 0)
        .delete(&keys.network(id))
        .delete(&keys.name(&network.name))
        .delete(&keys.number(network.vni))
        .or_get(&keys.network(id));
    let answer = shared.client.txn(txn.build()).await?;
    if answer.succeeded {
        shared.own().forget(id);
        shared.seen(answer.header.map(|header| header.revision).unwrap_or_default()).await;
        return Ok(());
    }
    match found(answer.responses).next().flatten() {
        Some(_) => Err(Error::InUse { name: network.name, id: id.to_owned() }),
        None => Err(Error::NoSuchNetwork(id.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    #[test]
    fn a_network_gets_what_nobody_has() {
        let there = [samples::network(0), samples::network(1)];
        let asked = Network { vni: 0, subnets: Vec::new(), ..samples::network(9) };
        let avoid = ["10.0.2.0/23".parse().expect("net")];
        let made = settle(&asked, &there, Some(&avoid)).expect("settled");
        assert_eq!(made.vni, 4098);
        assert_eq!(made.subnets[0].subnet, "10.0.4.0/24".parse().expect("net"));
        assert_eq!(made.subnets[0].gateway, "10.0.4.1".parse::<IpAddr>().expect("ip"));
    }

    #[test]
    fn what_somebody_has_is_refused() {
        let there = [samples::network(1)];
        let settle = |asked: Network| settle(&asked, &there, None);
        let other = samples::network(9);
        assert!(settle(other.clone()).is_ok());
        assert_eq!(
            settle(Network { name: "net1".into(), ..other.clone() }),
            Err(Error::NameInUse("net1".into()))
        );
        let same = Network { subnets: samples::network(1).subnets, ..other.clone() };
        assert_eq!(settle(same), Err(Error::PoolOverlap));
        assert!(settle(Network { vni: 4097, ..other.clone() }).is_err());
        assert!(matches!(settle(Network { mtu: Some(1), ..other }), Err(Error::Invalid(_))));
    }
}
