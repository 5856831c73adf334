//! Pages of listings: `n`, `last`, and the `Link` to the next.

use hyper::header;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::server::error::{Code, Error, Result};
use crate::server::http::answer::Builder;
use crate::server::http::call::Call;
use crate::server::limits;

/// What goes into a query as it is (RFC 3986, unreserved).
const QUOTED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How many entries, if the client says. More than a page holds is refused when `strict`, and cut otherwise.
pub(crate) fn count(call: &Call, strict: bool) -> Result<Option<usize>> {
    let Some(text) = call.query("n") else { return Ok(None) };
    let wrong = || {
        Error::new(
            Code::PaginationNumberInvalid,
            format!("invalid number of results requested: 'n' is a number from 0 to {}", limits::PAGE),
        )
        .detail(serde_json::json!({ "n": text.chars().take(32).collect::<String>() }))
    };
    match text.parse::<u64>() {
        Ok(count) if count <= limits::PAGE as u64 => Ok(usize::try_from(count).ok()),
        Ok(_) if !strict => Ok(Some(limits::PAGE)),
        _ => Err(wrong()),
    }
}

/// With a link to what follows `last`.
pub(crate) fn link(builder: Builder, path: &str, pairs: &[(&str, &str)]) -> Builder {
    let query: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, QUOTED))).collect();
    builder.header(header::LINK, format!("<{path}?{}>; rel=\"next\"", query.join("&")))
}
