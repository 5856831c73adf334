//! Blobs of this machine's image layouts and directories of caches. The other end can ask for blobs by their digests
//! alone, of those directories alone that the command names, and add some where the command says so.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use buildkit::content::{
    Info, InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse, WriteAction,
    WriteContentRequest, WriteContentResponse,
};
use buildkit::{Status, method, session};
use oci::Digest;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Streaming};

use super::Lent;
use crate::build::layout::Layout;
use crate::error::reason;

/// Bytes of one message.
const PIECE: usize = 256 << 10;
/// Messages that wait for the connection.
const QUEUE: usize = 4;
/// Longest path of a store that is mentioned.
const SHOWN: usize = 200;

fn store(lent: &Lent, metadata: &MetadataMap) -> Result<Layout, Status> {
    let name = session::values(metadata, method::metadata::STORE_ID).pop().unwrap_or_default();
    let shown = || name.chars().take(SHOWN).collect::<String>();
    lent.layouts.get(&name).cloned().ok_or_else(|| Status::not_found(format!("unknown store {:?}", shown())))
}

fn digest(text: &str) -> Result<Digest, Status> {
    let digest = text.parse::<Digest>().map_err(|error| Status::invalid_argument(error.to_string()))?;
    if digest.algorithm().as_str() == "sha256" {
        return Ok(digest);
    }
    Err(Status::invalid_argument(format!("{digest}: blobs are known by SHA-256 alone")))
}

fn failed(what: &str, error: &std::io::Error) -> Status {
    let why = format!("{what}: {}", reason(error));
    if error.kind() == std::io::ErrorKind::NotFound { Status::not_found(why) } else { Status::internal(why) }
}

pub(super) async fn info(
    lent: Arc<Lent>,
    request: Request<InfoRequest>,
) -> Result<Response<InfoResponse>, Status> {
    let store = store(&lent, request.metadata())?;
    let digest = digest(&request.get_ref().digest)?;
    let found = std::fs::metadata(store.blob(&digest)).map_err(|error| failed("look at a blob", &error))?;
    let size = i64::try_from(found.len()).unwrap_or(i64::MAX);
    Ok(Response::new(InfoResponse { info: Some(Info { digest: digest.to_string(), size }) }))
}

pub(super) async fn read(
    lent: Arc<Lent>,
    request: Request<ReadContentRequest>,
) -> Result<Response<ReceiverStream<Result<ReadContentResponse, Status>>>, Status> {
    let store = store(&lent, request.metadata())?;
    let asked = request.into_inner();
    let digest = digest(&asked.digest)?;
    let mut file = std::fs::File::open(store.blob(&digest)).map_err(|error| failed("open a blob", &error))?;
    let (Ok(from), Ok(size)) = (u64::try_from(asked.offset), u64::try_from(asked.size)) else {
        return Err(Status::out_of_range("a negative part of a blob"));
    };
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(from))
        .map_err(|error| failed("read a blob", &error))?;
    let mut source = file.take(if size == 0 { u64::MAX } else { size });
    let (go, pieces) = mpsc::channel(QUEUE);
    tokio::task::spawn_blocking(move || {
        let mut offset = asked.offset;
        loop {
            let mut data = vec![0; PIECE];
            let piece = match source.read(&mut data) {
                Ok(0) => return,
                Ok(count) => {
                    data.truncate(count);
                    Ok(ReadContentResponse { offset, data })
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(failed("read a blob", &error)),
            };
            offset += piece.as_ref().map_or(0, |piece| i64::try_from(piece.data.len()).unwrap_or(0));
            let last = piece.is_err();
            if go.blocking_send(piece).is_err() || last {
                return;
            }
        }
    });
    Ok(Response::new(ReceiverStream::new(pieces)))
}

pub(super) async fn write(
    lent: Arc<Lent>,
    request: Request<Streaming<WriteContentRequest>>,
) -> Result<Response<ReceiverStream<Result<WriteContentResponse, Status>>>, Status> {
    let store = store(&lent, request.metadata())?;
    if !store.takes {
        return Err(Status::permission_denied(format!("{} is only read", store.dir().display())));
    }
    let mut steps = request.into_inner();
    let (go, answers) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let mut blob = None;
        loop {
            let answer = match steps.message().await {
                Ok(Some(step)) => Blob::step(&store, &mut blob, &step),
                Ok(None) => return,
                Err(status) => Err(status),
            };
            let last = answer.is_err();
            // the other end may be gone
            if go.send(answer).await.is_err() || last {
                return;
            }
        }
    });
    Ok(Response::new(ReceiverStream::new(answers)))
}

/// A blob that comes. It goes with this value until it is whole.
struct Blob {
    expected: Digest,
    total: i64,
    place: PathBuf,
    file: std::fs::File,
    sum: Sha256,
    come: i64,
    whole: bool,
}

