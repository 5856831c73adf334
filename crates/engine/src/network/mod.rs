//! Networks as Docker sees them, over crate `network`.

mod attach;
pub(crate) mod cluster;
pub(crate) mod endpoint;
mod find;
mod guard;
mod info;
mod ports;
pub(crate) mod resolver;
mod settings;
pub(crate) mod sockets;
mod verb;

use std::os::fd::OwnedFd;

use crate::error::{Error, Result};
use crate::shim::ShimHandle;

pub use info::{NetworkContainer, NetworkInfo, Subnet};
pub use verb::{NetworkMade, NetworkRequest, SubnetRequest};

pub(crate) use attach::{Attached, adopt, attach, detach, host_gateway, republish};
pub(crate) use guard::guard;
pub(crate) use ports::ports;
pub(crate) use settings::{at_rest, initial, open_config, whole};
pub(crate) use verb::{Joining, driver_of, leave_live, not_connected, publish, publish_all};

/// A running container's network namespace.
///
/// # Errors
/// Its shim is gone, or holds none.
pub(crate) async fn namespace(shim: &ShimHandle) -> Result<OwnedFd> {
    shim.netns().await.map_err(|error| Error::because("ask for the network namespace", error))
}

impl crate::Engine {
    /// Removes this instance's bridges and rules if no container is on them; for tests and uninstalling.
    ///
    /// # Errors
    /// The kernel refuses.
    pub async fn network_teardown(&self) -> Result<bool> {
        let engine = std::sync::Arc::clone(&self.0);
        crate::container::task::blocking(move || {
            let removed = engine.network.teardown_if_unused();
            removed.map_err(|error| Error::because("remove the network", error))
        })
        .await
    }
}
