//! Volumes.

use api::volume::{CreateRequest, ListResponse, PruneResponse};
use engine::volume::{Volume, VolumeRequest};
use hyper::StatusCode;

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::{Asked, RequestBody};
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

/// `POST /volumes/create`
pub(crate) async fn create(asked: Asked, body: RequestBody) -> Result<Response> {
    let request: CreateRequest = asked.json(&body.collect().await?, false)?;
    let CreateRequest { name, driver, driver_opts, labels } = request;
    let request = VolumeRequest { name, driver, options: driver_opts, labels };
    let volume = asked.engine().volume_create(request).await?;
    Ok(response::json(StatusCode::CREATED, &convert::volume(volume)))
}

/// `DELETE /volumes/{name}`
pub(crate) async fn remove(asked: Asked) -> Result<Response> {
    asked.engine().volume_remove(&asked.param, asked.query.flag("force")).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `POST /volumes/prune`
pub(crate) async fn prune(asked: Asked) -> Result<Response> {
    let mut filters = convert::filters(&asked.filters()?);
    // Before 1.42 named volumes went with the anonymous ones.
    if !asked.since(42) && !filters.contains("all") {
        filters.add("all", "true");
    }
    let (volumes_deleted, space_reclaimed) = asked.engine().volume_prune(filters).await?;
    Ok(response::ok(&PruneResponse { volumes_deleted, space_reclaimed }))
}

/// All volumes; their records are read where it may block.
async fn all(asked: &Asked) -> Result<Vec<Volume>> {
    let engine = asked.engine().clone();
    tokio::task::spawn_blocking(move || engine.volume_list()).await.map_err(|error| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot list volumes: {error}"))
    })
}