impl Drop for Blob {
    fn drop(&mut self) {
        if !self.whole {
            // what can't be removed bears a name that nobody looks for
            let _ = std::fs::remove_file(&self.place);
        }
    }
}

impl Blob {
    fn new(store: &Layout, step: &WriteContentRequest) -> Result<Self, Status> {
        let expected = digest(&step.expected)?;
        if store.blob(&expected).exists() {
            return Err(Status::already_exists(format!("content {expected}: already exists")));
        }
        let open = |place: &PathBuf| {
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(place)
        };
        let place = store.incoming().map_err(|error| failed("make a blob", &error))?;
        let file = open(&place).map_err(|error| failed("make a blob", &error))?;
        let sum = Sha256::new();
        Ok(Self { expected, total: step.total, place, file, sum, come: 0, whole: false })
    }

    /// Does one step, and says how far it is.
    fn step(
        store: &Layout,
        blob: &mut Option<Self>,
        step: &WriteContentRequest,
    ) -> Result<WriteContentResponse, Status> {
        let blob = match blob {
            Some(blob) => blob,
            None => blob.insert(Self::new(store, step)?),
        };
        if !step.expected.is_empty() && step.expected != blob.expected.as_str() {
            return Err(Status::invalid_argument("one stream writes one blob"));
        }
        let action = WriteAction::try_from(step.action)
            .map_err(|_unknown| Status::invalid_argument(format!("no such action {}", step.action)))?;
        if !step.data.is_empty() {
            blob.take(step)?;
        }
        let mut digest = String::new();
        if action == WriteAction::Commit {
            let found = Digest::from_sha256(blob.sum.clone().finalize().into());
            let is_total = blob.total <= 0 || blob.total == blob.come;
            if found != blob.expected || !is_total {
                return Err(Status::failed_precondition(format!(
                    "{} bytes of digest {found} came, not {}",
                    blob.come, blob.expected
                )));
            }
            std::fs::rename(&blob.place, store.blob(&blob.expected))
                .map_err(|error| failed("make a blob", &error))?;
            blob.whole = true;
            digest = found.to_string();
        }
        Ok(WriteContentResponse { action: step.action, offset: blob.come, total: blob.total, digest })
    }

    fn take(&mut self, step: &WriteContentRequest) -> Result<(), Status> {
        if step.offset != self.come || self.whole {
            return Err(Status::out_of_range(format!(
                "bytes at {} came for those at {}",
                step.offset, self.come
            )));
        }
        self.file.write_all(&step.data).map_err(|error| failed("write a blob", &error))?;
        self.sum.update(&step.data);
        self.come += i64::try_from(step.data.len()).unwrap_or(0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(action: WriteAction, expected: &Digest, offset: i64, data: &[u8]) -> WriteContentRequest {
        let (action, expected) = (action.into(), expected.to_string());
        WriteContentRequest { action, expected, offset, data: data.to_vec(), ..Default::default() }
    }

    #[test]
    fn only_what_was_announced_becomes_a_blob() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), true);
        let announced = Digest::sha256(b"words");
        let mut blob = None;
        for (action, offset, data) in [
            (WriteAction::Stat, 0, &b""[..]),
            (WriteAction::Write, 0, b"wor"),
            (WriteAction::Write, 3, b"ds"),
        ] {
            Blob::step(&layout, &mut blob, &step(action, &announced, offset, data)).unwrap();
        }
        assert!(!layout.blob(&announced).exists());
        let done = Blob::step(&layout, &mut blob, &step(WriteAction::Commit, &announced, 5, b"")).unwrap();
        assert_eq!((done.offset, done.digest.as_str()), (5, announced.as_str()));
        assert_eq!(std::fs::read(layout.blob(&announced)).unwrap(), b"words");
        let again = Blob::step(&layout, &mut None, &step(WriteAction::Stat, &announced, 0, b""));
        assert_eq!(again.unwrap_err().code(), buildkit::Code::AlreadyExists);
        // other bytes, and bytes for another place
        let other = Digest::sha256(b"other");
        let mut blob = None;
        Blob::step(&layout, &mut blob, &step(WriteAction::Write, &other, 0, b"words")).unwrap();
        assert!(Blob::step(&layout, &mut blob, &step(WriteAction::Write, &other, 0, b"x")).is_err());
        assert!(Blob::step(&layout, &mut blob, &step(WriteAction::Commit, &other, 5, b"")).is_err());
        drop(blob);
        assert!(!layout.blob(&other).exists());
        assert_eq!(std::fs::read_dir(dir.path().join("blobs")).unwrap().count(), 1);
        assert!(digest("sha256:../../../etc/passwd").is_err() && digest("../x").is_err());
    }
}
