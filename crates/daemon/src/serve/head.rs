//! Request heads, as far as the sniffer and the hijacked routes need them.

use api::{Action, Method, Version, routes};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::MAX_HEADERS;

/// A complete request head.
#[derive(Debug)]
pub(super) struct Head {
    /// The method's name.
    pub(super) method: String,
    /// Path and query as sent.
    pub(super) target: hyper::Uri,
    /// Headers.
    pub(super) headers: HeaderMap,
    /// Bytes of the head.
    pub(super) length: usize,
}

/// What some bytes from the start of a request are.
pub(super) enum Parsed {
    /// A complete head.
    Complete(Box<Head>),
    /// The beginning of one.
    Partial,
    /// No HTTP/1 head.
    Malformed,
}

/// Reads a head.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => {
            owned(&request, length).map_or(Parsed::Malformed, |head| Parsed::Complete(Box::new(head)))
        }
        Ok(httparse::Status::Partial) => Parsed::Partial,
        Err(_) => Parsed::Malformed,
    }
}

/// Bytes of the head that `bytes` begin with; nothing where it is not whole.
///
/// # Errors
/// They are no head.
pub(crate) fn length(bytes: &[u8]) -> Result<Option<usize>, ()> {
    match parse(bytes) {
        Parsed::Complete(head) => Ok(Some(head.length)),
        Parsed::Partial => Ok(None),
        Parsed::Malformed => Err(()),
    }
}

fn owned(request: &httparse::Request<'_, '_>, length: usize) -> Option<Head> {
    let mut headers = HeaderMap::new();
    for header in request.headers.iter() {
        headers.append(
            HeaderName::from_bytes(header.name.as_bytes()).ok()?,
            HeaderValue::from_bytes(header.value).ok()?,
        );
    }
    Some(Head { method: request.method?.to_owned(), target: request.path?.parse().ok()?, headers, length })
}

impl Head {
    /// Whether this request takes the connection over.
    pub(super) fn is_hijack(&self) -> bool {
        self.action().is_some_and(takes_over)
    }

    /// What is asked, if it is anything that the API has.
    pub(super) fn action(&self) -> Option<Action> {
        let (_, path) = Version::split(self.target.path());
        let method = Method::parse(&self.method)?;
        routes::find(method, path, api::version::MAX).map(|found| found.action)
    }

    /// Whether a header lists a word, in any case.
    pub(super) fn lists(&self, name: &HeaderName, word: &str) -> bool {
        self.headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(word))
    }
}

/// The actions that take the connection over.
pub(crate) fn takes_over(action: Action) -> bool {
    matches!(
        action,
        Action::ContainerAttach
            | Action::ContainerAttachWebsocket
            | Action::ExecStart
            | Action::Session
            | Action::Grpc
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(text: &str) -> Head {
        match parse(text.as_bytes()) {
            Parsed::Complete(head) => *head,
            _ => panic!("not a head: {text:?}"),
        }
    }

    #[test]
    fn hijacks_are_found_whatever_the_headers() {
        assert!(complete("POST /v1.41/containers/a/attach?stream=1 HTTP/1.1\r\n\r\n").is_hijack());
        assert!(complete("POST /exec/a/start HTTP/1.1\r\nHost: x\r\n\r\n").is_hijack());
        assert!(complete("GET /containers/a/attach/ws HTTP/1.1\r\n\r\n").is_hijack());
        assert!(complete("POST /v1.41/session HTTP/1.1\r\nUpgrade: h2c\r\n\r\n").is_hijack());
        assert!(complete("POST /grpc HTTP/1.1\r\n\r\n").is_hijack());
        assert!(!complete("GET /containers/a/logs HTTP/1.1\r\n\r\n").is_hijack());
        assert!(!complete("GET /exec/a/start HTTP/1.1\r\n\r\n").is_hijack());
    }

    #[test]
    fn wrong_bytes_are_told_from_missing_ones() {
        assert!(matches!(parse(b"POST /x HT"), Parsed::Partial));
        assert!(matches!(parse(b"\0\x01\x02\r\n\r\n"), Parsed::Malformed));
    }

    #[test]
    fn lists_ignore_case() {
        let head = complete("GET / HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\n\r\n");
        assert!(head.lists(&hyper::header::CONNECTION, "upgrade"));
        assert!(!head.lists(&hyper::header::CONNECTION, "close"));
    }
}
