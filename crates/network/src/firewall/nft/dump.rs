//! Reading tables back.

use rustix::io::Errno;

use super::{COMMENT, DATA_VALUE, INET, LIST_ELEM, SUBSYSTEM, chain, element, header, kind};
use crate::error::Result;
use crate::firewall::plan::{Element, Map};
use crate::netlink::{Batch, Reply, Socket, attr, flag};

/// Length of `struct nfgenmsg`.
const NFGENMSG_LEN: usize = 4;
/// `NF_INET_FORWARD`.
const HOOK_FORWARD: u32 = 2;
/// `NF_DROP`.
const DROP: u32 = 0;

/// Somebody else's chain that drops forwarded packets by policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// The family: `ip`, `ip6` or `inet`.
    pub(crate) family: &'static str,
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
pub(in crate::firewall) fn elements(socket: &mut Socket, table: &str) -> Result<Vec<Element>> {
    let mut found = Vec::new();
    for map in Map::all() {
        let mut batch = Batch::default();
        batch.push(format!("listing published ports ({table})"), kind::GETSETELEM, flag::DUMP, |m| {
            m.raw(&header(INET)).text(element::LIST_TABLE, table).text(element::LIST_SET, &map.name());
        });
        let replies = match socket.request(&mut batch) {
            // A table of a release that had fewer maps.
            Err(error) if error.errno() == Some(Errno::NOENT) => continue,
            replies => replies?,
        };
        for reply in replies {
            let attributes = reply.payload.get(NFGENMSG_LEN..).unwrap_or_default();
            let list = attr::find(attributes, element::LIST_ELEMENTS).unwrap_or_default();
            let elements = attr::iter(list).filter(|(kind, _)| *kind == LIST_ELEM);
            found.extend(elements.filter_map(|(_, e)| parse(map, e)));
        }
    }
    Ok(found)
}

fn parse(map: Map, attributes: &[u8]) -> Option<Element> {
    let value = |kind| attr::find(attr::find(attributes, kind)?, DATA_VALUE).map(<[u8]>::to_vec);
    let key = value(element::KEY)?;
    let end =
        if map.scope.ranges() { Some(value(element::KEY_END).unwrap_or_else(|| key.clone())) } else { None };
    let container_id = attr::find(attributes, element::USERDATA).and_then(comment).unwrap_or_default();
    Some(Element { map, key, end, value: value(element::DATA).unwrap_or_default(), container_id })
}

/// The text of a comment in user data: tag, length, text.
fn comment(bytes: &[u8]) -> Option<String> {
    let (&[tag, len], text) = bytes.split_first_chunk::<2>()?;
    (tag == COMMENT).then(|| text.get(..usize::from(len)).map(attr::text))?
}

/// Whether a message of the kernel's is about something in this table of ours.
pub(in crate::firewall) fn concerns(message: u16, payload: &[u8], table: &str) -> bool {
    // Of every kind of object's attributes, the table's name is the first.
    const TABLE: u16 = 1;
    let Some((header, attributes)) = payload.split_first_chunk::<NFGENMSG_LEN>() else { return false };
    let of_nftables = message >> 8 == SUBSYSTEM && message != kind::NEWGEN;
    of_nftables
        && header[0] == INET
        && attr::find(attributes, TABLE).is_some_and(|name| attr::text(name) == table)
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
    let family = match *reply.payload.first()? {
        1 => "inet",
        2 => "ip",
        10 => "ip6",
        _ => return None,
    };
    let be32 = |v: &[u8]| v.first_chunk::<4>().map(|b| u32::from_be_bytes(*b));
    if be32(hook)? != HOOK_FORWARD || be32(policy)? != DROP {
        return None;
    }
    let text = |kind| attr::find(attributes, kind).map(attr::text);
    Some(Foreign { family, table: text(chain::TABLE)?, chain: text(chain::NAME)? })
}
