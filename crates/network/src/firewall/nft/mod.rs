//! nftables over netlink: transactions that the kernel takes as a whole.

mod diversion;
mod dump;
mod expr;

use super::plan::{Element, Family, Map, Place, Rule, UPLINKS, Way};
use crate::error::Result;
use crate::netlink::{Batch, Message, Socket, flag};

pub(super) use diversion::Diversion;
pub(crate) use dump::Foreign;
pub(super) use dump::{concerns, elements, exists, forward_policies};

/// `NFNL_SUBSYS_NFTABLES`.
const SUBSYSTEM: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN`.
const BATCH_BEGIN: u16 = 0x10;
/// `NFNL_MSG_BATCH_END`.
const BATCH_END: u16 = 0x11;
/// `NFPROTO_INET`: IPv4 and IPv6 in one table.
const INET: u8 = 1;
/// `NFTA_LIST_ELEM`.
const LIST_ELEM: u16 = 1;
/// `NFTA_DATA_VALUE`.
const DATA_VALUE: u16 = 1;
/// `NFTNL_UDATA_SET_ELEM_COMMENT`: tag of a comment in an element's user data.
const COMMENT: u8 = 0;

/// `NFT_MSG_*` with the subsystem.
mod kind {
    use super::SUBSYSTEM;

    pub(super) const NEWTABLE: u16 = SUBSYSTEM << 8;
    pub(super) const GETTABLE: u16 = (SUBSYSTEM << 8) | 1;
    pub(super) const DELTABLE: u16 = (SUBSYSTEM << 8) | 2;
    pub(super) const NEWCHAIN: u16 = (SUBSYSTEM << 8) | 3;
    pub(super) const GETCHAIN: u16 = (SUBSYSTEM << 8) | 4;
    pub(super) const NEWRULE: u16 = (SUBSYSTEM << 8) | 6;
    pub(super) const DELRULE: u16 = (SUBSYSTEM << 8) | 8;
    pub(super) const NEWSET: u16 = (SUBSYSTEM << 8) | 9;
    pub(super) const NEWSETELEM: u16 = (SUBSYSTEM << 8) | 12;
    pub(super) const GETSETELEM: u16 = (SUBSYSTEM << 8) | 13;
    pub(super) const DELSETELEM: u16 = (SUBSYSTEM << 8) | 14;
    pub(super) const NEWGEN: u16 = (SUBSYSTEM << 8) | 15;
}

/// `NFTA_CHAIN_*` and `NFTA_HOOK_*`.
mod chain {
    pub(super) const TABLE: u16 = 1;
    pub(super) const NAME: u16 = 3;
    pub(super) const HOOK: u16 = 4;
    pub(super) const POLICY: u16 = 5;
    pub(super) const TYPE: u16 = 7;
    pub(super) const HOOK_NUMBER: u16 = 1;
    pub(super) const HOOK_PRIORITY: u16 = 2;
}

/// `NFTA_SET_*`.
mod set {
    pub(super) const TABLE: u16 = 1;
    pub(super) const NAME: u16 = 2;
    pub(super) const FLAGS: u16 = 3;
    pub(super) const KEY_TYPE: u16 = 4;
    pub(super) const KEY_LEN: u16 = 5;
    pub(super) const DATA_TYPE: u16 = 6;
    pub(super) const DATA_LEN: u16 = 7;
    pub(super) const DESC: u16 = 9;
    pub(super) const ID: u16 = 10;
    /// `NFTA_SET_DESC_CONCAT`.
    pub(super) const DESC_CONCAT: u16 = 2;
    /// `NFTA_SET_FIELD_LEN`.
    pub(super) const FIELD_LEN: u16 = 1;
    /// `NFT_SET_INTERVAL`.
    pub(super) const INTERVAL: u32 = 4;
    /// `NFT_SET_MAP`.
    pub(super) const MAP: u32 = 8;
    /// `NFT_SET_CONCAT`: with `INTERVAL`, each part of a key is a range of its own.
    pub(super) const CONCAT: u32 = 0x80;
}

/// `NFTA_SET_ELEM_*`.
mod element {
    pub(super) const LIST_TABLE: u16 = 1;
    pub(super) const LIST_SET: u16 = 2;
    pub(super) const LIST_ELEMENTS: u16 = 3;
    pub(super) const KEY: u16 = 1;
    pub(super) const DATA: u16 = 2;
    pub(super) const USERDATA: u16 = 6;
    pub(super) const KEY_END: u16 = 10;
}

/// The `nft` program's numbers for types, by which it knows how to print a map; six bits each.
mod datatype {
    pub(super) const IPV4: u32 = 7;
    pub(super) const IPV6: u32 = 8;
    pub(super) const PROTOCOL: u32 = 12;
    pub(super) const PORT: u32 = 13;
    pub(super) const INTERFACE: u32 = 41;
}

/// Numbers of the sets within a transaction.
const UPLINKS_ID: [u32; 2] = [1, 2];
const FIRST_MAP_ID: u32 = 3;

/// What the kernel is to know of a map.
struct Layout {
    flags: u32,
    key_type: u32,
    key_len: u32,
    /// Lengths of the key's parts, without padding.
    fields: Vec<u32>,
    /// Type and length of the values; a set has none.
    data: Option<(u32, u32)>,
}

impl Layout {
    fn of(map: Map) -> Self {
        let (address, len) = match map.family {
            Family::V4 => (datatype::IPV4, 4),
            Family::V6 => (datatype::IPV6, 16),
        };
        let (mut key_type, mut key_len, mut fields) =
            ((datatype::PROTOCOL << 6) | datatype::PORT, 8, vec![1, 2]);
        if map.scope.here() {
            key_type |= address << 12;
            key_len += len;
            fields.insert(0, len);
        }
        let data = match map.way {
            Way::Published if map.scope.ranges() => Some((address, len)),
            Way::Published => Some(((address << 6) | datatype::PORT, len + 4)),
            Way::Routed => None,
        };
        let mut flags = if data.is_some() { set::MAP } else { 0 };
        if map.scope.ranges() {
            flags |= set::INTERVAL | set::CONCAT;
        }
        Self { flags, key_type, key_len, fields, data }
    }
}

/// `struct nfgenmsg`: family, version, resource.
fn header(family: u8) -> [u8; 4] {
    [family, 0, 0, 0]
}

/// Changes that happen together or not at all.
pub(super) struct Transaction {
    batch: Batch,
    table: String,
}

impl Transaction {
    pub(super) fn new(table: &str) -> Self {
        let mut batch = Batch::default();
        batch.push("opening an nftables transaction", BATCH_BEGIN, 0, frame);
        Self { batch, table: table.to_owned() }
    }

    /// The table; it may exist.
    pub(super) fn table(&mut self) {
        self.push("creating nftables table", kind::NEWTABLE, flag::CREATE, |m, table| {
            m.text(1, table);
        });
    }

    /// Removes the table; it must exist.
    pub(super) fn remove_table(&mut self) {
        self.push("removing nftables table", kind::DELTABLE, 0, |m, table| {
            m.text(1, table);
        });
    }

    /// The maps and sets of ports; they may exist, and then keep their elements.
    pub(super) fn maps(&mut self) {
        for (id, map) in Map::all().enumerate() {
            let layout = Layout::of(map);
            self.push("creating nftables map", kind::NEWSET, flag::CREATE, |m, table| {
                m.text(set::TABLE, table)
                    .text(set::NAME, &map.name())
                    .be32(set::FLAGS, layout.flags)
                    .be32(set::KEY_TYPE, layout.key_type)
                    .be32(set::KEY_LEN, layout.key_len)
                    .be32(set::ID, FIRST_MAP_ID + u32::try_from(id).unwrap_or(0));
                if let Some((kind, len)) = layout.data {
                    m.be32(set::DATA_TYPE, kind).be32(set::DATA_LEN, len);
                }
                if map.scope.ranges() {
                    fields(m, &layout.fields);
                }
            });
        }
    }

    /// A family's set of uplinks, which becomes this one.
    pub(super) fn uplinks(&mut self, family: Family, names: &[String]) {
        let uplinks = UPLINKS[family.index()];
        self.push("creating nftables set", kind::NEWSET, flag::CREATE, |m, table| {
            m.text(set::TABLE, table)
                .text(set::NAME, uplinks)
                .be32(set::FLAGS, 0)
                .be32(set::KEY_TYPE, datatype::INTERFACE)
                .be32(set::KEY_LEN, 16)
                .be32(set::ID, UPLINKS_ID[family.index()]);
        });
        self.push("emptying nftables set", kind::DELSETELEM, 0, |m, table| {
            m.text(element::LIST_TABLE, table).text(element::LIST_SET, uplinks);
        });
        if names.is_empty() {
            return;
        }
        self.push("filling nftables set", kind::NEWSETELEM, flag::CREATE, |m, table| {
            list(m, table, uplinks, names, |m, name| data(m, element::KEY, &expr::padded(name)));
        });
    }

    /// A chain, without rules; it may exist.
    pub(super) fn chain(&mut self, place: Place) {
        let Position { name, kind, hook, priority } = position(place);
        self.push("creating nftables chain", kind::NEWCHAIN, flag::CREATE, |m, table| {
            m.text(chain::TABLE, table)
                .text(chain::NAME, name)
                .nested(chain::HOOK, |m| {
                    m.be32(chain::HOOK_NUMBER, hook).be32(chain::HOOK_PRIORITY, priority.cast_unsigned());
                })
                .text(chain::TYPE, kind);
        });
        self.push("emptying nftables chain", kind::DELRULE, 0, |m, table| {
            m.text(expr::RULE_TABLE, table).text(expr::RULE_CHAIN, name);
        });
    }

    /// A rule at the end of its chain.
    pub(super) fn rule(&mut self, place: Place, rule: &Rule) {
        let name = position(place).name;
        self.push("adding nftables rule", kind::NEWRULE, flag::CREATE | flag::APPEND, |m, table| {
            m.text(expr::RULE_TABLE, table).text(expr::RULE_CHAIN, name);
            expr::write(m, rule);
        });
    }

    /// Elements of one map; each must be new, or the same as before.
    pub(super) fn add_elements(&mut self, map: &str, elements: &[&Element]) {
        self.push("publishing ports", kind::NEWSETELEM, flag::CREATE, |m, table| {
            list(m, table, map, elements, |m, e| {
                key(m, e);
                if !e.value.is_empty() {
                    data(m, element::DATA, &e.value);
                }
                m.bytes(element::USERDATA, &comment(&e.container_id));
            });
        });
    }

    /// Elements of one map; each must exist.
    pub(super) fn remove_elements(&mut self, map: &str, elements: &[&Element]) {
        self.push("taking back published ports", kind::DELSETELEM, 0, |m, table| {
            list(m, table, map, elements, |m, e| key(m, e));
        });
    }

    /// Carries it out.
    pub(super) fn commit(mut self, socket: &mut Socket) -> Result<()> {
        let last = self.batch.len().saturating_sub(1);
        self.batch.acknowledge_last();
        self.batch.push("closing an nftables transaction", BATCH_END, 0, frame);
        socket.transaction(&mut self.batch, last)
    }

    fn push(&mut self, action: &str, kind: u16, flags: u16, fill: impl FnOnce(&mut Message<'_>, &str)) {
        let table = &self.table;
        self.batch.push(format!("{action} ({table})"), kind, flags, |m| {
            m.raw(&header(INET));
            fill(m, table);
        });
    }
}

/// Payload of the messages that frame a transaction.
fn frame(m: &mut Message<'_>) {
    let [high, low] = SUBSYSTEM.to_be_bytes();
    m.raw(&[0, 0, high, low]);
}

fn list<T>(m: &mut Message<'_>, table: &str, map: &str, elements: &[T], fill: impl Fn(&mut Message<'_>, &T)) {
    m.text(element::LIST_TABLE, table).text(element::LIST_SET, map).nested(element::LIST_ELEMENTS, |m| {
        for e in elements {
            m.nested(LIST_ELEM, |m| fill(m, e));
        }
    });
}

fn key(m: &mut Message<'_>, element: &Element) {
    data(m, element::KEY, &element.key);
    if let Some(end) = &element.end {
        data(m, element::KEY_END, end);
    }
}

/// The lengths of a key's parts.
fn fields(m: &mut Message<'_>, lengths: &[u32]) {
    m.nested(set::DESC, |m| {
        m.nested(set::DESC_CONCAT, |m| {
            for len in lengths {
                m.nested(LIST_ELEM, |m| {
                    m.be32(set::FIELD_LEN, *len);
                });
            }
        });
    });
}

fn data(m: &mut Message<'_>, kind: u16, value: &[u8]) {
    m.nested(kind, |m| {
        m.bytes(DATA_VALUE, value);
    });
}

/// User data that the `nft` program shows as a comment: tag, length, text with its final zero.
fn comment(text: &str) -> Vec<u8> {
    let text = &text.as_bytes()[..text.len().min(127)];
    let mut bytes = vec![COMMENT, u8::try_from(text.len() + 1).unwrap_or(0)];
    bytes.extend_from_slice(text);
    bytes.push(0);
    bytes
}

/// How the kernel calls a place.
struct Position {
    name: &'static str,
    kind: &'static str,
    /// `NF_INET_*`.
    hook: u32,
    priority: i32,
}

fn position(place: Place) -> Position {
    let (name, kind, hook, priority) = match place {
        Place::Raw => ("raw", "filter", 0, -300),
        Place::Returning => ("returning", "filter", 0, -150),
        Place::Prerouting => ("prerouting", "nat", 0, -100),
        Place::Forward => ("forward", "filter", 2, 0),
        Place::Output => ("output", "nat", 3, -100),
        Place::Postrouting => ("postrouting", "nat", 4, 100),
    };
    Position { name, kind, hook, priority }
}
