//! The cache is kept within its bounds behind the builds' backs: after each build and at the start, never during one's
//! wait.

use std::sync::Arc;

use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::Result;

/// Begins to watch the cache; ends with the engine.
pub(crate) fn collect_garbage(engine: &Arc<Inner>) {
    let (wanted, engine) = (Arc::clone(&engine.builder.collect), Arc::downgrade(engine));
    // what former daemons have left
    wanted.notify_one();
    tokio::spawn(async move {
        loop {
            wanted.notified().await;
            let Some(engine) = engine.upgrade() else { return };
            if let Err(error) = blocking(move || engine.collect()).await {
                tracing::warn!(%error, "the build cache may be larger than it should be");
            }
        }
    });
}

impl Inner {
    fn collect(&self) -> Result<()> {
        if let Err(error) = self.builder.solver.index().flush() {
            tracing::warn!(%error, "when parts of the build cache were last used is not kept");
        }
        let rules = self.config.cache_policy.rules(self.disk()?)?;
        if rules.is_empty() {
            return Ok(());
        }
        let pruned = self.prune_cache(&rules, false)?;
        if !pruned.records.is_empty() {
            tracing::info!(records = pruned.records.len(), bytes = pruned.bytes, "build cache collected");
        }
        Ok(())
    }
}
