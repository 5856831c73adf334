//! Checkpoints.

use api::container::{Checkpoint, CheckpointRequest};
use engine::container::CheckpointOptions;
use hyper::StatusCode;

use crate::error::Result;
use crate::request::{Asked, RequestBody};
use crate::response::{self, Response};

/// `GET /containers/{id}/checkpoints`
pub(crate) async fn list(asked: Asked) -> Result<Response> {
    let names = asked.engine().container_checkpoints(&asked.param, directory(&asked)).await?;
    let list: Vec<_> = names.into_iter().map(|name| Checkpoint { name }).collect();
    Ok(response::ok(&list))
}

/// `POST /containers/{id}/checkpoints`
pub(crate) async fn create(asked: Asked, body: RequestBody) -> Result<Response> {
    let request: CheckpointRequest = asked.json(&body.collect().await?, false)?;
    let options = CheckpointOptions {
        name: request.checkpoint_id,
        directory: request.checkpoint_dir,
        exit: request.exit,
    };
    asked.engine().container_checkpoint(&asked.param, options).await?;
    Ok(response::empty(StatusCode::CREATED))
}

/// `DELETE /containers/{id}/checkpoints/{checkpoint}`
pub(crate) async fn remove(asked: Asked) -> Result<Response> {
    let engine = asked.engine();
    engine.container_checkpoint_remove(&asked.param, directory(&asked), &asked.second).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

fn directory(asked: &Asked) -> &str {
    asked.query.get("dir").unwrap_or_default()
}
