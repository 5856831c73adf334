//! Logs: lines as they were written, framed as the client can read them.

use api::stdcopy;
use bytes::{BufMut as _, BytesMut};
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
    let lines = logs.entries.map_ok(move |entries| {
        let length = entries.iter().map(|entry| entry.data.len() + BESIDE).sum();
        let mut out = BytesMut::with_capacity(length);
        entries.iter().for_each(|entry| layout.write(&mut out, entry));
        out.freeze()
    });
    Ok(response::stream(HeaderValue::from_static(content_type), lines))
}

/// A number; anything else means all, as for Docker.
fn tail(text: &str) -> Tail {
    text.parse().map_or(Tail::All, Tail::Lines)
}

/// What a line takes beside its bytes, about: header and time.
const BESIDE: usize = stdcopy::HEADER + 32;

impl Layout {
    fn write(self, line: &mut BytesMut, entry: &LogEntry) {
        let start = line.len();
        if !self.tty {
            line.put_bytes(0, stdcopy::HEADER);
        }
        if self.timestamps {
            line.put_slice(convert::nanos(entry.time).as_bytes());
            line.put_u8(b' ');
        }
        if self.details {
            let pair = |(name, value): (&String, &String)| format!("{}={}", escape(name), escape(value));
            let details: Vec<_> = entry.attributes.iter().map(pair).collect();
            line.put_slice(details.join(",").as_bytes());
            line.put_u8(b' ');
        }
        line.put_slice(&entry.data);
        if !self.tty {
            let length = u32::try_from(line.len() - start - stdcopy::HEADER).unwrap_or(u32::MAX);
            let stream = match entry.source {
                Source::Stdout => stdcopy::Stream::Stdout,
                Source::Stderr => stdcopy::Stream::Stderr,
            };
            line[start..start + stdcopy::HEADER].copy_from_slice(&stream.header(length));
        }
    }
}

/// As in a URL's query, which keeps the separators apart from what they separate.
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn entry() -> LogEntry {
        LogEntry {
            source: Source::Stderr,
            time: "2026-01-02T03:04:05.5Z".parse().unwrap(),
            data: Bytes::from_static(b"hi\n"),
            attributes: [("a b".to_owned(), "1,/é~".to_owned())].into(),
        }
    }

    #[test]
    fn a_frame_covers_timestamp_and_details() {
        let mut out = BytesMut::from(&b"before"[..]);
        Layout { tty: false, timestamps: true, details: true }.write(&mut out, &entry());
        let line = &out[6..];
        assert_eq!(&line[..8], [2, 0, 0, 0, 0, 0, 0, 53]);
        assert_eq!(&line[8..], b"2026-01-02T03:04:05.500000000Z a+b=1%2C%2F%C3%A9~ hi\n");
    }

    #[test]
    fn a_terminal_is_raw() {
        let mut line = BytesMut::new();
        Layout { tty: true, timestamps: false, details: false }.write(&mut line, &entry());
        assert_eq!(&line[..], b"hi\n");
    }

    #[test]
    fn tails() {
        assert_eq!(tail("10"), Tail::Lines(10));
        assert_eq!(tail("all"), Tail::All);
        assert_eq!(tail("-1"), Tail::All);
    }
}
