//! Rewriting ports in packets, without tracking their connections.

use std::net::Ipv4Addr;

use super::expr::{self, Header};
use super::{Transaction, chain, kind};
use crate::endpoint::Protocol;
use crate::error::Result;
use crate::netlink::{Socket, flag};

/// The chain's name.
const CHAIN: &str = "output";
/// `NF_INET_LOCAL_OUT`.
const HOOK_OUTPUT: u32 = 3;
/// Before everything that looks at ports.
const PRIORITY: i32 = -300;

/// A table with one chain, through which all that the namespace sends passes.
pub(in crate::firewall) struct Diversion {
    transaction: Transaction,
}

impl Diversion {
    pub(in crate::firewall) fn new(table: &str) -> Self {
        let mut transaction = Transaction::new(table);
        // In place of an earlier one, if there is one.
        transaction.table();
        transaction.remove_table();
        transaction.table();
        transaction.push("creating nftables chain", kind::NEWCHAIN, flag::CREATE, |m, table| {
            m.text(chain::TABLE, table)
                .text(chain::NAME, CHAIN)
                .nested(chain::HOOK, |m| {
                    m.be32(chain::HOOK_NUMBER, HOOK_OUTPUT)
                        .be32(chain::HOOK_PRIORITY, PRIORITY.cast_unsigned());
                })
                .text(chain::TYPE, "filter");
        });
        Self { transaction }
    }

    /// What goes to port `from` of `ip` goes to port `to`.
    pub(in crate::firewall) fn there(&mut self, ip: Ipv4Addr, protocol: Protocol, from: u16, to: u16) {
        self.rule(Header::Destination, ip, protocol, from, to);
    }

    /// What comes from port `from` of `ip` comes from port `to`.
    pub(in crate::firewall) fn back(&mut self, ip: Ipv4Addr, protocol: Protocol, from: u16, to: u16) {
        self.rule(Header::Source, ip, protocol, from, to);
    }

    pub(in crate::firewall) fn commit(self, socket: &mut Socket) -> Result<()> {
        self.transaction.commit(socket)
    }

    fn rule(&mut self, end: Header, ip: Ipv4Addr, protocol: Protocol, from: u16, to: u16) {
        let flags = flag::CREATE | flag::APPEND;
        self.transaction.push("adding nftables rule", kind::NEWRULE, flags, |m, table| {
            m.text(expr::RULE_TABLE, table).text(expr::RULE_CHAIN, CHAIN);
            expr::divert(m, end, ip, protocol, (from, to));
        });
    }
}
