//! Parts of a blob: what is missing, cut into pieces, and what `Content-Range` says has come.

use std::collections::VecDeque;
use std::ops::Range;

/// Cuts what is missing into pieces of at most `piece` bytes, lowest first. Ranges beyond `size`, overlapping or out
/// of order are put right.
pub(super) fn pieces(missing: Vec<Range<u64>>, size: u64, piece: u64) -> VecDeque<Range<u64>> {
    let mut missing = missing;
    missing.sort_by_key(|range| range.start);
    let mut out = VecDeque::new();
    let mut from = 0;
    for range in missing {
        let end = range.end.min(size);
        let mut start = range.start.max(from);
        while start < end {
            let next = end.min(start.saturating_add(piece.max(1)));
            out.push_back(start..next);
            start = next;
        }
        from = from.max(end);
    }
    out
}

/// How many bytes.
pub(super) fn total(ranges: &VecDeque<Range<u64>>) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

/// `Content-Range: bytes 0-9/100`: the range, and the size of the whole when it is told.
pub(crate) fn content_range(text: &str) -> Option<(Range<u64>, Option<u64>)> {
    let rest = text.trim().strip_prefix("bytes")?.trim_start();
    let (range, size) = rest.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    let size = if size.trim() == "*" { None } else { Some(number(size)?) };
    let end = last.checked_add(1)?;
    (first < end && size.is_none_or(|size| end <= size)).then_some((first..end, size))
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_what_is_missing() {
        assert_eq!(pieces(Vec::from([0..10, 4..6]), 10, 4), [0..4, 4..8, 8..10]);
        assert_eq!(pieces(vec![8..99, 0..2, 1..5], 10, 100), [0..2, 2..5, 8..10]);
        assert!(pieces(vec![], 10, 4).is_empty());
        assert!(pieces(vec![10..20, 3..3], 10, 4).is_empty());
        assert_eq!(total(&pieces(vec![2..5, 7..9], 10, 1)), 5);
    }

    #[test]
    fn reads_content_range() {
        assert_eq!(content_range("bytes 0-9/100"), Some((0..10, Some(100))));
        assert_eq!(content_range(" bytes 5-5/* "), Some((5..6, None)));
        for bad in [
            "bytes */100",
            "bytes 9-0/100",
            "bytes 0-100/100",
            "items 0-9/10",
            "bytes 0-/10",
            "bytes -1-9/10",
            "bytes +1-9/10",
            "bytes 0-18446744073709551615/*",
            "",
        ] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
