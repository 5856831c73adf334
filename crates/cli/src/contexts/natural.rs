//! Names in the order of people: numbers in them by their value.

use std::cmp::Ordering;

/// `a2` before `a10`.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let (x, y) = match (a.first(), b.first()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => (x, y),
        };
        if !(x.is_ascii_digit() && y.is_ascii_digit()) {
            if x != y {
                return x.cmp(y);
            }
            (a, b) = (&a[1..], &b[1..]);
            continue;
        }
        let (left, right) = (digits(a), digits(b));
        let (bare_left, bare_right) = (bare(left), bare(right));
        // of equal values the one with fewer zeros before it comes first
        let order = bare_left.len().cmp(&bare_right.len()).then_with(|| bare_left.cmp(bare_right));
        let order = order.then_with(|| left.len().cmp(&right.len()));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (&a[left.len()..], &b[right.len()..]);
    }
}

fn digits(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    &text[..end]
}

fn bare(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count() {
        let mut names = vec!["x29580", "x5073", "x5760", "aa", "x", "x01", "x1"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["aa", "x", "x1", "x01", "x5073", "x5760", "x29580"]);
    }
}
