//! Bytes from a thread that packs to a client that may be slow: as many wait as the channel has room for.

use std::io::{self, Write};

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use crate::Stream;
use crate::error::{Error, Result};

/// Bytes that are sent at once.
const PIECE: usize = 128 << 10;
/// Pieces that may wait.
const WAITING: usize = 8;

/// The writing end, for a thread.
pub(super) struct Outgoing {
    sender: mpsc::Sender<Result<Bytes>>,
    piece: Vec<u8>,
}

/// A writing end and its stream.
pub(super) fn channel() -> (Outgoing, Stream<Bytes>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    (Outgoing { sender, piece: Vec::with_capacity(PIECE) }, stream.boxed())
}

impl Outgoing {
    /// An archive that breaks off ends in a failure, never as if it were whole.
    pub(super) fn fail(self, error: Error) {
        // the client may have gone
        let _ = self.sender.blocking_send(Err(error));
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let take = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..take]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.sender.blocking_send(Ok(piece.into())).map_err(|_gone| io::ErrorKind::BrokenPipe.into())
    }
}
