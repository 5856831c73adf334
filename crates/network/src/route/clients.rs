//! The way back to a process that speaks in its clients' names: marked packets are delivered here, whatever their
//! destination. See ip-rule(8) and the kernel's `Documentation/networking/tproxy.rst`.

use rustix::io::Errno;

use super::address::{PROTOCOL_BOOT, number, rta};
use super::kind::{NEWROUTE, NEWRULE};
use crate::error::Result;
use crate::ipam::Family;
use crate::netlink::{Batch, Socket, flag};

/// The mark of packets and connections.
pub(crate) const MARK: u32 = 0x6265_7274;
/// The table that leads everything here.
const TABLE: u8 = 100;
/// The rule's place: before the machine's other routes.
const PRIORITY: u32 = 100;
/// `FR_ACT_TO_TBL`.
const TO_TABLE: u8 = 1;
/// `RT_SCOPE_HOST`: what lies there is this machine.
const SCOPE_HOST: u8 = 254;
/// `RTN_LOCAL`.
const TYPE_LOCAL: u8 = 2;
/// Number of the loopback interface, the first of every network namespace.
const LOOPBACK: u32 = 1;

/// `FRA_*`.
mod fra {
    pub(super) const PRIORITY: u16 = 6;
    pub(super) const FWMARK: u16 = 10;
}

/// Has a family's marked packets delivered here. Idempotent.
pub(crate) fn lead_clients_here(socket: &mut Socket, of: Family) -> Result<()> {
    let family = number(of);
    let (mut rule, mut route) = (Batch::default(), Batch::default());
    let how = flag::ACK | flag::CREATE | flag::EXCL;
    rule.push("adding a routing rule for answers to clients", NEWRULE, how, |m| {
        // `struct fib_rule_hdr`
        m.raw(&[family, 0, 0, 0, TABLE, 0, 0, TO_TABLE, 0, 0, 0, 0]);
        m.u32(fra::PRIORITY, PRIORITY).u32(fra::FWMARK, MARK);
    });
    route.push("adding a route for answers to clients", NEWROUTE, how, |m| {
        // `struct rtmsg`
        m.raw(&[family, 0, 0, 0, TABLE, PROTOCOL_BOOT, SCOPE_HOST, TYPE_LOCAL, 0, 0, 0, 0]);
        m.u32(rta::OIF, LOOPBACK);
    });
    for batch in [&mut rule, &mut route] {
        match socket.request(batch) {
            Err(error) if error.errno() == Some(Errno::EXIST) => {}
            made => drop(made?),
        }
    }
    Ok(())
}
