//! Events as they happen: one JSON object a line, or a JSON text sequence.

use api::Version;
use bytes::Bytes;
use engine::events::{Event, EventKind, EventsOptions};
use futures_util::{StreamExt as _, TryStreamExt as _};
use hyper::HeaderMap;
use hyper::header::{ACCEPT, HeaderValue};

use crate::convert;
use crate::error::{ApiError, Result};
use crate::request::Asked;
use crate::response::{self, BodyError, Response};

/// `GET /events`
pub(crate) async fn events(asked: Asked) -> Result<Response> {
    let query = &asked.query;
    let (since, until) = (query.get("since").unwrap_or_default(), query.get("until").unwrap_or_default());
    let options = EventsOptions {
        since: convert::moment("since", since)?,
        until: convert::moment("until", until)?,
        filters: convert::filters(&asked.filters()?),
    };
    if options.until.is_some() && options.since > options.until {
        let text = format!("`since` time ({since}) cannot be after `until` time ({until})");
        return Err(ApiError::bad_request(text));
    }
    let (version, form) = (asked.version, Form::negotiate(&asked.headers));
    let events = asked.engine().events(options)?;
    // A listener that has lost events is cut off in the middle of the body: it must not take the end for a quiet one.
    let events = events
        .try_filter(move |event| std::future::ready(is_known(event, version)))
        .map(move |event| form.write(convert::event(event?, version)));
    Ok(response::stream(form.content_type(), events))
}

/// Images are told of their creation only to clients that know the event.
fn is_known(event: &Event, version: Version) -> bool {
    version >= Version::minor(46) || event.kind != EventKind::Image || event.action != "create"
}

/// How events follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `application/json`, which it is not: what clients get who don't say what they accept.
    Legacy,
    /// One object a line, jsonlines.org.
    Lines,
    /// The same by its other name.
    NewlineDelimited,
    /// Each object behind a record separator, RFC 7464.
    Sequence,
}

/// In the order of preference.
const OFFERED: [(Form, &str); 3] = [
    (Form::Lines, "application/jsonl"),
    (Form::NewlineDelimited, "application/x-ndjson"),
    (Form::Sequence, "application/json-seq"),
];

impl Form {
    /// The offered form that the client likes best (RFC 9110, section 12.5.1); of equals the first.
    fn negotiate(headers: &HeaderMap) -> Self {
        let ranges: Vec<_> = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(range)
            .collect();
        let mut best = (Self::Legacy, 0);
        for (form, name) in OFFERED {
            let fits = |wanted: &str| match wanted {
                _ if wanted.eq_ignore_ascii_case(name) => Some(2),
                "application/*" => Some(1),
                "*/*" => Some(0),
                _ => None,
            };
            // the most exact range speaks for a form
            let quality = ranges.iter().filter_map(|(wanted, quality)| Some((fits(wanted)?, *quality))).max();
            if let Some((_, quality)) = quality
                && quality > best.1
            {
                best = (form, quality);
            }
        }
        best.0
    }

    fn content_type(self) -> HeaderValue {
        let name =
            OFFERED.iter().find(|(form, _)| *form == self).map_or("application/json", |(_, name)| name);
        HeaderValue::from_static(name)
    }

    fn write(self, event: api::events::EventMessage) -> Result<Bytes, BodyError> {
        const RECORD_SEPARATOR: u8 = 0x1e;
        let mut out = Vec::new();
        if self == Self::Sequence {
            out.push(RECORD_SEPARATOR);
        }
        serde_json::to_writer(&mut out, &event)?;
        out.push(b'\n');
        Ok(out.into())
    }
}

/// A media range and its quality in thousandths.
fn range(text: &str) -> (&str, u16) {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
    (name, (quality.clamp(0.0, 1.0) * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_the_form_that_they_accept() {
        let chosen = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            Form::negotiate(&headers)
        };
        assert_eq!(chosen(""), Form::Legacy);
        assert_eq!(chosen("application/json"), Form::Legacy);
        assert_eq!(chosen("*/*"), Form::Lines);
        assert_eq!(chosen("application/json-seq"), Form::Sequence);
        assert_eq!(chosen("application/json-seq;q=0.5, application/x-ndjson"), Form::NewlineDelimited);
        assert_eq!(chosen("application/json-seq, */*;q=0.1"), Form::Sequence);
        assert_eq!(chosen("application/jsonl;q=0, */*;q=0.1"), Form::NewlineDelimited);
        assert_eq!(chosen("text/html, application/json-seq;q=0"), Form::Legacy);
    }

    #[test]
    fn a_sequence_has_separators() {
        let bytes = Form::Sequence.write(api::events::EventMessage::default()).unwrap();
        assert!(bytes.starts_with(b"\x1e{") && bytes.ends_with(b"}\n"));
    }
}
