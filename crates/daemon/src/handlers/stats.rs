//! Statistics: one reading, or a stream of them.

use futures_util::StreamExt as _;

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::Asked;
use crate::response::{self, Response};

/// `GET /containers/{id}/stats`
pub(crate) async fn stats(asked: Asked) -> Result<Response> {
    let stream = asked.query.flag_or("stream", true);
    let one_shot = asked.since(41) && asked.query.flag("one-shot");
    if stream && one_shot {
        return Err(ApiError::bad_request("cannot have stream=true and one-shot=true"));
    }
    if stream {
        let readings = asked.engine().container_stats(&asked.param).await?;
        // A reader whose container is gone is at its end.
        let readings = readings.filter_map(|reading| async { reading.ok() });
        return Ok(response::lines(readings.map(|reading| convert::stats(&reading))));
    }
    let reading = asked.engine().container_stats_once(&asked.param, one_shot).await?;
    Ok(response::ok(&convert::stats(&reading)))
}
