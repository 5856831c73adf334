//! Logs: lines as they were written, framed as the client can read them.

use api::stdcopy;
use bytes::{BufMut as _, Bytes, BytesMut};
use engine::container::{LogEntry, LogsOptions, Source, Tail};
use futures_util::TryStreamExt as _;
use hyper::header::HeaderValue;

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::Asked;
use crate::response::{self, MULTIPLEXED_STREAM, RAW_STREAM, Response};

/// How each line is written.
#[derive(Clone, Copy)]
struct Layout {
    tty: bool,
    timestamps: bool,
    details: bool,
}

/// `GET /containers/{id}/logs`
pub(crate) async fn logs(asked: Asked) -> Result<Response> {
    let query = &asked.query;
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        return Err(ApiError::bad_request("Bad parameters: you must choose at least one stream"));
    }
    let options = LogsOptions {
        follow: query.flag("follow"),
        stdout,
        stderr,
        since: convert::moment("since", query.get("since").unwrap_or_default())?,
        until: convert::moment("until", query.get("until").unwrap_or_default())?,
        tail: tail(query.get("tail").unwrap_or_default()),
    };
    let logs = asked.engine().container_logs(&asked.param, options).await?;
    let layout =
        Layout { tty: logs.tty, timestamps: query.flag("timestamps"), details: query.flag("details") };
    let content_type = if logs.tty || !asked.since(42) { RAW_STREAM } else { MULTIPLEXED_STREAM };
    let lines = logs.entries.map_ok(move |entry| layout.write(&entry));
    Ok(response::stream(HeaderValue::from_static(content_type), lines))
}

/// A number; anything else means all, as for Docker.
fn tail(text: &str) -> Tail {
    text.parse().map_or(Tail::All, Tail::Lines)
}

impl Layout {
    fn write(self, entry: &LogEntry) -> Bytes {
        let mut line = BytesMut::with_capacity(entry.data.len() + stdcopy::HEADER + 64);
        if !self.tty {
            line.put_bytes(0, stdcopy::HEADER);
        }
        if self.timestamps {
            line.put_slice(convert::nanos(entry.time).as_bytes());
            line.put_u8(b' ');
        }
        if self.details {
            let details: Vec<_> =
                entry.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
            line.put_slice(details.join(",").as_bytes());
            line.put_u8(b' ');
        }
        line.put_slice(&entry.data);
        if !self.tty {
            let length = u32::try_from(line.len() - stdcopy::HEADER).unwrap_or(u32::MAX);
            let stream = match entry.source {
                Source::Stdout => stdcopy::Stream::Stdout,
                Source::Stderr => stdcopy::Stream::Stderr,
            };
            line[..stdcopy::HEADER].copy_from_slice(&stream.header(length));
        }
        line.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> LogEntry {
        LogEntry {
            source: Source::Stderr,
            time: "2026-01-02T03:04:05.5Z".parse().unwrap(),
            data: Bytes::from_static(b"hi\n"),
            attributes: [("a".to_owned(), "1".to_owned())].into(),
        }
    }

    #[test]
    fn a_frame_covers_timestamp_and_details() {
        let line = Layout { tty: false, timestamps: true, details: true }.write(&entry());
        assert_eq!(&line[..8], [2, 0, 0, 0, 0, 0, 0, 38]);
        assert_eq!(&line[8..], b"2026-01-02T03:04:05.500000000Z a=1 hi\n");
    }

    #[test]
    fn a_terminal_is_raw() {
        let line = Layout { tty: true, timestamps: false, details: false }.write(&entry());
        assert_eq!(&line[..], b"hi\n");
    }

    #[test]
    fn tails() {
        assert_eq!(tail("10"), Tail::Lines(10));
        assert_eq!(tail("all"), Tail::All);
        assert_eq!(tail("-1"), Tail::All);
    }
}
