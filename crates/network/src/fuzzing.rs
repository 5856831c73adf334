//! An entrance for the tests that feed hostile bytes (`tests/fuzz`), to parsers that nobody else outside of this crate
//! may call.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::dns::{self, Directory, Verdict};
use crate::endpoint::{Endpoint, MacAddr};

/// What a container on a network of two is told: `a` has addresses of both families, `b` one, and `svc` is both.
///
/// `stream`: the query came over TCP. `internal`: the network leads nowhere.
#[must_use]
pub fn dns(query: &[u8], turn: usize, stream: bool, internal: bool) -> Verdict {
    let mut all = Directory::default();
    for (container, last) in [("a", 2), ("b", 3)] {
        let endpoint = Endpoint {
            id: String::new(),
            network_id: "n".to_owned(),
            ip: Some(Ipv4Addr::new(10, 0, 0, last)),
            prefix_len: 24,
            gateway: None,
            ip6: (last == 2).then_some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0xa2)),
            prefix6_len: 64,
            gateway6: None,
            link_local: Vec::new(),
            mac: MacAddr([2, 0, 0, 0, 0, last]),
            interface: "eth0".to_owned(),
            host_interface: String::new(),
            ports: Vec::new(),
            names: vec![container.to_owned(), "svc".to_owned()],
            links: Vec::new(),
            priority: 0,
        };
        let subnets: Vec<IpNet> = endpoint
            .addresses()
            .map(|address| IpNet::new(address.network(), address.prefix_len()).unwrap_or(address))
            .collect();
        all.enter("net", &subnets, internal, container, &endpoint);
    }
    dns::answer(&all, "a", query, turn, stream)
}
