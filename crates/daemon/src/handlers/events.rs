//! Events, one JSON object a line, as they happen.

use engine::events::EventsOptions;
use futures_util::StreamExt as _;

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::Asked;
use crate::response::{self, Response};

/// `GET /events`
pub(crate) async fn events(asked: Asked) -> Result<Response> {
    let query = &asked.query;
    let since = convert::moment("since", query.get("since").unwrap_or_default())?;
    let until = convert::moment("until", query.get("until").unwrap_or_default())?;
    if let (Some(since), Some(until)) = (since, until)
        && since > until
    {
        return Err(ApiError::bad_request("since time cannot be after until time"));
    }
    let options = EventsOptions { since, until, filters: convert::filters(&asked.filters()?) };
    let version = asked.version;
    let events = asked.engine().events(options)?;
    // A listener that can't be served any more is cut off.
    let events =
        events.take_while(|event| std::future::ready(event.is_ok())).filter_map(|event| async { event.ok() });
    Ok(response::lines(events.map(move |event| convert::event(event, version))))
}
