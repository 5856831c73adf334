//! Forwarding is a switch for the whole machine: who turned it on, and when it goes off again.

use super::Network;
use crate::error::Result;
use crate::record::{Forwarding, Record};
use crate::route;
use crate::sysctl;

impl Network {
    /// Whether forwarding is to be switched on, which `record` then says.
    pub(super) fn begin_forwarding(&self, record: &mut Record) -> Result<bool> {
        let forward = self.config.ip_forward && !sysctl::forwarding();
        if forward {
            record.forwarding = Some(Forwarding { boot_id: sysctl::boot_id(), uplinks: self.uplinks()? });
        }
        Ok(forward)
    }

    /// The host's interfaces that lead elsewhere: neither loopback nor a bridge nor its port.
    fn uplinks(&self) -> Result<Vec<String>> {
        let links = route::dump(&mut self.host())?;
        let elsewhere =
            |l: &route::Link| l.name != "lo" && l.kind.as_deref() != Some("bridge") && l.master.is_none();
        Ok(links.into_iter().filter(elsewhere).map(|l| l.name).collect())
    }

    /// Switches forwarding off, if we have switched it on and nobody can have come to rely on it
    /// since: every interface was there before.
    pub(super) fn end_forwarding(&self, record: &mut Record) -> Result<()> {
        let Some(ours) = record.forwarding.as_ref().filter(|f| f.boot_id == sysctl::boot_id()) else {
            return Ok(());
        };
        let uplinks = ours.uplinks.clone();
        // The administrator's bridge stays, and was there before.
        let bridge = Some(&self.config.bridge).filter(|bridge| bridge.external).map(|bridge| &bridge.name);
        let known = |name: &String| name == "lo" || uplinks.contains(name) || bridge == Some(name);
        let newcomer = || -> Result<bool> {
            let links = route::dump(&mut self.host())?;
            Ok(links.iter().any(|l| !known(&l.name)))
        };
        if newcomer()? {
            return Ok(());
        }
        sysctl::disable_forwarding()?;
        // Another daemon may have made its bridge, and found forwarding on, in between.
        if newcomer()? {
            return sysctl::enable_forwarding();
        }
        record.forwarding = None;
        record.write(&self.config.data_dir)
    }
}
