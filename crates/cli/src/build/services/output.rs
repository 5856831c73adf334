//! Where a result goes on this machine.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use buildkit::filesync::{self, Ends, Owner, Progress, Receive};
use buildkit::grpc::{Answer, Asked, bidirectional};
use buildkit::proto::BytesMessage;
use buildkit::proto::fsutil::Packet;
use buildkit::{Status, method};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Streaming};

use super::Lent;
use crate::error::reason;

/// A result's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::build) enum Output {
    /// A directory.
    Directory(PathBuf),
    /// A file.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

pub(super) async fn serve(lent: Arc<Lent>, asked: Asked) -> Answer {
    let id = asked.headers().get(method::metadata::EXPORTER_ID).and_then(|id| id.to_str().ok());
    // a daemon that doesn't know of several has only one
    let output = match id {
        Some(id) => lent.outputs.get(id),
        None => lent.outputs.values().next(),
    };
    match output.cloned() {
        None => Status::failed_precondition("this end asked for no result to be sent").into_http(),
        Some(Output::Directory(path)) => {
            bidirectional(asked, |request| directory(path.clone(), request)).await
        }
        Some(Output::File(path)) => {
            bidirectional(asked, |request| {
                let file = File::create(&path).map_err(|error| {
                    Status::internal(format!("create {}: {}", path.display(), reason(&error)))
                });
                async move { Ok(stream(Box::new(file?), request)) }
            })
            .await
        }
        Some(Output::Stdout) => {
            bidirectional(asked, |request| async { Ok(stream(Box::new(std::io::stdout()), request)) }).await
        }
    }
}

type Answers<T> = Response<ReceiverStream<Result<T, Status>>>;

fn stream(mut to: Box<dyn Write + Send>, request: Request<Streaming<BytesMessage>>) -> Answers<BytesMessage> {
    let mut pieces = request.into_inner();
    let (go, answers) = mpsc::channel(1);
    tokio::spawn(async move {
        let written = async {
            while let Some(piece) = pieces.message().await? {
                to.write_all(&piece.data)
                    .map_err(|error| Status::internal(format!("write the result: {}", reason(&error))))?;
            }
            to.flush().map_err(|error| Status::internal(format!("write the result: {}", reason(&error))))
        };
        if let Err(status) = written.await {
            // the other end may be gone
            let _ = go.send(Err(status)).await;
        }
    });
    Response::new(ReceiverStream::new(answers))
}

async fn directory(
    path: PathBuf,
    request: Request<Streaming<Packet>>,
) -> Result<Response<impl tokio_stream::Stream<Item = Result<Packet, Status>>>, Status> {
    let open = |path: &PathBuf| {
        std::fs::create_dir_all(path)?;
        OpenOptions::new().read(true).open(path)
    };
    let root = open(&path)
        .map_err(|error| Status::internal(format!("create {}: {}", path.display(), reason(&error))))?;
    let (ends, (come, go)) = Ends::new();
    tokio::spawn(filesync::pump(request.into_inner(), come));
    tokio::task::spawn_blocking(move || {
        let progress = Progress::default();
        let options = Receive { merge: true, owner: Owner::Caller, progress: &progress };
        // the other end has been told of a failure, and tells it to the user as the build's
        let _ = filesync::receive(root.into(), ends, options);
    });
    Ok(Response::new(filesync::stream(go).map(Ok)))
}
