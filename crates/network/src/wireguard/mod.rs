//! What networks that are encrypted between machines go through: one WireGuard device for all of them.
//!
//! A machine's address in there is made of its public key, so that nobody else can have it, and is
//! link-local. The kernel sends what is for a link-local address through the interface that is named
//! with it and through no other, whatever becomes of that one, and forwards it for nobody; and a VXLAN
//! device with such an address takes nothing that came in by another interface.

mod key;
mod message;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::netlink::{Batch, Protocol, Socket};
use crate::{route, sysctl};
use message::{Change, Peer};

pub(crate) use key::Keys;

/// Half of a key pair (X25519).
pub(crate) type Key = [u8; 32];

/// What WireGuard adds to a packet over IPv4: IP, UDP, its own header and tag.
const OVERHEAD: u32 = 20 + 8 + 16 + 16;
/// And over IPv6.
const OVERHEAD_V6: u32 = OVERHEAD + 20;
/// Length of what all addresses in there begin with.
const PREFIX: u8 = 16;
/// Peers in one message: an attribute has 64 KiB at most.
const PEERS_PER_MESSAGE: usize = 128;

/// The device, as it is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Device<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// This machine's keys.
    pub(crate) keys: &'a Keys,
    /// Its UDP port, the same on every machine.
    pub(crate) port: u16,
}

/// Name of the device of the daemon with this tag.
pub(crate) fn name(tag: Option<&str>) -> String {
    format!("wg-{}", tag.unwrap_or("berth"))
}

/// The address of the machine with this public key.
pub(crate) fn address(public: &Key) -> Ipv6Addr {
    let mut bytes = [0; 16];
    bytes[0..2].copy_from_slice(&[0xfe, 0x80]);
    bytes[2..].copy_from_slice(&public[..14]);
    bytes.into()
}

/// What is added to every packet that leaves for an address of that family.
pub(crate) const fn overhead(v6: bool) -> u32 {
    if v6 { OVERHEAD_V6 } else { OVERHEAD }
}

impl Device<'_> {
    /// This machine's address in there.
    pub(crate) fn address(&self) -> Ipv6Addr {
        address(&self.keys.public)
    }

    /// Makes the device, or finds it as an earlier daemon left it, whose peers it goes on speaking with.
    /// Its index.
    pub(crate) fn ensure(&self, host: &mut Socket, owner: &str, mtu: u32) -> Result<u32> {
        let Self { name, keys, port } = *self;
        let mut batch = Batch::default();
        let known = route::by_name(host, name)?;
        match &known {
            Some(link)
                if link.kind.as_deref() != Some("wireguard") || link.alias.as_deref() != Some(owner) =>
            {
                return Err(Error::Config(format!("interface {name} exists and is not this daemon's")));
            }
            Some(link) if link.mtu == mtu => {}
            Some(_) => route::push_mtu(&mut batch, name, mtu),
            None => {
                route::push_wireguard(&mut batch, name, mtu);
                // In the same send: no instruction of ours lies between the link and its mark.
                route::push_alias(&mut batch, name, owner);
            }
        }
        host.request(&mut batch).map_err(|error| match error.errno() {
            Some(Errno::OPNOTSUPP) => missing(),
            _ => error,
        })?;
        let index = host.index_of(name)?;
        sysctl::host_ipv6(name)?;
        let mut socket = Socket::open(Protocol::Generic)?;
        let family = message::family(&mut socket)?.ok_or_else(missing)?;
        let present = message::device(&mut socket, family, name)?;
        if present.private != Some(keys.private) || present.port != port {
            let mut batch = Batch::default();
            message::push_identity(&mut batch, family, name, &keys.private, port);
            socket.request(&mut batch).map_err(|error| self.explain(error))?;
        }
        if message::device(&mut socket, family, name)?.public != Some(keys.public) {
            return Err(Error::Malformed("a WireGuard key whose halves do not belong together"));
        }
        let own = IpNet::new(self.address().into(), PREFIX)
            .map_err(|_too_long| Error::Malformed("a tunnel's address"))?;
        let mut batch = Batch::default();
        if known.is_none_or(|link| !link.up) {
            route::push_up(&mut batch, index);
        }
        if !route::addresses(host)?.iter().any(|address| address.index == index && address.net == own) {
            route::push_address(&mut batch, index, own);
        }
        host.request(&mut batch).map_err(|error| self.explain(error))?;
        Ok(index)
    }

    /// Makes the device speak with these and nobody else: public key → where its UDP port is. What is
    /// as it should be goes on undisturbed.
    pub(crate) fn tell(&self, wanted: &BTreeMap<Key, SocketAddr>) -> Result<()> {
        let mut socket = Socket::open(Protocol::Generic)?;
        let family = message::family(&mut socket)?.ok_or_else(missing)?;
        let present = message::device(&mut socket, family, self.name)?;
        let mut batch = Batch::default();
        for some in changes(&present.peers, wanted).chunks(PEERS_PER_MESSAGE) {
            message::push_peers(&mut batch, family, self.name, some);
        }
        socket.request(&mut batch).map(drop)
    }

    fn explain(&self, error: Error) -> Error {
        match error.errno() {
            Some(Errno::ADDRINUSE) => Error::Config(format!(
                "UDP port {} is taken, and encrypted overlay networks need it ({error})",
                self.port
            )),
            _ => error,
        }
    }
}

