//! `Link: <…>; rel="next"`, RFC 8288.

use hyper::header::{HeaderMap, LINK};

use super::error::{Error, Result};
use super::url::Url;

/// The page after the one that was at `at`. Always of the same registry: behind a proxy, some write the name that they
/// know themselves by.
pub(crate) fn next(headers: &HeaderMap, at: &Url) -> Result<Option<Url>> {
    for value in headers.get_all(LINK) {
        let text = value.to_str().map_err(|error| Error::protocol(at, format!("Link: {error}")))?;
        if let Some(reference) = parse(text) {
            let url = at
                .join(reference)
                .map_err(|error| Error::url(format_args!("{at}: Link"), reference, error))?;
            return Ok(Some(at.with_target(&url)));
        }
    }
    Ok(None)
}

fn parse(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (reference, after) = after.split_once('>')?;
        // commas stand in quoted values, too: the next link begins with the next bracket
        let parameters = after.split('<').next().unwrap_or_default();
        let is_next = parameters.split(';').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split_ascii_whitespace().any(|kind| kind.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(reference);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(field: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, field.parse().unwrap());
        let at = Url::parse("https://reg.example/v2/a/tags/list?n=2").unwrap();
        next(&headers, &at).unwrap().map(|url| url.full())
    }

    #[test]
    fn the_next_page_is_found() {
        let wanted = Some("https://reg.example/v2/a/tags/list?n=2&last=b".to_owned());
        assert_eq!(after("</v2/a/tags/list?n=2&last=b>; rel=\"next\""), wanted);
        assert_eq!(after("<?n=2&last=b>;rel=next"), wanted);
        assert_eq!(
            after("</x>; rel=\"prev\", </v2/a/tags/list?n=2&last=b>; title=\"a, b\"; REL=\"up Next\""),
            wanted
        );
        assert_eq!(after("<http://inside:5000/v2/a/tags/list?n=2&last=b>; rel=next"), wanted);
        assert_eq!(after("</x>; rel=prev"), None);
        assert_eq!(after("nonsense"), None);
    }

    #[test]
    fn a_link_that_is_none_is_an_error() {
        let mut headers = HeaderMap::new();
        headers.insert(LINK, "<file:///etc/passwd>; rel=next".parse().unwrap());
        assert!(next(&headers, &Url::parse("https://reg.example/").unwrap()).is_err());
    }
}
