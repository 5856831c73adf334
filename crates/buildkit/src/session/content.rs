//! Blobs of the client's: of image layouts that it lends, and of directories that caches come from and go to.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use super::Session;
use super::calls::put;
use crate::content::{
    InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse, WriteAction, WriteContentRequest,
    WriteContentResponse,
};
use crate::method;

/// Bytes of one message that is written.
const PIECE: usize = 256 << 10;
/// Messages that wait for the connection.
const QUEUE: usize = 4;

/// A blob that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// `algorithm:hex`.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

impl Session {
    /// Bytes of a blob; `None` if the store doesn't have it.
    ///
    /// # Errors
    /// The client's status: it may have no such store.
    pub async fn content_size(&self, store: &str, digest: &str) -> Result<Option<u64>, Status> {
        let mut question = Request::new(InfoRequest { digest: digest.to_owned() });
        put(question.metadata_mut(), method::metadata::STORE_ID, &[store.to_owned()])?;
        let answer: Result<InfoResponse, _> = self.channel.ask_with(method::CONTENT_INFO, question).await;
        match answer {
            Ok(answer) => {
                let size = answer.info.unwrap_or_default().size;
                let wrong = |_negative| Status::internal(format!("blob {digest} has a negative size"));
                u64::try_from(size).map(Some).map_err(wrong)
            }
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// A blob, in pieces.
    ///
    /// # Errors
    /// The client's status, here or while it is read.
    pub async fn content(&self, store: &str, digest: &str) -> Result<Content, Status> {
        let question = ReadContentRequest { digest: digest.to_owned(), offset: 0, size: 0 };
        let mut question = Request::new(question);
        put(question.metadata_mut(), method::metadata::STORE_ID, &[store.to_owned()])?;
        let messages = self.channel.subscribe_with(method::CONTENT_READ, question).await?;
        Ok(Content { messages, come: 0 })
    }

    /// Writes a blob, if the store doesn't have it. `pieces` must be all of it: the client compares the digest.
    ///
    /// # Errors
    /// The client's status; [`Code::Cancelled`] when `pieces` ends before the blob does.
    pub async fn put_content(
        &self,
        store: &str,
        expected: &Expected,
        mut pieces: mpsc::Receiver<Vec<u8>>,
    ) -> Result<(), Status> {
        let total = i64::try_from(expected.size).map_err(|_large| Status::invalid_argument("too large"))?;
        let step = WriteContentRequest {
            r#ref: format!("berth-{}", expected.digest),
            expected: expected.digest.clone(),
            total,
            ..WriteContentRequest::default()
        };
        let (go, outgoing) = mpsc::channel::<WriteContentRequest>(QUEUE);
        let mut request = Request::new(ReceiverStream::new(outgoing));
        put(request.metadata_mut(), method::metadata::STORE_ID, &[store.to_owned()])?;
        // first it is asked how far an earlier writer has come, as containerd's own client does
        let gone = |_closed| Status::unavailable("the client no longer takes it");
        go.send(step.clone()).await.map_err(gone)?;
        let answers = self.channel.converse(method::CONTENT_WRITE, request).await;
        let mut answers: Streaming<WriteContentResponse> = match answers {
            Err(status) if status.code() == Code::AlreadyExists => return Ok(()),
            answers => answers?,
        };
        let from = match answers.message().await {
            Err(status) if status.code() == Code::AlreadyExists => return Ok(()),
            answer => answer?.unwrap_or_default().offset,
        };
        let mut offset = 0_i64;
        while let Some(piece) = pieces.recv().await {
            for data in piece.chunks(PIECE) {
                let end = offset + i64::try_from(data.len()).unwrap_or(i64::MAX);
                if end > from {
                    let skip = usize::try_from(from - offset).unwrap_or(0);
                    let action = WriteAction::Write.into();
                    let (offset, data) = (offset.max(from), data[skip..].to_vec());
                    let message = WriteContentRequest { action, offset, data, ..step.clone() };
                    go.send(message).await.map_err(gone)?;
                    answers.message().await?;
                }
                offset = end;
            }
        }
        if offset != total {
            return Err(Status::cancelled(format!("{offset} of {total} bytes were read")));
        }
        let action = WriteAction::Commit.into();
        go.send(WriteContentRequest { action, offset, ..step }).await.map_err(gone)?;
        match answers.message().await {
            Err(status) if status.code() == Code::AlreadyExists => Ok(()),
            Err(status) => Err(status),
            Ok(Some(answer)) if answer.digest == expected.digest => Ok(()),
            Ok(_) => Err(Status::data_loss(format!("the client has not got {}", expected.digest))),
        }
    }
}

/// A blob that is being read.
#[derive(Debug)]
pub struct Content {
    messages: Streaming<ReadContentResponse>,
    come: i64,
}

impl Content {
    /// The next piece, `None` at the end.
    ///
    /// # Errors
    /// The client's status; a piece that belongs elsewhere.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Status> {
        let Some(piece) = self.messages.message().await? else { return Ok(None) };
        if piece.offset != self.come {
            return Err(Status::data_loss(format!(
                "bytes at {} came for those at {}",
                piece.offset, self.come
            )));
        }
        self.come = self.come.saturating_add(i64::try_from(piece.data.len()).unwrap_or(i64::MAX));
        Ok(Some(piece.data))
    }
}
