//! Who is called what, network by network, as each container may know it.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::endpoint::Endpoint;

/// The names on every network that has names.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// By the network's id.
    rooms: HashMap<String, Room>,
    /// A container's networks, by its id.
    seats: HashMap<String, Vec<Seat>>,
}

/// One network.
#[derive(Debug, Default)]
struct Room {
    name: String,
    subnets: Vec<IpNet>,
    /// Lower-case name → who answers to it.
    names: HashMap<String, Vec<Holder>>,
    /// Address → the name that it is told by.
    addresses: HashMap<IpAddr, String>,
}

#[derive(Debug)]
struct Holder {
    container: String,
    /// One of each family at most.
    ips: Vec<IpAddr>,
}

/// A container's place in a room.
#[derive(Debug)]
struct Seat {
    /// Empty for a network without names.
    network_id: String,
    /// The network leads out.
    open: bool,
    /// Own name → another's.
    links: Vec<(String, String)>,
}

/// What a name stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// These addresses of both families, in any order.
    Addresses(Vec<IpAddr>),
    /// Nothing here.
    Unknown,
}

/// What an address is called.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// Its name and its network's.
    Name(String),
    /// It would be one of ours, and nobody has it.
    Nobody,
    /// It is none of ours.
    Unknown,
}

impl Directory {
    /// A container's endpoint comes to a network.
    pub(crate) fn enter(
        &mut self,
        network: &str,
        subnets: &[IpNet],
        internal: bool,
        container: &str,
        endpoint: &Endpoint,
    ) {
        let ips: Vec<_> = endpoint.addresses().map(|address| address.addr()).collect();
        self.tell(network, &endpoint.network_id, subnets, container, &endpoint.names, &ips);
        self.seats.entry(container.to_owned()).or_default().push(Seat {
            network_id: endpoint.network_id.clone(),
            open: !internal,
            links: endpoint.links.iter().map(|(alias, name)| (lower(alias), lower(name))).collect(),
        });
    }

    /// Somebody answers to `names` on a network: a container, or one of another machine, which asks
    /// nothing here.
    pub(crate) fn tell(
        &mut self,
        network: &str,
        network_id: &str,
        subnets: &[IpNet],
        who: &str,
        names: &[String],
        ips: &[IpAddr],
    ) {
        let room = self.rooms.entry(network_id.to_owned()).or_default();
        network.clone_into(&mut room.name);
        room.subnets = subnets.to_vec();
        for name in names {
            let holders = room.names.entry(lower(name)).or_default();
            if !holders.iter().any(|holder| holder.container == who) {
                holders.push(Holder { container: who.to_owned(), ips: ips.to_vec() });
            }
        }
        if let Some(name) = names.first() {
            room.addresses.extend(ips.iter().map(|ip| (*ip, name.clone())));
        }
    }

    /// A container comes to a network that has no names.
    pub(crate) fn visit(&mut self, internal: bool, container: &str) {
        let seat = Seat { network_id: String::new(), open: !internal, links: Vec::new() };
        self.seats.entry(container.to_owned()).or_default().push(seat);
    }

    /// A container goes from a network; the empty id is that of the network without names.
    pub(crate) fn leave(&mut self, container: &str, network_id: &str) {
        let known = if self.rooms.contains_key(network_id) { network_id } else { "" };
        if let Some(seats) = self.seats.get_mut(container) {
            seats.retain(|seat| seat.network_id != known);
        }
        let Some(room) = self.rooms.get_mut(network_id) else { return };
        let mut ips = Vec::new();
        room.names.retain(|_, holders| {
            let own = holders.iter().filter(|holder| holder.container == container);
            ips.extend(own.flat_map(|holder| holder.ips.iter().copied()));
            holders.retain(|holder| holder.container != container);
            !holders.is_empty()
        });
        ips.iter().for_each(|ip| drop(room.addresses.remove(ip)));
        if room.names.is_empty() {
            self.rooms.remove(network_id);
        }
    }

    /// A container goes from all its networks.
    pub(crate) fn leave_all(&mut self, container: &str) {
        let seats = self.seats.remove(container).unwrap_or_default();
        seats.iter().for_each(|seat| self.leave(container, &seat.network_id));
    }

    /// Whether one of the container's networks leads out.
    pub(crate) fn leads_out(&self, container: &str) -> bool {
        self.seats.get(container).is_some_and(|seats| seats.iter().any(|seat| seat.open))
    }

