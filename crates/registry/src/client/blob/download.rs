//! A blob in pieces: a queue of what is missing, lowest first, and connections that take from it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Buf as _;
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, RANGE,
};
use hyper::{Method, StatusCode};
use oci::Descriptor;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::BlobSink;
use super::ranges::{content_range, pieces, total};
use crate::client::error::{Cause, Error, Result};
use crate::client::exchange::{Call, Peer};
use crate::client::net::Response;
use crate::client::retry::Attempts;
use crate::client::url::Url;

/// So many bytes are progress: what fails after them is tried anew as often as at first.
pub(super) const PROGRESS: u64 = 64 << 10;

/// Fetches what the sink misses of the blob that `call` asks for. `what` names it.
pub(super) async fn download(
    peer: &Peer,
    call: Call,
    what: String,
    blob: &Descriptor,
    sink: &Arc<dyn BlobSink>,
) -> Result<()> {
    let config = &peer.inner.config;
    let whole = pieces(sink.missing(), blob.size, u64::MAX);
    let missing = total(&whole);
    let several = config.connections > 1 && missing >= config.segment.saturating_mul(2);
    let queue = if several { pieces(whole.into(), blob.size, config.segment) } else { whole };
    let workers = if several { config.connections.min(queue.len()) } else { 1 };
    let job = Arc::new(Job {
        peer: peer.clone(),
        call,
        what,
        size: blob.size,
        sink: Arc::clone(sink),
        state: Mutex::new(State { queue, direct: None, etag: None }),
    });
    // whether the server serves ranges is known when the first answer begins; until then one asks alone
    let (open, mut opened) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&job).work(Some(open)));
    let mut started = 1;
    while started < workers && opened.wait_for(|open| *open).await.is_ok() {
        tasks.spawn(Arc::clone(&job).work(None));
        started += 1;
    }
    while let Some(done) = tasks.join_next().await {
        match done {
            Ok(result) => result?,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // the runtime is ending
            Err(_) => return Err(Error::protocol(&job.what, "the download was ended")),
        }
    }
    Ok(())
}

struct Job {
    peer: Peer,
    call: Call,
    what: String,
    size: u64,
    sink: Arc<dyn BlobSink>,
    state: Mutex<State>,
}

struct State {
    queue: VecDeque<Range<u64>>,
    /// Where the registry has sent us: asked directly as long as that works.
    direct: Option<Url>,
    /// Which bytes the ranges are of, in the server's words.
    etag: Option<HeaderValue>,
}

impl Job {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes pieces from the queue until it is empty.
    async fn work(self: Arc<Self>, mut open: Option<watch::Sender<bool>>) -> Result<()> {
        loop {
            let Some(piece) = self.state().queue.pop_front() else { return Ok(()) };
            let mut wanted = VecDeque::from([piece]);
            let mut attempts = Attempts::new(self.peer.retry());
            while !wanted.is_empty() {
                let before = total(&wanted);
                let Err(error) = self.fetch(&mut wanted, &mut open).await else { continue };
                if self.forget_direct(&error) {
                    continue;
                }
                if before.saturating_sub(total(&wanted)) >= PROGRESS {
                    attempts.progress();
                }
                self.peer.again(&mut attempts, error).await?;
            }
        }
    }

    /// A place that we were sent to refuses (its signature has ended, say): the registry knows a new one.
    fn forget_direct(&self, error: &Error) -> bool {
        matches!(error.status(), Some(400..=499)) && self.state().direct.take().is_some()
    }

    /// Makes one request for the first wanted range, and removes from `wanted` what has been written.
    async fn fetch(
        &self,
        wanted: &mut VecDeque<Range<u64>>,
        open: &mut Option<watch::Sender<bool>>,
    ) -> Result<()> {
        let Some(range) = wanted.front().cloned() else { return Ok(()) };
        let answer = self.ask(&range).await?;
        self.note(&answer);
        if answer.status == StatusCode::PARTIAL_CONTENT {
            let until = self.check_range(&answer, &range)?;
            if let Some(open) = open.take() {
                open.send_replace(true);
            }
            return self.take(answer, range.start..until, wanted).await;
        }
        self.check_whole(&answer)?;
        // no ranges here, or not of these bytes: all the rest comes in this one answer
        if open.take().is_some() {
            wanted.extend(self.state().queue.drain(..));
        }
        self.take(answer, 0..self.size, wanted).await
    }

