//! A stream that looks at each request head before hyper does.
//!
//! hyper gives a connection away only on 101 and CONNECT, but clients may attach without `Upgrade` and
//! get `200` and raw bytes. So before each head reaches hyper it is judged here: if it is a request that
//! takes the connection over, hyper is told that the stream has ended, and the connection goes on in
//! `hijack` with the head as it was read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::head::{self, Parsed};
use super::{HEAD_TIME, MAX_HEAD, Transport};

/// Bytes read at once while a head comes in.
const STEP: usize = 4096;

/// What the sniffer and the service tell each other: where one request ends and the next begins.
#[derive(Debug, Default)]
pub(super) struct Signs {
    unread: AtomicBool,
    unsent: AtomicBool,
    hijacked: AtomicBool,
}

impl Signs {
    /// The request has a body that is still to be read.
    pub(super) fn body_begins(&self) {
        self.unread.store(true, Ordering::Release);
    }

    /// The request's body has been read to its end.
    pub(super) fn body_ends(&self) {
        self.unread.store(false, Ordering::Release);
    }

    /// The answer is written, or given up.
    pub(super) fn answered(&self) {
        self.unsent.store(false, Ordering::Release);
    }

    /// The next bytes are a request that takes the connection over.
    pub(super) fn hijacked(&self) -> bool {
        self.hijacked.load(Ordering::Acquire)
    }

    fn between_requests(&self) -> bool {
        !self.unread.load(Ordering::Acquire) && !self.unsent.load(Ordering::Acquire)
    }

    fn request_begins(&self) {
        self.unsent.store(true, Ordering::Release);
    }
}

/// The stream that hyper reads from.
pub(super) struct Sniff {
    io: Box<dyn Transport>,
    /// Read from the stream, not yet given on.
    held: BytesMut,
    /// When the head that is coming in must be complete.
    limit: Option<Pin<Box<Sleep>>>,
    signs: Arc<Signs>,
}

impl Sniff {
    pub(super) fn new(io: Box<dyn Transport>, signs: Arc<Signs>) -> Self {
        Self { io, held: BytesMut::new(), limit: None, signs }
    }

    /// The stream, and what was read from it already.
    pub(super) fn into_parts(self) -> (Box<dyn Transport>, BytesMut) {
        (self.io, self.held)
    }

    /// Reads until a head is complete and judged. Ready(false) when hyper must not see it.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            match head::parse(&self.held) {
                Parsed::Complete(head) if head.is_hijack() => return Poll::Ready(Ok(false)),
                Parsed::Partial if self.held.len() < MAX_HEAD => {}
                // hyper answers what is malformed or too long.
                _ => return Poll::Ready(Ok(true)),
            }
            if ready!(self.poll_more(cx))? == 0 {
                return Poll::Ready(Ok(true));
            }
        }
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [0; STEP];
        let mut buf = ReadBuf::new(&mut space);
        if Pin::new(&mut self.io).poll_read(cx, &mut buf)?.is_pending() {
            return self.poll_limit(cx);
        }
        self.held.extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// An idle connection may stay; one that has begun a head must go on with it.
    fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.held.is_empty() {
            return Poll::Pending;
        }
        let limit =
            self.limit.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + HEAD_TIME)));
        ready!(limit.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "request head not complete in time")))
    }
}

impl AsyncRead for Sniff {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.signs.hijacked() {
            return Poll::Ready(Ok(()));
        }
        if this.signs.between_requests() {
            if !ready!(this.poll_head(cx))? {
                this.signs.hijacked.store(true, Ordering::Release);
                return Poll::Ready(Ok(()));
            }
            this.limit = None;
            this.signs.request_begins();
        }
        if this.held.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buf);
        }
        let length = this.held.len().min(buf.remaining());
        buf.put_slice(&this.held[..length]);
        this.held.advance(length);
        if this.held.is_empty() {
            this.held = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Sniff {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
