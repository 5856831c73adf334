//! Rules in a container's own namespace that lead one address and port to others, and back.

use std::net::Ipv4Addr;

use super::nft::Diversion;
use crate::endpoint::Protocol;
use crate::error::Result;
use crate::netlink::{self, Socket};

/// Name of the table.
const TABLE: &str = "berth-resolver";

/// In the namespace of the calling thread: what goes to `ip`:`port` arrives at `udp` or `tcp` of
/// the same address, and answers come from `port`. Stateless: only the ports in packets change. Gives the socket,
/// which is slow to close ([`crate::netns::within_then_drop`]).
pub(crate) fn install(ip: Ipv4Addr, port: u16, udp: u16, tcp: u16) -> Result<Socket> {
    let mut socket = Socket::open(netlink::Protocol::Netfilter)?;
    let mut diversion = Diversion::new(TABLE);
    for (protocol, at) in [(Protocol::Udp, udp), (Protocol::Tcp, tcp)] {
        diversion.there(ip, protocol, port, at);
        diversion.back(ip, protocol, at, port);
    }
    diversion.commit(&mut socket)?;
    Ok(socket)
}
