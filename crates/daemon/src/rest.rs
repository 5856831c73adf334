//! What the daemon does when nobody asks it for anything.

use std::time::Duration;

use tokio::sync::watch;

/// How long nothing must have been asked.
const QUIET: Duration = Duration::from_secs(5);

/// Gives free memory back to the kernel whenever requests have come and then ceased: the allocator by itself keeps
/// what many containers or a large image took for as long as something small lies above it. Ends with the sender.
pub(crate) async fn thrift(mut busy: watch::Receiver<usize>) {
    while busy.changed().await.is_ok() {
        while let Ok(changed) = tokio::time::timeout(QUIET, busy.changed()).await {
            if changed.is_err() {
                return;
            }
        }
        // It does not fail, and can't panic.
        let _ = tokio::task::spawn_blocking(sys::memory::trim).await;
    }
}
