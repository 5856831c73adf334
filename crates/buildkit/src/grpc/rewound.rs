//! A stream of which something was read already, as who reads the head of an upgrade's answer does.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream, from its first byte.
#[derive(Debug)]
pub struct Rewound<I> {
    early: Vec<u8>,
    /// How much of it was given.
    given: usize,
    io: I,
}

impl<I> Rewound<I> {
    /// `early` comes before what is still in the stream.
    pub fn new(early: impl Into<Vec<u8>>, io: I) -> Self {
        Self { early: early.into(), given: 0, io }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Rewound<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.given == self.early.len() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let count = (self.early.len() - self.given).min(buf.remaining());
        buf.put_slice(&self.early[self.given..self.given + count]);
        self.given += count;
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Rewound<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