/// The steps from these peers to those. Who is gone goes first.
fn changes(present: &[Peer], wanted: &BTreeMap<Key, SocketAddr>) -> Vec<Change> {
    let gone = present.iter().filter(|peer| !wanted.contains_key(&peer.key));
    let mut changes: Vec<_> = gone.map(|peer| Change::Remove(peer.key)).collect();
    let wanted = wanted.iter().map(|(key, endpoint)| Peer {
        key: *key,
        endpoint: Some(*endpoint),
        allowed: vec![IpAddr::from(address(key)).into()],
    });
    changes.extend(wanted.filter(|peer| !present.contains(peer)).map(Change::Set));
    changes
}

/// Removes the device called `name`, if it bears `owner`. That there is none is no error.
pub(crate) fn remove(host: &mut Socket, owner: &str, name: &str) -> Result<bool> {
    let link = route::by_name(host, name)?;
    let ours = |link: &route::Link| {
        link.kind.as_deref() == Some("wireguard") && link.alias.as_deref() == Some(owner)
    };
    let Some(link) = link.filter(ours) else { return Ok(false) };
    let mut batch = Batch::default();
    route::push_delete(&mut batch, link.index, name);
    match host.request(&mut batch) {
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(false),
        result => result.map(|_| true),
    }
}

/// The kernel has no WireGuard.
pub(crate) fn missing() -> Error {
    Error::Unsupported(
        "encryption between hosts (--opt encrypted) needs WireGuard, which this kernel does not have: \
         load the module wireguard"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(last: u8) -> SocketAddr {
        SocketAddr::new([192, 0, 2, last].into(), 51820)
    }

    #[test]
    fn an_address_is_link_local_and_a_keys_own() {
        let key: Key = std::array::from_fn(|at| u8::try_from(at + 1).expect("small"));
        assert_eq!(address(&key), "fe80:102:304:506:708:90a:b0c:d0e".parse::<Ipv6Addr>().expect("address"));
        assert!(address(&[0xff; 32]).is_unicast_link_local());
        assert_eq!((overhead(false), overhead(true)), (60, 80));
    }

    #[test]
    fn only_what_differs_is_changed() {
        let peer = |last: u8| Peer {
            key: [last; 32],
            endpoint: Some(end(last)),
            allowed: vec![IpAddr::from(address(&[last; 32])).into()],
        };
        let present = [peer(1), peer(2), Peer { allowed: Vec::new(), ..peer(3) }];
        let wanted = BTreeMap::from([([1; 32], end(1)), ([3; 32], end(3)), ([4; 32], end(4))]);
        assert_eq!(
            changes(&present, &wanted),
            [Change::Remove([2; 32]), Change::Set(peer(3)), Change::Set(peer(4))]
        );
        assert_eq!(changes(&[peer(1)], &BTreeMap::from([([1; 32], end(1))])), []);
        // it is elsewhere now
        let moved = Peer { endpoint: Some(end(9)), ..peer(1) };
        assert_eq!(changes(&[peer(1)], &BTreeMap::from([([1; 32], end(9))])), [Change::Set(moved)]);
    }
}
