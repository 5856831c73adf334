//! `remove`.

use std::sync::Arc;

use super::event;
use crate::Engine;
use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::{Error, Result};
use crate::network::attach::kind;
use crate::network::cluster;

impl Engine {
    /// Removes a network.
    ///
    /// # Errors
    /// No such network; it is Docker's own; a running container is on it.
    pub async fn network_remove(&self, name: &str) -> Result<()> {
        let network = self.0.find_network(name)?;
        let engine = Arc::clone(&self.0);
        blocking(move || remove(&engine, &network)).await
    }
}

/// Removes it, and tells so. Blocks.
pub(super) fn remove(engine: &Inner, network: &::network::NetworkInfo) -> Result<()> {
    if !network.user_defined {
        return Err(Error::forbidden(format!(
            "{} is a pre-defined network and cannot be removed",
            network.name
        )));
    }
    if network.driver == cluster::DRIVER {
        cluster::remove(engine, &network.id)?;
    } else {
        engine.network.remove(&network.id).map_err(|error| {
            let kind = kind(&error);
            Error::system(error.to_string()).of_kind(kind).with_source(error)
        })?;
    }
    event::publish(engine, "destroy", &network.id, &network.name, &network.driver, None);
    Ok(())
}
