//! What the kernel is to be told of other machines' containers, as a value. Pure.
//!
//! What arrives from the store is hostile until checked: a peer that claims the gateway's address,
//! or that of a container here, would draw traffic to itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::endpoint::MacAddr;
use crate::overlay::Peer;

/// One network's entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    /// Hardware address → the machine that it is on. `None`: the kernel names more than one.
    pub(crate) tunnels: BTreeMap<MacAddr, Option<IpAddr>>,
    /// Hardware addresses that the bridge finds behind the tunnel.
    pub(crate) behind: BTreeSet<MacAddr>,
    /// Address → whose it is.
    pub(crate) neighbours: BTreeMap<IpAddr, MacAddr>,
}

/// What a peer must not claim.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bounds {
    /// The network's subnets: every address is in one of them.
    pub(crate) subnets: Vec<IpNet>,
    /// The gateway's addresses, and those of containers here.
    pub(crate) ips: BTreeSet<IpAddr>,
    /// Their hardware addresses.
    pub(crate) macs: BTreeSet<MacAddr>,
}

impl Bounds {
    /// Whether a peer may have this address.
    pub(crate) fn allow_ip(&self, ip: &IpAddr) -> bool {
        let edge = |net: &IpNet| net.addr().is_ipv4() && (net.network() == *ip || net.broadcast() == *ip);
        self.subnets.iter().any(|net| net.contains(ip) && !edge(net)) && !self.ips.contains(ip)
    }

    fn allow_mac(&self, mac: &MacAddr) -> bool {
        mac.0[0] & 1 == 0 && mac.0 != [0; 6] && !self.macs.contains(mac)
    }
}

/// One step towards what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// The tunnel is to send what is for it there.
    Tunnel(MacAddr, IpAddr),
    /// The bridge is to send what is for it through the tunnel.
    Behind(MacAddr),
    /// The bridge is to know whose address it is.
    Neighbour(IpAddr, MacAddr),
    /// No more.
    NoTunnel(MacAddr),
    /// No more.
    NotBehind(MacAddr),
    /// No more.
    NoNeighbour(IpAddr),
}

