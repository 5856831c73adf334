//! A build that a client asks for.

use std::sync::Arc;

use buildkit::Status;
use buildkit::proto::control::{SolveRequest, SolveResponse};

use super::attributes::Attributes;
use super::convert;
use crate::app::App;

pub(super) async fn solve(app: Arc<App>, request: SolveRequest) -> Result<SolveResponse, Status> {
    let _ = (
        Attributes::parse(&request.frontend_attrs)?,
        convert::graph(&request.definition.unwrap_or_default())?,
    );
    let _ = app;
    Err(Status::unimplemented(""))
}
