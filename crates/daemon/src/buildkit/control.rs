//! `moby.buildkit.v1.Control`.

use std::collections::HashMap;
use std::sync::Arc;

use buildkit::grpc::{Answer, Asked, Service, answer, server_stream, unimplemented};
use buildkit::proto::{control, health, pb, types};
use buildkit::{Status, method};
use futures_util::{StreamExt as _, stream};
use tonic::{Request, Response};

use super::{cache, solve};
use crate::app::App;

/// The service.
#[derive(Clone)]
pub(crate) struct Control {
    app: Arc<App>,
}

impl Control {
    /// The service, over the daemon's state.
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

impl Service for Control {
    async fn call(&self, asked: Asked) -> Answer {
        let app = &self.app;
        match asked.uri().path() {
            method::SOLVE => {
                answer(asked, |request: Request<control::SolveRequest>| {
                    let app = Arc::clone(app);
                    async move { solve::solve(app, request.into_inner()).await.map(Response::new) }
                })
                .await
            }
            method::STATUS => server_stream(asked, |request| status(Arc::clone(app), request)).await,
            method::INFO => {
                answer(asked, |_: Request<control::InfoRequest>| async {
                    let buildkit_version = Some(version());
                    Ok(Response::new(control::InfoResponse { buildkit_version }))
                })
                .await
            }
            method::LIST_WORKERS => answer(asked, |request| list_workers(Arc::clone(app), request)).await,
            method::DISK_USAGE => {
                answer(asked, |request: Request<control::DiskUsageRequest>| {
                    let app = Arc::clone(app);
                    async move { cache::disk_usage(&app, request.get_ref()).await.map(Response::new) }
                })
                .await
            }
            method::PRUNE => {
                server_stream(asked, |request: Request<control::PruneRequest>| {
                    let app = Arc::clone(app);
                    async move { cache::prune(app, request.into_inner()).await.map(Response::new) }
                })
                .await
            }
            method::LISTEN_BUILD_HISTORY => {
                server_stream(asked, |request: Request<control::BuildHistoryRequest>| {
                    let history = app.history.clone();
                    async move { history.listen(request.get_ref()).map(Response::new) }
                })
                .await
            }
            method::UPDATE_BUILD_HISTORY => {
                answer(asked, |request: Request<control::UpdateBuildHistoryRequest>| {
                    let done = app.history.update(request.get_ref());
                    async move { done.map(|()| Response::new(control::UpdateBuildHistoryResponse {})) }
                })
                .await
            }
            method::HEALTH_CHECK => {
                answer(asked, |_: Request<health::HealthCheckRequest>| async {
                    let status = health::health_check_response::ServingStatus::Serving.into();
                    Ok(Response::new(health::HealthCheckResponse { status }))
                })
                .await
            }
            _ => unimplemented(&asked),
        }
    }
}

async fn status(
    app: Arc<App>,
    request: Request<control::StatusRequest>,
) -> Result<Response<impl futures_util::Stream<Item = Result<control::StatusResponse, Status>>>, Status> {
    let name = request.into_inner().r#ref;
    if let Some(messages) = app.history.status(&name) {
        let messages = messages.map_err(|error| Status::internal(format!("read the history: {error}")))?;
        return Ok(Response::new(stream::iter(messages.into_iter().map(Ok)).boxed()));
    }
    let journal = app.builds.get(&name).await;
    let journal = journal.ok_or_else(|| Status::not_found(format!("no such job {name}")))?;
    Ok(Response::new(journal.follow().map(Ok).boxed()))
}

async fn list_workers(
    app: Arc<App>,
    request: Request<control::ListWorkersRequest>,
) -> Result<Response<control::ListWorkersResponse>, Status> {
    if let Some(filter) = request.get_ref().filter.first() {
        return Err(Status::unimplemented(format!(
            "filter {filter:?} of workers is not supported by this version of Berth"
        )));
    }
    let info = app.engine.info().await.map_err(|error| Status::internal(error.to_string()))?;
    let host = oci::Platform::host();
    let worker = types::WorkerRecord {
        id: info.id,
        labels: HashMap::from([
            ("org.mobyproject.buildkit.worker.executor".to_owned(), "berth".to_owned()),
            ("org.mobyproject.buildkit.worker.hostname".to_owned(), info.name),
        ]),
        platforms: vec![pb::Platform {
            architecture: host.architecture,
            os: host.os,
            variant: host.variant.unwrap_or_default(),
            ..Default::default()
        }],
        buildkit_version: Some(version()),
        ..Default::default()
    };
    Ok(Response::new(control::ListWorkersResponse { record: vec![worker] }))
}

fn version() -> types::BuildkitVersion {
    types::BuildkitVersion {
        package: "berth".to_owned(),
        version: concat!("v", env!("CARGO_PKG_VERSION")).to_owned(),
        revision: String::new(),
    }
}
