//! Connections to ssh agents.

use std::path::PathBuf;
use std::sync::Arc;

use buildkit::proto::ssh::{BytesMessage, CheckAgentRequest, CheckAgentResponse};
use buildkit::{Status, method, session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Streaming};

use super::Lent;
use crate::error::reason;

/// Bytes of one message.
const PIECE: usize = 32 << 10;

fn socket(lent: &Lent, id: &str) -> Result<PathBuf, Status> {
    let id = if id.is_empty() { "default" } else { id };
    lent.agents.get(id).cloned().ok_or_else(|| Status::not_found(format!("unset ssh forward key {id}")))
}

pub(super) async fn check(
    lent: Arc<Lent>,
    request: Request<CheckAgentRequest>,
) -> Result<Response<CheckAgentResponse>, Status> {
    socket(&lent, &request.into_inner().id).map(|_| Response::new(CheckAgentResponse {}))
}

pub(super) async fn forward(
    lent: Arc<Lent>,
    request: Request<Streaming<BytesMessage>>,
) -> Result<Response<ReceiverStream<Result<BytesMessage, Status>>>, Status> {
    let id = session::values(request.metadata(), method::metadata::SSH_ID).pop().unwrap_or_default();
    let path = socket(&lent, &id)?;
    let agent = UnixStream::connect(&path).await.map_err(|error| {
        Status::unavailable(format!("failed to connect to {}: {}", path.display(), reason(&error)))
    })?;
    let (mut reader, mut writer) = agent.into_split();
    let mut questions = request.into_inner();
    tokio::spawn(async move {
        while let Ok(Some(message)) = questions.message().await {
            if writer.write_all(&message.data).await.is_err() {
                break;
            }
        }
    });
    let (go, answers) = mpsc::channel(16);
    tokio::spawn(async move {
        let mut buffer = vec![0; PIECE];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            if go.send(Ok(BytesMessage { data: buffer[..count].to_vec() })).await.is_err() {
                break;
            }
        }
    });
    Ok(Response::new(ReceiverStream::new(answers)))
}