    /// What `name` means to a container: a link of its own, a name on one of its networks (the first
    /// that knows it), or such a name with the network's behind a dot.
    pub(crate) fn find(&self, container: &str, name: &str) -> Found {
        let name = lower(name.strip_suffix('.').unwrap_or(name));
        for (seat, room) in self.view(container) {
            let linked = seat.links.iter().find(|(alias, _)| *alias == name);
            let wanted = linked.map_or(name.as_str(), |(_, target)| target);
            let suffix = || name.strip_suffix(&lower(&room.name))?.strip_suffix('.');
            let holders = room.names.get(wanted).or_else(|| room.names.get(suffix()?));
            if let Some(holders) = holders {
                return Found::Addresses(
                    holders.iter().flat_map(|holder| holder.ips.iter().copied()).collect(),
                );
            }
        }
        Found::Unknown
    }

    /// What `ip` is called on one of the container's networks.
    pub(crate) fn name_of(&self, container: &str, ip: IpAddr) -> Named {
        let mut named = Named::Unknown;
        for (_, room) in self.view(container) {
            if let Some(name) = room.addresses.get(&ip) {
                return Named::Name(format!("{name}.{}", room.name));
            }
            if room.subnets.iter().any(|subnet| subnet.contains(&ip)) {
                named = Named::Nobody;
            }
        }
        named
    }

    fn view(&self, container: &str) -> impl Iterator<Item = (&Seat, &Room)> {
        let seats = self.seats.get(container).map_or(&[][..], Vec::as_slice);
        seats.iter().filter_map(|seat| Some((seat, self.rooms.get(&seat.network_id)?)))
    }
}

/// DNS names differ in nothing but ASCII case (RFC 4343).
fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::endpoint::tests::endpoint as at;

    fn endpoint(network: &str, last: u8, names: &[&str]) -> Endpoint {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Endpoint { names, ..at(network, Ipv4Addr::new(10, 0, 0, last)) }
    }

    fn addresses(lasts: &[u8]) -> Found {
        Found::Addresses(lasts.iter().map(|last| Ipv4Addr::new(10, 0, 0, *last).into()).collect())
    }

    fn two_networks() -> Directory {
        let mut all = Directory::default();
        let subnet = &["10.0.0.0/24".parse().expect("subnet")];
        all.enter("front", subnet, false, "a", &endpoint("f", 2, &["web", "svc"]));
        all.enter("front", subnet, false, "b", &endpoint("f", 3, &["Api", "svc"]));
        all.enter("back", subnet, true, "b", &endpoint("k", 4, &["Api"]));
        all.enter("back", subnet, true, "c", &endpoint("k", 5, &["db"]));
        all
    }

    #[test]
    fn a_container_knows_who_is_on_its_own_networks() {
        let all = two_networks();
        assert_eq!(all.find("a", "API."), addresses(&[3]));
        assert_eq!(all.find("a", "svc"), addresses(&[2, 3]));
        assert_eq!(all.find("a", "api.front"), addresses(&[3]));
        assert_eq!(all.find("a", "api.back"), Found::Unknown);
        assert_eq!(all.find("a", "db"), Found::Unknown);
        assert_eq!(all.find("b", "db"), addresses(&[5]));
        assert_eq!(all.find("b", "api.back"), addresses(&[4]));
        assert_eq!(all.find("nobody", "web"), Found::Unknown);
        assert!(all.leads_out("a") && all.leads_out("b") && !all.leads_out("c"));
    }

    #[test]
    fn addresses_have_names_too() {
        let all = two_networks();
        assert_eq!(all.name_of("a", Ipv4Addr::new(10, 0, 0, 2).into()), Named::Name("web.front".into()));
        assert_eq!(all.name_of("a", Ipv4Addr::new(10, 0, 0, 9).into()), Named::Nobody);
        assert_eq!(all.name_of("a", Ipv4Addr::new(10, 9, 0, 9).into()), Named::Unknown);
    }

    #[test]
    fn a_link_is_known_to_its_container_alone() {
        let mut all = two_networks();
        let linked = Endpoint { links: vec![("database".into(), "db".into())], ..endpoint("k", 6, &["d"]) };
        all.enter("back", &[], true, "d", &linked);
        assert_eq!(all.find("d", "database"), addresses(&[5]));
        assert_eq!(all.find("c", "database"), Found::Unknown);
    }

    #[test]
    fn who_has_gone_is_known_no_more() {
        let mut all = two_networks();
        all.leave("b", "f");
        assert_eq!(all.find("a", "svc"), addresses(&[2]));
        assert_eq!(all.find("b", "web"), Found::Unknown);
        assert_eq!(all.find("b", "db"), addresses(&[5]));
        all.visit(false, "c");
        assert!(all.leads_out("c"));
        all.leave("c", "the default network");
        assert!(!all.leads_out("c"));
        for container in ["a", "b", "c"] {
            all.leave_all(container);
        }
        assert!(all.rooms.is_empty() && all.seats.is_empty());
    }
}
