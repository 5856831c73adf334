//! nftables over netlink: transactions that the kernel takes as a whole.

mod diversion;
mod dump;
mod expr;

use super::plan::{Element, PUBLISHED_EVERYWHERE, PUBLISHED_HERE, Place, Rule, UPLINKS};
use crate::error::Result;
use crate::netlink::{Batch, Message, Socket, flag};

pub(super) use diversion::Diversion;
pub(crate) use dump::{Foreign, Published};
pub(super) use dump::{exists, forward_policies, published};

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
    pub(super) const ID: u16 = 10;
    /// `NFT_SET_MAP`.
    pub(super) const MAP: u32 = 8;
}

/// `NFTA_SET_ELEM_*`.
mod element {
    pub(super) const LIST_TABLE: u16 = 1;
    pub(super) const LIST_SET: u16 = 2;
    pub(super) const LIST_ELEMENTS: u16 = 3;
    pub(super) const KEY: u16 = 1;
    pub(super) const DATA: u16 = 2;
    pub(super) const USERDATA: u16 = 6;
}

/// The `nft` program's numbers for types, by which it knows how to print a map; six bits each.
mod datatype {
    pub(super) const IPV4: u32 = 7;
    pub(super) const PROTOCOL: u32 = 12;
    pub(super) const PORT: u32 = 13;
    pub(super) const INTERFACE: u32 = 41;
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

    /// The maps of published ports; they may exist, and then keep their elements.
    pub(super) fn maps(&mut self) {
        let here = (datatype::IPV4 << 12) | (datatype::PROTOCOL << 6) | datatype::PORT;
        let everywhere = (datatype::PROTOCOL << 6) | datatype::PORT;
        let value = (datatype::IPV4 << 6) | datatype::PORT;
        for (id, (name, key, len)) in
            [(PUBLISHED_HERE, here, 12), (PUBLISHED_EVERYWHERE, everywhere, 8)].into_iter().enumerate()
        {
            self.push("creating nftables map", kind::NEWSET, flag::CREATE, |m, table| {
                m.text(set::TABLE, table)
                    .text(set::NAME, name)
                    .be32(set::FLAGS, set::MAP)
                    .be32(set::KEY_TYPE, key)
                    .be32(set::KEY_LEN, len)
                    .be32(set::DATA_TYPE, value)
                    .be32(set::DATA_LEN, 8)
                    .be32(set::ID, u32::try_from(id).unwrap_or(0) + 1);
            });
        }
    }

    /// The set of uplinks, which becomes this one.
    pub(super) fn uplinks(&mut self, names: &[String]) {
        self.push("creating nftables set", kind::NEWSET, flag::CREATE, |m, table| {
            m.text(set::TABLE, table)
                .text(set::NAME, UPLINKS)
                .be32(set::FLAGS, 0)
                .be32(set::KEY_TYPE, datatype::INTERFACE)
                .be32(set::KEY_LEN, 16)
                .be32(set::ID, 3);
        });
        self.push("emptying nftables set", kind::DELSETELEM, 0, |m, table| {
            m.text(element::LIST_TABLE, table).text(element::LIST_SET, UPLINKS);
        });
        if names.is_empty() {
            return;
        }
        self.push("filling nftables set", kind::NEWSETELEM, flag::CREATE, |m, table| {
            list(m, table, UPLINKS, names, |m, name| data(m, element::KEY, &expr::padded(name)));
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
    pub(super) fn add_elements(&mut self, map: &str, elements: &[Element]) {
        self.push("publishing ports", kind::NEWSETELEM, flag::CREATE, |m, table| {
            list(m, table, map, elements, |m, e| {
                data(m, element::KEY, &e.key);
                data(m, element::DATA, &e.value);
                m.bytes(element::USERDATA, &comment(&e.container_id));
            });
        });
    }

    /// Elements of one map; each must exist.
    pub(super) fn remove_elements(&mut self, map: &str, elements: &[Element]) {
        self.push("taking back published ports", kind::DELSETELEM, 0, |m, table| {
            list(m, table, map, elements, |m, e| data(m, element::KEY, &e.key));
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
        Place::Prerouting => ("prerouting", "nat", 0, -100),
        Place::Forward => ("forward", "filter", 2, 0),
        Place::Output => ("output", "nat", 3, -100),
        Place::Postrouting => ("postrouting", "nat", 4, 100),
    };
    Position { name, kind, hook, priority }
}
