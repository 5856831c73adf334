//! Networks as Docker sees them, over crate `network`.

mod attach;
mod info;
mod settings;

pub(crate) use attach::{adopt, attach, detach, host_gateway, ports};
pub use info::{NetworkContainer, NetworkInfo};
pub(crate) use settings::{at_rest, initial, open_config};

impl crate::Engine {
    /// Removes this instance's bridge and rules if no container is on it; for tests and uninstalling.
    ///
    /// # Errors
    /// The kernel refuses.
    pub async fn network_teardown(&self) -> crate::Result<bool> {
        let engine = std::sync::Arc::clone(&self.0);
        crate::container::task::blocking(move || {
            let removed = engine.network.teardown_if_unused();
            removed.map_err(|error| crate::Error::because("remove the network", error))
        })
        .await
    }
}
