//! Volumes.

use api::volume::ListResponse;
use engine::volume::Volume;
use hyper::StatusCode;

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::Asked;
use crate::response::{self, Response};

/// `GET /volumes`
pub(crate) async fn list(asked: Asked) -> Result<Response> {
    let filters = convert::filters(&asked.filters()?);
    filters.only(&["driver", "label", "name"])?;
    let volumes = all(&asked)
        .await?
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

/// `GET /volumes/{name}`
pub(crate) async fn inspect(asked: Asked) -> Result<Response> {
    let name = &asked.param;
    let found = all(&asked).await?.into_iter().find(|volume| volume.name == *name);
    let volume =
        found.ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, format!("get {name}: no such volume")))?;
    Ok(response::ok(&convert::volume(volume)))
}

/// All volumes; their records are read where it may block.
async fn all(asked: &Asked) -> Result<Vec<Volume>> {
    let engine = asked.engine().clone();
    tokio::task::spawn_blocking(move || engine.volume_list()).await.map_err(|error| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot list volumes: {error}"))
    })
}
