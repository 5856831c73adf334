//! Volumes.

use api::volume::{CreateRequest, ListResponse, PruneResponse};
use engine::volume::{VolumePrune, VolumeRequest};
use hyper::StatusCode;

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::{Asked, RequestBody};
use crate::response::{self, Response};

/// `GET /volumes`
pub(crate) async fn list(asked: Asked) -> Result<Response> {
    let found = asked.engine().volume_find(convert::filters(&asked.filters()?)).await?;
    let volumes = found.into_iter().map(convert::volume).collect();
    Ok(response::ok(&ListResponse { volumes, warnings: Vec::new() }))
}

/// `GET /volumes/{name}`
pub(crate) async fn inspect(asked: Asked) -> Result<Response> {
    let volume = asked.engine().volume_inspect(&asked.param).await?;
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
    let what = if asked.query.flag("dry-run") {
        VolumePrune::Foretell { gone: super::prune::pruned_before(&asked)? }
    } else {
        VolumePrune::Remove
    };
    let (volumes_deleted, space_reclaimed) = asked.engine().volume_prune(filters, what).await?;
    Ok(response::ok(&PruneResponse { volumes_deleted, space_reclaimed }))
}

/// `PUT /volumes/{name}`: only volumes of a Swarm cluster can be changed so.
pub(crate) async fn update(asked: Asked) -> Result<Response> {
    asked.engine().volume_inspect(&asked.param).await?;
    Err(ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "volume update only valid for cluster volumes, but swarm is unavailable",
    ))
}

/// `POST /volumes/{name}/protect` and `…/unprotect`, Berth's own
pub(crate) async fn protect(asked: Asked, protected: bool) -> Result<Response> {
    asked.engine().volume_protect(&asked.param, protected).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
