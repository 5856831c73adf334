//! Joining a namespace to the bridge: one message makes the pair, one send configures its end.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use ipnet::Ipv4Net;

use super::Bridge;
use crate::endpoint::MacAddr;
use crate::error::Result;
use crate::netlink::{Batch, Socket};
use crate::netns::Namespace;
use crate::route::{self, Veth};

/// What to make of a namespace.
#[derive(Debug)]
pub(crate) struct Joined<'a> {
    /// Name of the host's end.
    pub(crate) host_name: &'a str,
    /// Name of the container's end.
    pub(crate) name: &'a str,
    /// Where the container's default route leads, if it is to lead through here.
    pub(crate) gateway: Option<Ipv4Addr>,
    /// The container's address.
    pub(crate) ip: Ipv4Addr,
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
    bridge: &Bridge,
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
        },
    );
    if wanted.isolated || wanted.hairpin {
        route::push_port(&mut batch, wanted.host_name, wanted.hairpin, wanted.isolated);
    }
    let mut host = host.lock().unwrap_or_else(PoisonError::into_inner);
    host.request(&mut batch)?;
    let port = host.index_of(wanted.host_name)?;
    // A container that is started again has the address that it had. Its former interface may
    // linger until the kernel has freed the namespace: nothing must go there any more.
    let mut batch = Batch::default();
    route::push_forwarding(&mut batch, port, wanted.mac);
    route::push_neighbour(&mut batch, bridge.index, wanted.ip, wanted.mac);
    host.request(&mut batch)?;
    drop(host);

    let index = namespace.route.index_of(wanted.name)?;
    let mut batch = Batch::default();
    route::push_up(&mut batch, index);
    route::push_address(&mut batch, index, Ipv4Net::new_assert(wanted.ip, bridge.address.prefix_len()));
    if let Some(gateway) = wanted.gateway {
        route::default_route(&mut batch, index, gateway);
    }
    namespace.route.request(&mut batch).map(|_| ())
}