    async fn ask(&self, range: &Range<u64>) -> Result<Response> {
        let (direct, etag) = {
            let state = self.state();
            (state.direct.clone(), state.etag.clone())
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if *range != (0..self.size) {
            let text = format!("bytes={}-{}", range.start, range.end - 1);
            let value = HeaderValue::try_from(text).map_err(|error| self.broken(error.to_string()))?;
            headers.insert(RANGE, value);
            if let Some(etag) = etag {
                headers.insert(IF_RANGE, etag);
            }
        }
        let outside = direct.is_some() || self.call.outside;
        let url = direct.unwrap_or_else(|| self.call.url.clone());
        let call = Call { headers, outside, ..Call::new(Method::GET, url, self.call.scopes.clone()) };
        self.peer.once(&call, &[200, 206]).await
    }

    /// Remembers where the answer came from and what it is of.
    fn note(&self, answer: &Response) {
        let strong = answer.headers.get(ETAG).filter(|etag| etag.as_bytes().starts_with(b"\""));
        let away = answer.place.url.origin() != self.call.url.origin();
        let mut state = self.state();
        state.etag = strong.cloned();
        state.direct = away.then(|| answer.place.url.clone());
    }

    /// Where the part ends that the answer brings: it may be shorter than what was asked for.
    fn check_range(&self, answer: &Response, wanted: &Range<u64>) -> Result<u64> {
        let text = answer.headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let (range, size) = text
            .and_then(content_range)
            .ok_or_else(|| self.broken(format!("answers a request for a part with the part {text:?}")))?;
        if let Some(size) = size.filter(|size| *size != self.size) {
            return Err(Error::Size { what: self.what.clone(), expected: self.size, found: size });
        }
        if range.start != wanted.start || range.end > wanted.end {
            return Err(self.broken(format!("answers a request for {wanted:?} with {range:?}")));
        }
        if let Some(length) = answer.body.length().filter(|length| *length != range.end - range.start) {
            return Err(self.broken(format!("says it sends {range:?}, and {length} bytes")));
        }
        self.check_encoding(answer)?;
        Ok(range.end)
    }

    fn check_whole(&self, answer: &Response) -> Result<()> {
        match answer.body.length() {
            Some(length) if length != self.size => {
                Err(Error::Size { what: self.what.clone(), expected: self.size, found: length })
            }
            _ => self.check_encoding(answer),
        }
    }

    fn check_encoding(&self, answer: &Response) -> Result<()> {
        match answer.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity" | b"") => Ok(()),
            Some(other) => {
                Err(self.broken(format!("sends the blob encoded as {:?}", String::from_utf8_lossy(other))))
            }
        }
    }

    /// Writes what is wanted of a body that holds this part of the blob.
    async fn take(
        &self,
        mut answer: Response,
        part: Range<u64>,
        wanted: &mut VecDeque<Range<u64>>,
    ) -> Result<()> {
        let mut at = part.start;
        while let Some(mut bytes) = answer.body.chunk().await? {
            if bytes.len() as u64 > part.end - at {
                let found = at + bytes.len() as u64;
                return Err(Error::Size { what: self.what.clone(), expected: part.end, found });
            }
            while let Some(range) = wanted.front_mut() {
                let skipped = range.start.saturating_sub(at).min(bytes.len() as u64);
                bytes.advance(skipped as usize);
                at += skipped;
                let count = (range.end - range.start).min(bytes.len() as u64);
                if count == 0 {
                    break;
                }
                self.sink.write_at(at, bytes.split_to(count as usize)).await.map_err(Error::Sink)?;
                at += count;
                range.start = at;
                if range.start == range.end {
                    wanted.pop_front();
                }
            }
            at += bytes.len() as u64;
            if wanted.is_empty() && at < part.end {
                // the rest is not wanted: it goes with its connection
                return Ok(());
            }
        }
        if at < part.end {
            return Err(answer.place.error(Cause::Broken("unexpected EOF".into())));
        }
        Ok(())
    }

    fn broken(&self, reason: String) -> Error {
        Error::protocol(&self.what, reason)
    }
}
