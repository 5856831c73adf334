//! What registries answer.

use registry::client::{fuzzing, url::Url};

/// A URL, then header values: a line each.
pub(crate) fn registry(data: &[u8]) {
    let (first, rest) = crate::first_line(data);
    let values: Vec<_> = rest.split(|byte| *byte == b'\n').take(8).collect();
    let challenges = fuzzing::challenges(&values);
    assert!(challenges.len() <= 64, "{} challenges", challenges.len());
    for (scheme, _) in &challenges {
        assert!(!scheme.is_empty() && *scheme == scheme.to_ascii_lowercase());
    }
    let url = std::str::from_utf8(first).ok().and_then(|text| Url::parse(text).ok());
    if let Some(url) = &url {
        let full = url.full();
        assert_eq!(Url::parse(&full).as_ref(), Ok(url), "of {full:?}");
    }
    for value in values {
        if let Some(next) = url.as_ref().and_then(|at| fuzzing::next_page(value, at)) {
            assert_eq!(
                url.as_ref().map(Url::origin),
                Some(next.origin()),
                "the next page is another registry's"
            );
        }
        if let Some((range, size)) = std::str::from_utf8(value).ok().and_then(fuzzing::content_range) {
            assert!(range.start < range.end && size.is_none_or(|size| range.end <= size));
        }
    }
}
