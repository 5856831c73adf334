//! From a request to its handler. Rows and versions are the API's (`api::routes`).

use std::sync::Arc;
use std::sync::LazyLock;

use api::{Action, Method, Query, Version, routes, version};
use hyper::header::{HeaderMap, HeaderName, HeaderValue, USER_AGENT};

use crate::app::App;
use crate::buildkit::cancel_build;
use crate::convert;
use crate::error::{ApiError, Result};
use crate::handlers::{
    build, checkpoint, container, events, exec, files, image, image_archive, logs, network, prune, registry,
    stats, streams, system, volume,
};
use crate::metrics;
use crate::request::{Asked, RequestBody};
use crate::response::Response;
use crate::serve::takes_over;

/// Headers of every answer, by which clients know whom they speak to.
pub(crate) static COMMON_HEADERS: LazyLock<[(&str, String); 4]> = LazyLock::new(|| {
    [
        ("Api-Version", version::MAX.to_string()),
        ("Docker-Experimental", "false".to_owned()),
        ("Ostype", "linux".to_owned()),
        ("Server", concat!("Berth/", env!("CARGO_PKG_VERSION"), " (linux)").to_owned()),
    ]
});

/// Answers an ordinary request, whatever it is.
pub(crate) async fn handle(
    app: Arc<App>,
    method: &hyper::Method,
    uri: &hyper::Uri,
    headers: HeaderMap,
    body: RequestBody,
) -> Response {
    let decorated = Arc::clone(&app);
    let mut known = None;
    let answered = if uri.path() == metrics::PATH && method == hyper::Method::GET {
        Ok(metrics::render(&app).await)
    } else {
        match find(app, method.as_str(), uri.path(), uri.query(), headers) {
            Ok((action, asked)) => {
                known = Some(action);
                dispatch(action, asked, body).await
            }
            Err(error) => Err(error),
        }
    };
    let mut response = answered.unwrap_or_else(ApiError::into_response);
    // for who counts
    response.extensions_mut().insert(known);
    tracing::debug!("{method} {} {}", uri.path(), response.status().as_u16());
    with_common_headers(&decorated, response)
}

/// Adds what every answer has.
pub(crate) fn with_common_headers(app: &App, mut response: Response) -> Response {
    for (name, value) in COMMON_HEADERS.iter() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    if app.engine.config().experimental {
        response.headers_mut().insert("Docker-Experimental", HeaderValue::from_static("true"));
    }
    response
}

/// Judges the version and finds the row.
pub(crate) fn find(
    app: Arc<App>,
    method: &str,
    path: &str,
    query: Option<&str>,
    headers: HeaderMap,
) -> Result<(Action, Asked)> {
    let (version, path) = Version::split(path);
    let version = version.map_or(Ok(version::MAX), Version::negotiate)?;
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let version = convert::understood(version, agent);
    let method = Method::parse(method).ok_or_else(ApiError::page_not_found)?;
    let found = routes::find(method, path, version).ok_or_else(ApiError::page_not_found)?;
    let query = Query::parse(query.unwrap_or_default());
    Ok((found.action, Asked { app, version, param: found.param, second: found.second, query, headers }))
}

async fn dispatch(action: Action, asked: Asked, body: RequestBody) -> Result<Response> {
    match action {
        Action::ContainerList => container::list(asked).await,
        Action::ContainerCreate => container::create(asked, body).await,
        Action::ContainerPrune => prune::containers(asked).await,
        Action::ImagePrune => prune::images(asked).await,
        Action::BuildPrune => prune::build(asked).await,
        Action::ContainerInspect => container::inspect(asked).await,
        Action::ContainerTop => container::top(asked).await,
        Action::ContainerLogs => logs::logs(asked).await,
        Action::ContainerStats => stats::stats(asked).await,
        Action::ContainerResize => container::resize(asked).await,
        Action::ContainerStart => container::start(asked).await,
        Action::ContainerStop => container::stop(asked).await,
        Action::ContainerRestart => container::restart(asked).await,
        Action::ContainerKill => container::kill(asked).await,
        Action::ContainerUpdate => container::update(asked, body).await,
        Action::ContainerRename => container::rename(asked).await,
        Action::ContainerPause => container::pause(asked).await,
        Action::ContainerUnpause => container::unpause(asked).await,
        Action::ContainerWait => container::wait(asked).await,
        Action::CheckpointList => checkpoint::list(asked).await,
        Action::CheckpointCreate => checkpoint::create(asked, body).await,
        Action::CheckpointDelete => checkpoint::remove(asked).await,
        Action::ContainerDelete => container::remove(asked).await,
        Action::ContainerArchiveInfo => files::info(asked).await,
        Action::ContainerArchive => files::archive(asked).await,
        Action::ContainerArchivePut => files::extract(asked, body).await,
        Action::ContainerExport => files::export(asked).await,
        Action::ContainerChanges => files::changes(asked).await,
        Action::ImageCommit => files::commit(asked, body).await,
        action if takes_over(action) => streams::needs_connection(),
        Action::BuildCancel => Ok(cancel_build(&asked)),
        Action::ContainerExec => exec::create(asked, body).await,
        Action::ExecResize => exec::resize(asked).await,
        Action::ExecInspect => exec::inspect(asked).await,
        Action::ImageList => image::list(asked).await,
        Action::ImageInspect => image::inspect(asked).await,
        Action::ImageHistory => image::history(asked).await,
        Action::ImageAttestations | Action::ImageVerify => image::said(action, asked).await,
        Action::ImageSbom => image::sbom(asked).await,
        Action::ImageTag => image::tag(asked).await,
        Action::ImageDelete => image::remove(asked).await,
        Action::ImageBuild => build::build(asked, body).await,
        Action::ImageCreate => image_archive::create(asked, body).await,
        Action::ImageLoad => image_archive::load(asked, body).await,
        Action::ImageGet | Action::ImageGetAll => image_archive::save(asked).await,
        Action::NetworkList => network::list(asked).await,
        Action::NetworkInspect => network::inspect(asked).await,
        Action::NetworkCreate => network::create(asked, body).await,
        Action::NetworkDelete => network::remove(asked).await,
        Action::NetworkConnect => network::connect(asked, body).await,
        Action::NetworkDisconnect => network::disconnect(asked, body).await,
        Action::NetworkPrune => network::prune(asked).await,
        Action::VolumeList => volume::list(asked).await,
        Action::VolumeInspect => volume::inspect(asked).await,
        Action::VolumeCreate => volume::create(asked, body).await,
        Action::VolumeDelete => volume::remove(asked).await,
        Action::VolumePrune => volume::prune(asked).await,
        Action::VolumeUpdate => volume::update(asked).await,
        Action::VolumeProtect => volume::protect(asked, true).await,
        Action::VolumeUnprotect => volume::protect(asked, false).await,
        Action::SystemPing | Action::SystemPingHead => system::ping(&asked),
        Action::SystemVersion => system::version(&asked),
        Action::SystemInfo => system::info(asked).await,
        Action::SystemDataUsage => system::disk_usage(asked).await,
        Action::SystemEvents => events::events(asked).await,
        other => registry::answer(other, asked, body).await,
    }
}
