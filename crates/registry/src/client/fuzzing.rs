//! An entrance for the tests that feed hostile bytes (`tests/fuzz`), to parsers that nobody else outside of this crate
//! may call.

use std::ops::Range;

use hyper::header::{HeaderMap, HeaderValue, LINK, WWW_AUTHENTICATE};

use super::auth::challenge;
use super::blob::ranges;
use super::link;
use super::url::Url;

/// The schemes that the values of `WWW-Authenticate` name, each with its realm, service and scope.
#[must_use]
pub fn challenges(values: &[&[u8]]) -> Vec<(String, [Option<String>; 3])> {
    let mut headers = HeaderMap::new();
    for value in values {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    let told = |one: challenge::Challenge| {
        let parameters = ["realm", "service", "scope"].map(|name| one.get(name).map(str::to_owned));
        (one.scheme, parameters)
    };
    challenge::challenges(&headers).into_iter().map(told).collect()
}

/// The page that a `Link` header says comes after the one at `at`.
#[must_use]
pub fn next_page(value: &[u8], at: &Url) -> Option<Url> {
    let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_bytes(value).ok()?)]);
    link::next(&headers, at).ok()?
}

/// What `Content-Range` says has come, and the size of the whole.
#[must_use]
pub fn content_range(value: &str) -> Option<(Range<u64>, Option<u64>)> {
    ranges::content_range(value)
}
