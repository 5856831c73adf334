//! Streams that a thread writes.

use std::io::Write as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, DuplexStream, ReadBuf};
use tokio_util::io::SyncIoBridge;

use crate::Reader;

/// Bytes that may wait for a slow reader.
const PIPE: usize = 1 << 20;

/// What `write` writes, on a thread of its own. A stream that broke off ends in a failure, never as if it were whole.
pub(crate) fn written(
    write: impl FnOnce(&mut SyncIoBridge<DuplexStream>) -> Result<(), String> + Send + 'static,
) -> Reader {
    let (near, far) = tokio::io::duplex(PIPE);
    let failure = Arc::new(Mutex::new(Some("whoever writes it has failed: see the daemon's log".to_owned())));
    let told = Arc::clone(&failure);
    tokio::task::spawn_blocking(move || {
        let mut output = SyncIoBridge::new(far);
        let flushed = |output: &mut SyncIoBridge<_>| output.flush().map_err(|error| error.to_string());
        let done = write(&mut output).and_then(|()| flushed(&mut output));
        // told before the stream ends
        *told.lock().unwrap_or_else(PoisonError::into_inner) = done.err();
    });
    Box::new(Written { near, failure })
}

/// The reading end.
struct Written {
    near: DuplexStream,
    failure: Arc<Mutex<Option<String>>>,
}

impl AsyncRead for Written {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.near).poll_read(context, buffer);
        let over = matches!(result, Poll::Ready(Ok(()))) && buffer.filled().len() == before;
        if over && buffer.remaining() > 0 {
            let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(error) = failure.take() {
                return Poll::Ready(Err(std::io::Error::other(error)));
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    async fn read(mut reader: Reader) -> (Vec<u8>, std::io::Result<usize>) {
        let mut bytes = Vec::new();
        let end = reader.read_to_end(&mut bytes).await;
        (bytes, end)
    }

    #[tokio::test]
    async fn only_what_is_whole_ends_well() {
        let (bytes, end) = read(written(|output| output.write_all(b"all").map_err(|e| e.to_string()))).await;
        assert_eq!((bytes.as_slice(), end.unwrap()), (b"all".as_slice(), 3));
        let (bytes, end) = read(written(|output| {
            output.write_all(b"some").unwrap();
            Err("the disk".to_owned())
        }))
        .await;
        assert_eq!((bytes.as_slice(), end.unwrap_err().to_string()), (b"some".as_slice(), "the disk".into()));
        let (_, end) = read(written(|_| panic!("on purpose"))).await;
        assert!(end.unwrap_err().to_string().contains("has failed"));
    }
}
