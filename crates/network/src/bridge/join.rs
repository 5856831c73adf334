//! Joining a namespace to the bridge: one message makes the pair, one send configures its end.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use ipnet::IpNet;

use crate::driver::Segment;
use crate::endpoint::MacAddr;
use crate::error::Result;
use crate::ipam::Family;
use crate::netlink::{Batch, Socket};
use crate::netns::Namespace;
use crate::route::{self, Veth};
use crate::sysctl;

/// What to make of a namespace.
#[derive(Debug)]
pub(crate) struct Joined<'a> {
    /// Id of the endpoint.
    pub(crate) endpoint_id: &'a str,
    /// Name of the host's end, where the host has one.
    pub(crate) host_name: &'a str,
    /// Name of the container's end.
    pub(crate) name: &'a str,
    /// Where the container's default routes lead, of each family that is to lead through here.
    pub(crate) gateways: Vec<IpAddr>,
    /// The container's addresses, with their subnets' prefixes.
    pub(crate) addresses: Vec<IpNet>,
    /// Further addresses, which the host knows nothing of.
    pub(crate) further: Vec<IpNet>,
    /// Its hardware address.
    pub(crate) mac: MacAddr,
    /// Keep it from the bridge's other containers.
    pub(crate) isolated: bool,
    /// It publishes ports, to which it may connect itself: the bridge must then send frames back
    /// where they came from.
    pub(crate) hairpin: bool,
}

/// Connects the namespace to the bridge. On an error, what was made dies with the namespace.
pub(crate) fn join(
    host: &Mutex<Socket>,
    bridge: &Segment,
    namespace: &mut Namespace,
    wanted: &Joined<'_>,
) -> Result<()> {
    let mut batch = Batch::default();
    route::push_veth(
        &mut batch,
        &Veth {
            host_name: wanted.host_name,
            bridge: bridge.index,
            netns: namespace.fd.as_fd(),
            name: wanted.name,
            mac: wanted.mac,
            mtu: bridge.mtu,
            up: false,
        },
    );
    if wanted.isolated || wanted.hairpin {
        route::push_port(&mut batch, wanted.host_name, wanted.hairpin, wanted.isolated);
    }
    let lock = || host.lock().unwrap_or_else(PoisonError::into_inner);
    let mut host = lock();
    with_ipv6(namespace, wanted, || host.request(&mut batch))?;
    let port = host.index_of(wanted.host_name)?;
    // A port speaks no IPv6 of its own, the bridge does. With it, each would cost the kernel a walk through the routes of
    // all others, when it comes and when it goes; whatever else the kernel does with it does no harm.
    let _ = sysctl::disable_ipv6(wanted.host_name);
    let mut batch = Batch::default();
    route::push_up(&mut batch, port);
    host.request(&mut batch)?;
    drop(host);
    configure(namespace, wanted)?;
    let mut host = lock();
    // A container that is started again has the address that it had. Its former interface may
    // linger until the kernel has freed the namespace: nothing must go there any more.
    let mut batch = Batch::default();
    route::push_forwarding(&mut batch, port, wanted.mac);
    // Where the host speaks no IPv6 it knows nobody.
    let speaks = |address: &&IpNet| {
        address.addr().is_ipv4() || bridge.side(Family::V6).is_some_and(|side| side.host.is_some())
    };
    for address in wanted.addresses.iter().filter(speaks) {
        route::push_neighbour(&mut batch, bridge.index, address.addr(), wanted.mac);
    }
    // The port forwards as soon as the kernel has taken notice of its carrier, and the bridge likewise.
    route::push_notice(&mut batch, port);
    route::push_notice(&mut batch, bridge.index);
    host.request(&mut batch).map(|_| ())
}

/// Makes an interface in the namespace, which has IPv6 if it is to have such an address.
pub(crate) fn with_ipv6<T>(namespace: &Namespace, wanted: &Joined<'_>, make: impl FnOnce() -> T) -> T {
    let six = wanted.addresses.iter().chain(&wanted.further).any(|net| matches!(net, IpNet::V6(_)));
    if !six {
        return make();
    }
    namespace.ipv6(true);
    let made = make();
    namespace.ipv6(false);
    made
}

/// The container's half: its interface is there, and gets up, its addresses and its routes.
fn configure(namespace: &mut Namespace, wanted: &Joined<'_>) -> Result<()> {
    let index = namespace.route.index_of(wanted.name)?;
    let mut batch = Batch::default();
    route::push_up(&mut batch, index);
    for address in wanted.addresses.iter().chain(&wanted.further) {
        route::push_address(&mut batch, index, *address);
    }
    for gateway in &wanted.gateways {
        route::default_route(&mut batch, index, *gateway);
    }
    route::push_notice(&mut batch, index);
    namespace.route.request(&mut batch).map(|_| ())
}
