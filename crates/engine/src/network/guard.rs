//! Putting our firewall rules back when somebody else has removed them.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use ::network::Watch;
use tokio::io::unix::AsyncFd;

use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::Error;

/// Watches for as long as the engine is there. Nothing runs until rules of the machine change.
pub(crate) fn guard(engine: &Arc<Inner>) {
    let Some(watch) = engine.network.watch() else { return };
    #[expect(deprecated, reason = "unsound only for types that change their descriptor; an OwnedFd does not")]
    let told = watch.as_fd().try_clone_to_owned().and_then(AsyncFd::new);
    match told {
        Ok(told) => drop(tokio::spawn(keep(Arc::downgrade(engine), watch, told))),
        Err(error) => tracing::warn!(%error, "changes of our rules by others go unnoticed"),
    }
}

async fn keep(engine: Weak<Inner>, mut watch: Watch, told: AsyncFd<OwnedFd>) {
    loop {
        match told.readable().await {
            Ok(mut ready) => ready.clear_ready(),
            Err(error) => return tracing::warn!(%error, "changes of our rules by others go unnoticed"),
        }
        match watch.disturbed() {
            Ok(true) => {}
            Ok(false) => continue,
            Err(error) => return tracing::warn!(%error, "changes of our rules by others go unnoticed"),
        }
        let Some(engine) = engine.upgrade() else { return };
        let repaired = blocking(move || {
            engine.network.repair().map_err(|error| Error::because("restore our firewall rules", error))
        });
        match repaired.await {
            Ok(true) => tracing::warn!("somebody has removed or changed our firewall rules: they are back"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error),
        }
    }
}
