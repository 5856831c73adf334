//! Bodies of requests.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Frame, SizeHint};

/// Bytes from somewhere, piece by piece.
pub type Chunks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The body of a request.
#[derive(Default)]
pub(crate) enum Payload {
    /// None.
    #[default]
    Empty,
    /// All of it.
    Whole(Bytes),
    /// As it comes.
    Stream(Streamed),
}

/// A body as it comes, and how far it has gone.
pub(crate) struct Streamed {
    chunks: Chunks,
    /// How many bytes are still to come, when that is known.
    left: Option<u64>,
    meter: Arc<Meter>,
}

/// How far a body has gone: seen by who waits for the answer.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) sent: AtomicU64,
    /// It is our own source that is waited for, not the network.
    pub(super) awaits_source: AtomicBool,
    pub(super) done: AtomicBool,
    failure: Mutex<Option<io::Error>>,
}

impl Meter {
    /// Why the source has failed, if it has.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Payload {
    /// A body of `length` bytes, or of a length that is not known yet.
    pub(crate) fn stream(chunks: Chunks, length: Option<u64>) -> Self {
        Self::Stream(Streamed { chunks, left: length, meter: Arc::default() })
    }

    pub(super) fn meter(&self) -> Option<Arc<Meter>> {
        match self {
            Self::Stream(streamed) => Some(Arc::clone(&streamed.meter)),
            _ => None,
        }
    }

    /// The same body once more, if it can be had.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Stream(_) => None,
        }
    }
}

impl Streamed {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.meter.awaits_source.store(true, Ordering::Relaxed);
        let next = ready!(self.chunks.as_mut().poll_next(cx));
        self.meter.awaits_source.store(false, Ordering::Relaxed);
        let next = match (next, &mut self.left) {
            (Some(Ok(bytes)), Some(left)) => match left.checked_sub(bytes.len() as u64) {
                Some(rest) => {
                    *left = rest;
                    Some(Ok(bytes))
                }
                None => Some(Err(io::Error::other("more bytes than were announced"))),
            },
            (None, Some(1..)) => Some(Err(io::ErrorKind::UnexpectedEof.into())),
            (next, _) => next,
        };
        match &next {
            Some(Ok(bytes)) => {
                self.meter.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            None => self.meter.done.store(true, Ordering::Relaxed),
            Some(Err(_)) => {}
        }
        // hyper asks no further once the announced length is there
        if self.left == Some(0) {
            self.meter.done.store(true, Ordering::Relaxed);
        }
        Poll::Ready(next)
    }
}

impl hyper::body::Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Stream(streamed) => match ready!(streamed.poll(cx)) {
                Some(Err(error)) => {
                    let told = io::Error::new(error.kind(), error.to_string());
                    let mut failure = streamed.meter.failure.lock().unwrap_or_else(PoisonError::into_inner);
                    *failure = Some(error);
                    Poll::Ready(Some(Err(told)))
                }
                next => Poll::Ready(next.map(|bytes| bytes.map(Frame::data))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream(streamed) => streamed.left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(streamed) => streamed.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
