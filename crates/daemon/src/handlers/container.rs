//! Containers.

use engine::container::{ListOptions, RemoveOptions, StopOptions, WaitCondition};
use hyper::StatusCode;
use jiff::Timestamp;

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::{Asked, RequestBody};
use crate::response::{self, Response};

/// `GET /containers/json`
pub(crate) async fn list(asked: Asked) -> Result<Response> {
    let options = ListOptions {
        all: asked.query.flag("all"),
        limit: usize::try_from(asked.int("limit")?.unwrap_or(0)).unwrap_or(0),
        size: asked.query.flag("size"),
        filters: convert::filters(&asked.filters()?),
    };
    let listed = asked.engine().container_list(options).await?;
    let now = Timestamp::now();
    let list: Vec<_> = listed.iter().map(|one| convert::summary(one, now, asked.version)).collect();
    Ok(response::ok(&list))
}

/// `POST /containers/create`
pub(crate) async fn create(asked: Asked, body: RequestBody) -> Result<Response> {
    let request = asked.json(&body.collect().await?, false)?;
    let name = asked.query.text("name").map(str::to_owned);
    let platform = asked.query.get("platform").unwrap_or_default().to_owned();
    let request = convert::create(request, name, platform, asked.version)?;
    let created = asked.engine().container_create(request).await?;
    let answer = api::container::CreateResponse { id: created.id, warnings: created.warnings };
    Ok(response::json(StatusCode::CREATED, &answer))
}

/// `GET /containers/{id}/json`
pub(crate) async fn inspect(asked: Asked) -> Result<Response> {
    let container = asked.engine().container_inspect(&asked.param)?;
    let size = match asked.query.flag("size") {
        true => Some(asked.engine().container_size(&container.id).await?),
        false => None,
    };
    let directories = asked.engine().container_directories(&container.id);
    let mut answer = convert::inspect(&container, size, directories, asked.version);
    answer.app_armor_profile = asked.engine().apparmor_profile(&container);
    Ok(response::ok(&answer))
}

/// `GET /containers/{id}/top`
pub(crate) async fn top(asked: Asked) -> Result<Response> {
    let top =
        asked.engine().container_top(&asked.param, asked.query.get("ps_args").unwrap_or_default()).await?;
    Ok(response::ok(&api::container::TopResponse { titles: top.titles, processes: top.processes }))
}

/// `POST /containers/{id}/resize`
pub(crate) async fn resize(asked: Asked) -> Result<Response> {
    let (height, width) = size(&asked)?;
    asked.engine().container_resize(&asked.param, height, width).await?;
    Ok(response::empty(StatusCode::OK))
}

/// The `h` and `w` of a resize.
pub(crate) fn size(asked: &Asked) -> Result<(u16, u16)> {
    let side = |name| {
        let text = asked.query.get(name).unwrap_or_default();
        text.parse::<u16>().map_err(|_unparsed| {
            ApiError::bad_request(format!("invalid terminal size: {name}={text:?} is no number of cells"))
        })
    };
    Ok((side("h")?, side("w")?))
}

/// `POST /containers/{id}/start`
pub(crate) async fn start(asked: Asked) -> Result<Response> {
    let directory = asked.query.get("checkpoint-dir").unwrap_or_default();
    match asked.query.text("checkpoint") {
        Some(checkpoint) => asked.engine().container_restore(&asked.param, directory, checkpoint).await?,
        None if !directory.is_empty() => {
            return Err(ApiError::bad_request("checkpoint-dir needs the name of a checkpoint"));
        }
        None => asked.engine().container_start(&asked.param).await?,
    }
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/stop`
pub(crate) async fn stop(asked: Asked) -> Result<Response> {
    asked.engine().container_stop(&asked.param, stop_options(&asked)?).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/restart`
pub(crate) async fn restart(asked: Asked) -> Result<Response> {
    asked.engine().container_restart(&asked.param, stop_options(&asked)?).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

fn stop_options(asked: &Asked) -> Result<StopOptions> {
    Ok(StopOptions { signal: asked.query.text("signal").map(str::to_owned), timeout: asked.int("t")? })
}

/// `POST /containers/{id}/kill`
pub(crate) async fn kill(asked: Asked) -> Result<Response> {
    asked.engine().container_kill(&asked.param, asked.query.text("signal")).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/update`
pub(crate) async fn update(asked: Asked, body: RequestBody) -> Result<Response> {
    let request = asked.json(&body.collect().await?, false)?;
    let warnings = asked.engine().container_update(&asked.param, convert::update(request)?).await?;
    Ok(response::ok(&api::container::UpdateResponse { warnings }))
}

/// `POST /containers/{id}/rename`
pub(crate) async fn rename(asked: Asked) -> Result<Response> {
    asked.engine().container_rename(&asked.param, asked.query.get("name").unwrap_or_default()).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/pause`
pub(crate) async fn pause(asked: Asked) -> Result<Response> {
    asked.engine().container_pause(&asked.param).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/unpause`
pub(crate) async fn unpause(asked: Asked) -> Result<Response> {
    asked.engine().container_unpause(&asked.param).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// `POST /containers/{id}/wait`: the head goes out as soon as the wait is registered, so that a client
/// knows that it will not miss what it is about to start.
pub(crate) async fn wait(asked: Asked) -> Result<Response> {
    let condition = match asked.query.get("condition").unwrap_or_default() {
        "" | "not-running" => WaitCondition::NotRunning,
        "next-exit" => WaitCondition::NextExit,
        "removed" => WaitCondition::Removed,
        other => return Err(ApiError::bad_request(format!("invalid condition: {other:?}"))),
    };
    let waiter = asked.engine().container_wait(&asked.param, condition).await?;
    Ok(response::later(async move { convert::waited(waiter.done().await) }))
}

/// `DELETE /containers/{id}`
pub(crate) async fn remove(asked: Asked) -> Result<Response> {
    let query = &asked.query;
    let options =
        RemoveOptions { force: query.flag("force"), volumes: query.flag("v"), link: query.flag("link") };
    asked.engine().container_remove(&asked.param, options).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}
