//! What changes in the store, in steps that are each whole.

use std::sync::Arc;

use tokio::sync::watch;

use crate::view::{Changes, View};

/// One reader's place in what happens. Whoever reads slowly gets several changes as one.
#[derive(Debug)]
pub struct Updates {
    views: watch::Receiver<Arc<View>>,
    seen: Arc<View>,
}

impl Updates {
    pub(crate) fn new(mut views: watch::Receiver<Arc<View>>) -> Self {
        // what is there already is news to this reader
        views.mark_changed();
        Self { views, seen: Arc::default() }
    }

    /// The next state and what is new in it, which may be nothing; `None` at the end of everything.
    pub async fn next(&mut self) -> Option<(Arc<View>, Changes)> {
        loop {
            self.views.changed().await.ok()?;
            let now = Arc::clone(&self.views.borrow_and_update());
            // before the first session nothing is known, which is not the same as that nothing is there
            if now.revision == 0 {
                continue;
            }
            let changes = now.since(&self.seen);
            self.seen = Arc::clone(&now);
            return Some((now, changes));
        }
    }
}
