//! Volumes.

use api::volume::ListResponse;

use crate::convert;
use crate::error::Result;
use crate::request::Asked;
use crate::response::{self, Response};

/// `GET /volumes`
pub(crate) async fn list(asked: Asked) -> Result<Response> {
    let filters = convert::filters(&asked.filters()?);
    filters.only(&["driver", "label", "name"])?;
    let volumes = asked.engine().volume_list();
    let volumes = volumes
        .into_iter()
        .filter(|volume| {
            filters.any("name", |wanted| volume.name.contains(wanted))
                && filters.exact("driver", "local")
                && filters.labels("label", &volume.labels)
        })
        .map(convert::volume)
        .collect();
    Ok(response::ok(&ListResponse { volumes, warnings: Vec::new() }))
}
