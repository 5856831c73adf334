//! Forwarding is a switch for the whole machine, one a family: who turned it on, and when it goes off again.

use super::Network;
use crate::driver::Segment;
use crate::error::Result;
use crate::ipam::Family;
use crate::record::{Forwarding, Record};
use crate::route;
use crate::sysctl;

impl Network {
    /// The families whose forwarding is to be switched on for a network, which `record` then says.
    pub(super) fn begin_forwarding(&self, record: &mut Record, segment: &Segment) -> Result<Vec<Family>> {
        let mut begun = Vec::new();
        for family in Family::ALL {
            let needed = self.config.ip_forward && segment.side(family).is_some();
            if !needed || sysctl::forwarding(family) {
                continue;
            }
            let uplinks = self.uplinks()?;
            let listens = |name: &&String| family == Family::V6 && sysctl::accepts_routers(name) == Some(1);
            let listening = uplinks.iter().filter(listens).cloned().collect();
            let forwarding = Forwarding { boot_id: sysctl::boot_id(), uplinks, listening };
            record.set_forwarding(family, Some(forwarding));
            begun.push(family);
        }
        Ok(begun)
    }

    /// Switches a family's forwarding on, as `record` says already. A host that has its own IPv6 address
    /// and route from a router would lose them by that, and so goes on listening to routers.
    pub(super) fn switch_forwarding(&self, record: &Record, family: Family) -> Result<()> {
        for interface in record.forwarding(family).map_or(&[][..], |forwarding| &forwarding.listening) {
            sysctl::set_accepts_routers(interface, 2)?;
        }
        sysctl::enable_forwarding(family)
    }

    /// The host's interfaces that lead elsewhere: neither loopback nor a bridge nor its port.
    fn uplinks(&self) -> Result<Vec<String>> {
        let links = route::dump(&mut self.host())?;
        let elsewhere =
            |l: &route::Link| l.name != "lo" && l.kind.as_deref() != Some("bridge") && l.master.is_none();
        Ok(links.into_iter().filter(elsewhere).map(|l| l.name).collect())
    }

    /// Switches forwarding off, where we have switched it on and nobody can have come to rely on it
    /// since: every interface was there before.
    pub(super) fn end_forwarding(&self, record: &mut Record) -> Result<()> {
        let mut ended = Ok(());
        for family in Family::ALL {
            ended = ended.and(self.end_one(record, family));
        }
        ended
    }

    fn end_one(&self, record: &mut Record, family: Family) -> Result<()> {
        let ours = record.forwarding(family).filter(|ours| ours.boot_id == sysctl::boot_id());
        let Some(ours) = ours.cloned() else { return Ok(()) };
        // The administrator's bridge stays, and was there before.
        let bridge = Some(&self.config.bridge).filter(|bridge| bridge.external).map(|bridge| &bridge.name);
        let known = |name: &String| name == "lo" || ours.uplinks.contains(name) || bridge == Some(name);
        let newcomer = || -> Result<bool> {
            let links = route::dump(&mut self.host())?;
            Ok(links.iter().any(|l| !known(&l.name)))
        };
        if newcomer()? {
            return Ok(());
        }
        sysctl::disable_forwarding(family)?;
        // Another daemon may have made its bridge, and found forwarding on, in between.
        if newcomer()? {
            return sysctl::enable_forwarding(family);
        }
        for interface in ours.listening.iter().filter(|name| sysctl::accepts_routers(name) == Some(2)) {
            sysctl::set_accepts_routers(interface, 1)?;
        }
        record.set_forwarding(family, None);
        record.write(&self.config.data_dir)
    }
}
