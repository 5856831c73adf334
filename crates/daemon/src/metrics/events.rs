//! Events, counted as they come.

use std::sync::Arc;

use engine::events::EventsOptions;
use futures_util::StreamExt as _;

use crate::app::App;

/// Counts events until the engine closes. Whoever lags behind is cut off and begins anew: what was lost is not counted.
pub(crate) async fn watch(app: Arc<App>) {
    loop {
        let Ok(mut events) = app.engine.events(EventsOptions::default()) else { return };
        loop {
            match events.next().await {
                Some(Ok(event)) => app.metrics.event(event.kind.name(), &event.action),
                Some(Err(error)) => {
                    tracing::warn!("events not counted: {error}");
                    break;
                }
                None => return,
            }
        }
    }
}
