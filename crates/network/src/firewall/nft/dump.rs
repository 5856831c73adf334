//! Reading tables back.

use std::net::Ipv4Addr;

use super::{
    COMMENT, DATA_VALUE, INET, LIST_ELEM, PUBLISHED_EVERYWHERE, PUBLISHED_HERE, chain, element, header, kind,
};
use crate::endpoint::{Protocol, PublishedPort};
use crate::error::Result;
use crate::netlink::{Batch, Reply, Socket, attr, flag};

/// Length of `struct nfgenmsg`.
const NFGENMSG_LEN: usize = 4;
/// `NF_INET_FORWARD`.
const HOOK_FORWARD: u32 = 2;
/// `NF_DROP`.
const DROP: u32 = 0;

/// A published port as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// The container it was published for.
    pub(crate) container_id: String,
    /// The port.
    pub(crate) port: PublishedPort,
    /// The container's address.
    pub(crate) ip: Ipv4Addr,
}

/// Somebody else's chain that drops forwarded packets by policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// Its table.
    pub(crate) table: String,
    /// Its name.
    pub(crate) chain: String,
}

/// Asks for a table; `ENOENT` when there is none.
pub(in crate::firewall) fn exists(socket: &mut Socket, table: &str) -> Result<()> {
    let mut batch = Batch::default();
    batch.push(format!("looking for nftables table {table}"), kind::GETTABLE, flag::ACK, |m| {
        m.raw(&header(INET)).text(1, table);
    });
    socket.request(&mut batch).map(|_| ())
}

/// Every element of our maps.
pub(in crate::firewall) fn published(socket: &mut Socket, table: &str) -> Result<Vec<Published>> {
    let mut found = Vec::new();
    for map in [PUBLISHED_HERE, PUBLISHED_EVERYWHERE] {
        let mut batch = Batch::default();
        batch.push(format!("listing published ports ({table})"), kind::GETSETELEM, flag::DUMP, |m| {
            m.raw(&header(INET)).text(element::LIST_TABLE, table).text(element::LIST_SET, map);
        });
        for reply in socket.request(&mut batch)? {
            let attributes = reply.payload.get(NFGENMSG_LEN..).unwrap_or_default();
            let list = attr::find(attributes, element::LIST_ELEMENTS).unwrap_or_default();
            let elements = attr::iter(list).filter(|(kind, _)| *kind == LIST_ELEM);
            found.extend(elements.filter_map(|(_, e)| parse(map, e)));
        }
    }
    Ok(found)
}

fn parse(map: &str, attributes: &[u8]) -> Option<Published> {
    let value = |kind| attr::find(attr::find(attributes, kind)?, DATA_VALUE);
    let (mut key, data) = (value(element::KEY)?, value(element::DATA)?);
    let mut host_ip = Ipv4Addr::UNSPECIFIED;
    if map == PUBLISHED_HERE {
        host_ip = ipv4(key)?;
        key = key.get(4..)?;
    }
    let protocol = match key.first()? {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        _ => return None,
    };
    let port = PublishedPort {
        protocol,
        host_ip,
        host_port: port(key.get(4..)?)?,
        container_port: port(data.get(4..)?)?,
    };
    let comment = attr::find(attributes, element::USERDATA).and_then(comment).unwrap_or_default();
    Some(Published { container_id: comment, port, ip: ipv4(data)? })
}

/// The text of a comment in user data: tag, length, text.
fn comment(bytes: &[u8]) -> Option<String> {
    let (&[tag, len], text) = bytes.split_first_chunk::<2>()?;
    (tag == COMMENT).then(|| text.get(..usize::from(len)).map(attr::text))?
}

fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    bytes.first_chunk::<4>().map(|b| Ipv4Addr::from(*b))
}

fn port(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk::<2>().map(|b| u16::from_be_bytes(*b))
}

/// Every chain, of any family and table, that drops forwarded packets unless a rule accepts them.
pub(in crate::firewall) fn forward_policies(socket: &mut Socket) -> Result<Vec<Foreign>> {
    let replies = socket.dump("listing nftables chains", kind::GETCHAIN, &header(0))?;
    Ok(replies.iter().filter_map(forward_drop).collect())
}

fn forward_drop(reply: &Reply) -> Option<Foreign> {
    let attributes = reply.payload.get(NFGENMSG_LEN..)?;
    let hook = attr::find(attr::find(attributes, chain::HOOK)?, chain::HOOK_NUMBER)?;
    let policy = attr::find(attributes, chain::POLICY)?;
    let family_carries_ipv4 = matches!(*reply.payload.first()?, 1 | 2);
    let be32 = |v: &[u8]| v.first_chunk::<4>().map(|b| u32::from_be_bytes(*b));
    if !family_carries_ipv4 || be32(hook)? != HOOK_FORWARD || be32(policy)? != DROP {
        return None;
    }
    let text = |kind| attr::find(attributes, kind).map(attr::text);
    Some(Foreign { table: text(chain::TABLE)?, chain: text(chain::NAME)? })
}
