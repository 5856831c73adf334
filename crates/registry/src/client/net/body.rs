//! The body of an answer: piece by piece, and only as long as it moves.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;

use super::pool::{Connection, Key, Pool};
use super::send::Place;
use crate::client::config::Time;
use crate::client::error::{Cause, Error, Result};

/// What is left of an answer. Dropped before its end, it takes the connection with it.
pub(crate) struct Body {
    incoming: Incoming,
    home: Option<(Arc<Pool>, Key, Connection)>,
    pace: Pace,
    place: Place,
    again: Option<Bytes>,
}

impl Body {
    pub(super) fn new(
        incoming: Incoming,
        home: (Arc<Pool>, Key, Connection),
        time: &Time,
        place: Place,
    ) -> Self {
        let mut body = Self { incoming, home: Some(home), pace: Pace::new(time), place, again: None };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    /// How long the whole is, when the head says so.
    pub(crate) fn length(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// The next piece, as it came from the connection; `None` at the end.
    ///
    /// # Errors
    /// The connection broke before the end, or too little came for too long.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        if let Some(bytes) = self.again.take() {
            return Ok(Some(bytes));
        }
        loop {
            let before = Instant::now();
            let frame = match tokio::time::timeout(self.pace.patience(), self.incoming.frame()).await {
                Ok(frame) => frame,
                Err(_) => {
                    self.pace.note(before.elapsed(), 0).map_err(|cause| self.place.error(cause))?;
                    continue;
                }
            };
            let Some(frame) = frame else {
                self.finish();
                return Ok(None);
            };
            let frame = frame.map_err(|error| self.place.error(Cause::Broken(broken(&error))))?;
            let Ok(bytes) = frame.into_data() else { continue };
            self.pace.note(before.elapsed(), bytes.len() as u64).map_err(|cause| self.place.error(cause))?;
            if !bytes.is_empty() {
                return Ok(Some(bytes));
            }
        }
    }

    /// These bytes are the next piece.
    pub(crate) fn put_back(&mut self, bytes: Bytes) {
        self.again = Some(bytes);
    }

    /// All of it, when that is at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] names `what`; else as for [`Body::chunk`].
    pub(crate) async fn collect(&mut self, limit: u64, what: &str) -> Result<Bytes> {
        let too_large = || Error::TooLarge { what: what.into(), limit };
        if self.length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut all = BytesMut::new();
        while let Some(bytes) = self.chunk().await? {
            if (all.len() + bytes.len()) as u64 > limit {
                return Err(too_large());
            }
            if all.is_empty() && self.incoming.is_end_stream() {
                self.finish();
                return Ok(bytes);
            }
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    }

    /// The beginning of it, for a message.
    pub(crate) async fn beginning(&mut self, limit: usize) -> Bytes {
        let mut all = BytesMut::new();
        while let Ok(Some(bytes)) = self.chunk().await {
            let room = limit - all.len();
            all.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if all.len() == limit {
                break;
            }
        }
        all.freeze()
    }

    fn finish(&mut self) {
        if let Some((pool, key, connection)) = self.home.take() {
            pool.put(key, connection);
        }
    }
}

/// What hyper says of a broken connection, with the reason beneath.
pub(super) fn broken(error: &hyper::Error) -> String {
    use std::error::Error as _;
    if error.is_incomplete_message() {
        return "unexpected EOF".into();
    }
    let source = error.source();
    // in TLS 1.3 the other side tells after the handshake what it thinks of our certificate
    let alert = source.and_then(|source| source.downcast_ref::<std::io::Error>()?.get_ref()?.downcast_ref());
    match (alert, source) {
        (Some(rustls::Error::AlertReceived(alert)), _) => super::tls::told(*alert),
        (_, Some(source)) => format!("{error}: {source}"),
        (_, None) => error.to_string(),
    }
}

/// Counts the time in which we wait for the other side, and what it brings.
struct Pace {
    span: Duration,
    least: u64,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn new(time: &Time) -> Self {
        Self { span: time.stall, least: time.stall_bytes, waited: Duration::ZERO, bytes: 0 }
    }

    /// How long may be waited now.
    fn patience(&self) -> Duration {
        self.span.saturating_sub(self.waited)
    }

    fn note(&mut self, waited: Duration, bytes: u64) -> Result<(), Cause> {
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < self.span {
            return Ok(());
        }
        if self.bytes < self.least {
            return Err(Cause::Stalled { bytes: self.bytes, time: self.waited });
        }
        self.waited = Duration::ZERO;
        self.bytes = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_is_no_progress() {
        let time = Time { stall: Duration::from_secs(10), stall_bytes: 100, ..Time::default() };
        let mut pace = Pace::new(&time);
        for _ in 0..9 {
            pace.note(Duration::from_secs(1), 10).unwrap();
        }
        assert_eq!(pace.patience(), Duration::from_secs(1));
        pace.note(Duration::from_secs(1), 10).unwrap();
        assert_eq!(pace.patience(), Duration::from_secs(10));
        for _ in 0..9 {
            pace.note(Duration::from_secs(1), 1).unwrap();
        }
        let cause = pace.note(Duration::from_secs(1), 1).unwrap_err();
        assert!(matches!(cause, Cause::Stalled { bytes: 10, .. }));
    }
}
