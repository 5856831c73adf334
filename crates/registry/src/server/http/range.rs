//! Ranges: which bytes of a blob are asked for (RFC 9110, section 14), and which part of an upload comes.

use std::ops::Range;

/// What `Range: bytes=…` asks for of something of `size` bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All of it: nothing was asked, or what may be ignored (several ranges, another unit, nonsense).
    Whole,
    /// A part that is there.
    Part(Range<u64>),
    /// A part that lies outside.
    Outside,
}

/// Reads a `Range` header.
pub(crate) fn asked(header: Option<&str>, size: u64) -> Asked {
    let Some((first, last)) = header.and_then(|text| text.trim().strip_prefix("bytes=")?.split_once('-'))
    else {
        return Asked::Whole;
    };
    let number = |text: &str| text.trim().parse::<u64>();
    match (first.trim().is_empty(), last.trim().is_empty()) {
        (true, false) => match number(last) {
            Ok(0) => Asked::Outside,
            Ok(_) if size == 0 => Asked::Outside,
            Ok(count) => Asked::Part(size.saturating_sub(count)..size),
            Err(_) => Asked::Whole,
        },
        (false, open) => match (number(first), if open { Ok(u64::MAX) } else { number(last) }) {
            (Ok(first), Ok(last)) if first > last => Asked::Whole,
            (Ok(first), Ok(_)) if first >= size => Asked::Outside,
            (Ok(first), Ok(last)) => Asked::Part(first..size.min(last.saturating_add(1))),
            _ => Asked::Whole,
        },
        (true, true) => Asked::Whole,
    }
}

/// Reads the `Content-Range` of a chunk: `FIRST-LAST`, as the specification has it, or `bytes FIRST-LAST/SIZE`.
pub(crate) fn chunk(header: &str) -> Option<Range<u64>> {
    let text = header.trim();
    let text = text.strip_prefix("bytes ").map_or(text, |rest| rest.split('/').next().unwrap_or(rest));
    let (first, last) = text.trim().split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then(|| first..last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_blob() {
        for (header, expected) in [
            ("bytes=0-0", Asked::Part(0..1)),
            ("bytes=3-", Asked::Part(3..10)),
            ("bytes=3-99", Asked::Part(3..10)),
            ("bytes=-4", Asked::Part(6..10)),
            ("bytes=-40", Asked::Part(0..10)),
            ("bytes=0-18446744073709551615", Asked::Part(0..10)),
            ("bytes=-0", Asked::Outside),
            ("bytes=10-", Asked::Outside),
            ("bytes=7-3", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=x-y", Asked::Whole),
            ("lines=0-1", Asked::Whole),
        ] {
            assert_eq!(asked(Some(header), 10), expected, "{header}");
        }
        assert_eq!(asked(None, 10), Asked::Whole);
        assert_eq!(asked(Some("bytes=-1"), 0), Asked::Outside);
    }

    #[test]
    fn parts_of_an_upload() {
        assert_eq!(chunk("0-9"), Some(0..10));
        assert_eq!(chunk("bytes 5-9/10"), Some(5..10));
        assert_eq!(chunk("bytes 5-9/*"), Some(5..10));
        for nonsense in ["", "9-5", "a-b", "-5", "5-", "0-99999999999999999999999"] {
            assert_eq!(chunk(nonsense), None, "{nonsense}");
        }
    }
}
