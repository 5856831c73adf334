//! A build that a client asks for.

use std::sync::Arc;

use buildkit::Status;
use buildkit::proto::control::{BuildHistoryRecord, SolveRequest, SolveResponse};

use super::attributes::Attributes;
use super::convert::{self, timestamp};
use crate::app::App;

/// The frontend that is built in.
const DOCKERFILE: &str = "dockerfile.v0";

/// Builds; ends with the call, whatever ends that.
pub(super) async fn solve(app: Arc<App>, request: SolveRequest) -> Result<SolveResponse, Status> {
    let running = app.builds.begin(&request.r#ref)?;
    let mut record = BuildHistoryRecord {
        r#ref: request.r#ref.clone(),
        frontend: request.frontend.clone(),
        frontend_attrs: request.frontend_attrs.clone(),
        exporters: request.exporters.clone(),
        created_at: Some(timestamp(jiff::Timestamp::now())),
        ..Default::default()
    };
    app.history.note(record.clone());
    let done = tokio::select! {
        done = work(&app, &request) => done,
        () = app.sessions.lost(&request.session) => {
            Err(Status::cancelled(format!("session {} is gone", request.session)))
        }
    };
    running.journal.close();
    let counts = running.journal.counts();
    record.num_total_steps = counts.total;
    record.num_completed_steps = counts.completed;
    record.num_cached_steps = counts.cached;
    record.completed_at = Some(timestamp(jiff::Timestamp::now()));
    match &done {
        Ok(response) => record.exporter_response.clone_from(&response.exporter_response),
        Err(status) => {
            record.error = Some(buildkit::proto::rpc::Status {
                code: status.code().into(),
                message: status.message().to_owned(),
                details: Vec::new(),
            });
        }
    }
    app.history.note(record);
    done
}

async fn work(app: &App, request: &SolveRequest) -> Result<SolveResponse, Status> {
    let session = app.sessions.get(&request.session).await;
    let session =
        session.ok_or_else(|| Status::not_found(format!("no active session for {}", request.session)))?;
    let _ = session;
    match (request.frontend.as_str(), &request.definition) {
        (DOCKERFILE, _) => drop(Attributes::parse(&request.frontend_attrs)?),
        ("", Some(definition)) => drop(convert::graph(definition)?),
        ("", None) => return Err(Status::invalid_argument("neither a frontend nor a definition is given")),
        (other, _) => {
            return Err(Status::unimplemented(format!(
                "frontend {other:?} is not supported by this version of Berth"
            )));
        }
    }
    Err(Status::unimplemented(
        "building through BuildKit's protocol is not supported yet by this version of Berth",
    ))
}
