//! A container's files: copied, exported, compared, committed. Archives are streamed in both directions.

use api::container::ChangeItem;
use api::image::IdResponse;
use engine::container::{CommitOptions, ExtractOptions, PathStat};
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::{Asked, RequestBody};
use crate::response::{self, Response};

/// Where the answer tells what is at a path.
const PATH_STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

fn path(asked: &Asked) -> Result<&str> {
    asked.query.text("path").ok_or_else(|| ApiError::bad_request("bad parameter: path cannot be empty"))
}

/// Base64 of JSON.
fn with_stat(mut response: Response, stat: &PathStat) -> Result<Response> {
    let failed = |error: &dyn std::fmt::Display| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the answer: {error}"))
    };
    let text = convert::path_stat(stat).encode().map_err(|error| failed(&error))?;
    let value = HeaderValue::from_str(&text).map_err(|error| failed(&error))?;
    response.headers_mut().insert(PATH_STAT, value);
    Ok(response)
}

/// `HEAD /containers/{id}/archive`
pub(crate) async fn info(asked: Asked) -> Result<Response> {
    let stat = asked.engine().container_path(&asked.param, path(&asked)?).await?;
    with_stat(response::empty(StatusCode::OK), &stat)
}

/// `GET /containers/{id}/archive`
pub(crate) async fn archive(asked: Asked) -> Result<Response> {
    let (stat, archive) = asked.engine().container_archive(&asked.param, path(&asked)?).await?;
    with_stat(response::stream(response::TAR, archive), &stat)
}

/// `PUT /containers/{id}/archive`
pub(crate) async fn extract(asked: Asked, body: RequestBody) -> Result<Response> {
    let options = ExtractOptions {
        keep_kinds: asked.query.flag("noOverwriteDirNonDir"),
        copy_owner: asked.query.flag("copyUIDGID"),
    };
    asked.engine().container_extract(&asked.param, path(&asked)?, options, body.reader()).await?;
    Ok(response::empty(StatusCode::OK))
}

/// `GET /containers/{id}/export`
pub(crate) async fn export(asked: Asked) -> Result<Response> {
    let archive = asked.engine().container_export(&asked.param).await?;
    Ok(response::stream(response::OCTETS, archive))
}

/// `GET /containers/{id}/changes`
pub(crate) async fn changes(asked: Asked) -> Result<Response> {
    let changes = asked.engine().container_changes(&asked.param).await?;
    let items: Vec<ChangeItem> = changes.iter().map(convert::change).collect();
    // Go's empty list
    Ok(response::ok(&Some(items).filter(|items| !items.is_empty())))
}

/// `POST /commit`
pub(crate) async fn commit(asked: Asked, body: RequestBody) -> Result<Response> {
    let config: Option<api::container::Config> = asked.json(&body.collect().await?, true)?;
    let query = &asked.query;
    let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
    let container = text("container");
    let options = CommitOptions {
        repository: text("repo"),
        tag: text("tag"),
        comment: text("comment"),
        author: text("author"),
        pause: query.flag_or("pause", true),
        changes: query.all("changes").map(str::to_owned).collect(),
        config: config.map(convert::config),
    };
    let id = asked.engine().container_commit(&container, options).await?;
    Ok(response::json(StatusCode::CREATED, &IdResponse { id }))
}
