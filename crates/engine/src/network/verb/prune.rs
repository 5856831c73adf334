//! `prune`.

use std::sync::Arc;

use super::remove::remove;
use crate::Engine;
use crate::container::task::blocking;
use crate::error::Result;
use crate::events::EventKind;
use crate::filters::Filters;

impl Engine {
    /// Removes networks that no running container is on; their names. With `dry` they stay.
    ///
    /// # Errors
    /// An unknown filter, or a wrong moment. A network that can't be removed is left out.
    pub async fn network_prune(&self, filters: Filters, dry: bool) -> Result<Vec<String>> {
        filters.only(&["label", "label!", "until"])?;
        let until = filters.until()?;
        let unused = self.network_list().into_iter().filter(|network| {
            network.user_defined
                && network.containers.is_empty()
                && until.is_none_or(|until| network.created < until)
                && filters.spares_not(&network.labels)
        });
        let unused: Vec<_> = unused.map(|network| (network.id, network.name)).collect();
        if dry {
            return Ok(unused.into_iter().map(|(_, name)| name).collect());
        }
        let engine = Arc::clone(&self.0);
        blocking(move || {
            let mut removed = Vec::new();
            for (id, name) in unused {
                let gone = engine.find_network(&id).and_then(|network| remove(&engine, &network));
                match gone {
                    Ok(()) => removed.push(name),
                    // Somebody has joined it in the meantime, or removed it.
                    Err(error) => tracing::debug!(network = %name, %error, "not pruned"),
                }
            }
            engine.events.pruned(EventKind::Network, 0);
            Ok(removed)
        })
        .await
    }
}
