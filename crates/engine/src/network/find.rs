//! A network by what a person calls it.

use ::network::NetworkInfo;

use crate::engine::Inner;
use crate::error::{Error, Result};

impl Inner {
    /// A network by id, name, or unambiguous beginning of its id; in this order.
    ///
    /// # Errors
    /// None, or several.
    pub(crate) fn find_network(&self, name: &str) -> Result<NetworkInfo> {
        let mut all = self.all_networks();
        let exact = |all: &[NetworkInfo]| {
            let by_id = all.iter().position(|network| network.id == name);
            by_id.or_else(|| all.iter().position(|network| network.name == name))
        };
        if let Some(at) = exact(&all) {
            return Ok(all.swap_remove(at));
        }
        all.retain(|network| !name.is_empty() && network.id.starts_with(name));
        match all.len() {
            1 => Ok(all.swap_remove(0)),
            0 => Err(Error::not_found(format!("network {name} not found"))),
            _ => Err(Error::bad_parameter(format!(
                "network {name} is ambiguous (2 matches found on ID prefix)"
            ))),
        }
    }

    /// Every network; without the default one where that is turned off.
    pub(crate) fn all_networks(&self) -> Vec<NetworkInfo> {
        let off = self.config.bridge.name == "none";
        let networks = self.network.networks().into_iter();
        networks.filter(|network| !(off && network.name == "bridge")).collect()
    }

    /// The name under which a network is listed; as it is called when there is none.
    pub(crate) fn network_name(&self, called: &str) -> String {
        self.find_network(called).map_or_else(|_| called.to_owned(), |network| network.name)
    }
}
