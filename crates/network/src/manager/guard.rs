//! Keeping the firewall as it is meant to be, whoever changes it.

use super::Network;
use crate::error::Result;
use crate::firewall::Watch;

impl Network {
    /// A descriptor that becomes readable when rules of this machine change, to call [`Network::repair`] if it was
    /// somebody else; `None` without a firewall (`--iptables=false`), and on a kernel without nftables.
    pub fn watch(&self) -> Option<Watch> {
        if !self.config.firewall {
            return None;
        }
        let watch = self.firewall().watch();
        watch.inspect_err(|error| tracing::warn!(%error, "changes of our rules by others go unnoticed")).ok()
    }

    /// Puts our table back as it is meant to be, at once: whether there was anything to do. Other tables are left alone.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn repair(&self) -> Result<bool> {
        let needed = self.state().nets.values().any(|net| net.up.is_some());
        if needed {
            self.restore_rules()?;
        }
        Ok(needed)
    }

    /// Puts back what a flush of all firewall tables has taken: rules, and every published port.
    pub(super) fn restore_rules(&self) -> Result<()> {
        let state = self.state();
        let rules = state.rules();
        let published: Vec<_> =
            state.placed().flat_map(|(id, endpoint)| state.elements(id, endpoint)).collect();
        let mut firewall = self.firewall();
        // What was changed, and not removed, may be in the way.
        firewall
            .apply(&rules, state.all_uplinks(), &published)
            .or_else(|_in_the_way| firewall.replace(&rules, state.all_uplinks(), &published))
    }
}