impl Tables {
    /// What is to be, for these peers on the machines whose tunnels end at `vteps`. Of peers that claim
    /// the same thing the first endpoint id has it.
    pub(crate) fn wanted<'p>(
        peers: impl IntoIterator<Item = &'p Peer>,
        vteps: &HashMap<&str, IpAddr>,
        bounds: &Bounds,
    ) -> Self {
        let mut wanted = Self::default();
        for peer in peers {
            let Some(vtep) = vteps.get(peer.host_id.as_str()) else { continue };
            if !bounds.allow_mac(&peer.mac) || wanted.behind.contains(&peer.mac) {
                continue;
            }
            let ips = [peer.ip.map(IpAddr::V4), peer.ip6.map(IpAddr::V6)];
            let ips: Vec<_> = ips.into_iter().flatten().filter(|ip| bounds.allow_ip(ip)).collect();
            if ips.is_empty() || ips.iter().any(|ip| wanted.neighbours.contains_key(ip)) {
                continue;
            }
            wanted.tunnels.insert(peer.mac, Some(*vtep));
            wanted.behind.insert(peer.mac);
            wanted.neighbours.extend(ips.into_iter().map(|ip| (ip, peer.mac)));
        }
        wanted
    }

    /// The steps from here to `wanted`: what is to go goes first. With `keep`, nothing goes: who
    /// tells us does not know everything yet.
    pub(crate) fn changes(&self, wanted: &Self, keep: bool) -> Vec<Change> {
        let mut changes = Vec::new();
        if !keep {
            let gone = self.neighbours.keys().filter(|ip| !wanted.neighbours.contains_key(ip));
            changes.extend(gone.map(|ip| Change::NoNeighbour(*ip)));
            let gone = self.behind.difference(&wanted.behind);
            changes.extend(gone.map(|mac| Change::NotBehind(*mac)));
            let gone = self.tunnels.keys().filter(|mac| !wanted.tunnels.contains_key(mac));
            changes.extend(gone.map(|mac| Change::NoTunnel(*mac)));
        }
        for (mac, vtep) in &wanted.tunnels {
            let Some(to) = vtep else { continue };
            match self.tunnels.get(mac) {
                Some(known) if known == vtep => {}
                // A replacement would change one of its several destinations.
                Some(None) => changes.extend([Change::NoTunnel(*mac), Change::Tunnel(*mac, *to)]),
                _ => changes.push(Change::Tunnel(*mac, *to)),
            }
        }
        changes.extend(wanted.behind.difference(&self.behind).map(|mac| Change::Behind(*mac)));
        let other = wanted.neighbours.iter().filter(|(ip, mac)| self.neighbours.get(ip) != Some(mac));
        changes.extend(other.map(|(ip, mac)| Change::Neighbour(*ip, *mac)));
        changes
    }

    /// Takes note of a step that was taken.
    pub(crate) fn note(&mut self, change: Change) {
        match change {
            Change::Tunnel(mac, vtep) => drop(self.tunnels.insert(mac, Some(vtep))),
            Change::Behind(mac) => drop(self.behind.insert(mac)),
            Change::Neighbour(ip, mac) => drop(self.neighbours.insert(ip, mac)),
            Change::NoTunnel(mac) => drop(self.tunnels.remove(&mac)),
            Change::NotBehind(mac) => drop(self.behind.remove(&mac)),
            Change::NoNeighbour(ip) => drop(self.neighbours.remove(&ip)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn ip(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 9, last).into()
    }

    fn mac(last: u8) -> MacAddr {
        MacAddr::from_ipv4(Ipv4Addr::new(10, 0, 9, last))
    }

    fn peer(host: &str, last: u8) -> Peer {
        Peer {
            endpoint_id: format!("e{last}"),
            host_id: host.to_owned(),
            ip: Some(Ipv4Addr::new(10, 0, 9, last)),
            ip6: None,
            mac: mac(last),
            names: Vec::new(),
        }
    }

    fn bounds() -> Bounds {
        Bounds {
            subnets: vec!["10.0.9.0/24".parse().expect("net")],
            ips: BTreeSet::from([ip(1), ip(2)]),
            macs: BTreeSet::from([mac(1), mac(2)]),
        }
    }

    fn vteps() -> HashMap<&'static str, IpAddr> {
        HashMap::from([("b", [192, 0, 2, 2].into()), ("c", [192, 0, 2, 3].into())])
    }

    fn step(from: &mut Tables, peers: &[Peer]) -> Vec<Change> {
        let changes = from.changes(&Tables::wanted(peers, &vteps(), &bounds()), false);
        changes.iter().for_each(|change| from.note(*change));
        changes
    }

    #[test]
    fn only_what_differs_is_changed() {
        let mut now = Tables::default();
        assert_eq!(
            step(&mut now, &[peer("b", 7)]),
            [Change::Tunnel(mac(7), vteps()["b"]), Change::Behind(mac(7)), Change::Neighbour(ip(7), mac(7))]
        );
        assert_eq!(step(&mut now, &[peer("b", 7)]), []);
        // it has moved to another machine
        assert_eq!(step(&mut now, &[peer("c", 7)]), [Change::Tunnel(mac(7), vteps()["c"])]);
        let both = Peer { ip: Some(Ipv4Addr::new(10, 0, 9, 8)), ..peer("c", 7) };
        assert_eq!(step(&mut now, &[both]), [Change::NoNeighbour(ip(7)), Change::Neighbour(ip(8), mac(7))]);
        assert_eq!(
            step(&mut now, &[]),
            [Change::NoNeighbour(ip(8)), Change::NotBehind(mac(7)), Change::NoTunnel(mac(7))]
        );
        assert_eq!(now, Tables::default());
    }

    #[test]
    fn what_is_there_stays_while_not_everything_is_known() {
        let mut now = Tables::default();
        step(&mut now, &[peer("b", 7)]);
        assert_eq!(now.changes(&Tables::default(), true), []);
        now.tunnels.insert(mac(7), None);
        let again = now.changes(&Tables::wanted(&[peer("b", 7)], &vteps(), &bounds()), true);
        assert_eq!(again, [Change::NoTunnel(mac(7)), Change::Tunnel(mac(7), vteps()["b"])]);
    }

    #[test]
    fn what_a_peer_must_not_claim_it_does_not_get() {
        let group = Peer { mac: MacAddr([1, 0, 0, 0, 0, 1]), ..peer("b", 9) };
        let outside = Peer { ip: Some(Ipv4Addr::new(10, 0, 8, 9)), ..peer("b", 9) };
        let gateway = Peer { mac: mac(1), ..peer("b", 9) };
        let broadcast = Peer { ip: Some(Ipv4Addr::new(10, 0, 9, 255)), ..peer("b", 9) };
        let nowhere = Peer { ip: None, ..peer("b", 9) };
        let bad =
            [group, outside, gateway, broadcast, nowhere, peer("b", 1), peer("b", 2), peer("nobody", 9)];
        assert_eq!(Tables::wanted(&bad, &vteps(), &bounds()), Tables::default());
        // the first has it
        let thief = Peer { endpoint_id: "thief".into(), ..peer("c", 7) };
        let wanted = Tables::wanted(&[peer("b", 7), thief], &vteps(), &bounds());
        assert_eq!(wanted.tunnels, BTreeMap::from([(mac(7), Some(vteps()["b"]))]));
    }
}
