//! MessagePack, as far as the forward protocol of fluentd needs it.

/// A string.
pub(super) fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        length @ 0..32 => out.push(0xa0 | length as u8),
        length @ 32..0x100 => out.extend_from_slice(&[0xd9, length as u8]),
        length @ 0x100..0x1_0000 => {
            out.push(0xda);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0xdb);
            out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

/// The head of an array of at most 15 elements.
pub(super) fn array(out: &mut Vec<u8>, length: u8) {
    out.push(0x90 | length);
}

/// The head of a map of so many pairs.
pub(super) fn map(out: &mut Vec<u8>, length: usize) {
    match length {
        0..16 => out.push(0x80 | length as u8),
        _ => {
            out.push(0xde);
            out.extend_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
}

/// Seconds since 1970.
pub(super) fn seconds(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = i32::try_from(value) {
        out.push(0xd2);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// The forward protocol's `EventTime`: seconds and nanoseconds.
pub(super) fn event_time(out: &mut Vec<u8>, seconds: u32, nanos: u32) {
    out.extend_from_slice(&[0xd7, 0]);
    out.extend_from_slice(&seconds.to_be_bytes());
    out.extend_from_slice(&nanos.to_be_bytes());
}

/// The value of `key` in a map of strings at the start of `bytes`; `Ok(None)` = not all of it is there.
pub(super) fn find<'a>(bytes: &'a [u8], key: &str) -> Result<Option<&'a str>, Malformed> {
    let mut rest = bytes;
    let Some(pairs) = length(&mut rest, 0x80, 0x0f, &[(0xde, 2), (0xdf, 4)])? else { return Ok(None) };
    let mut found = None;
    for _ in 0..pairs {
        let (Some(name), Some(value)) = (text(&mut rest)?, text(&mut rest)?) else { return Ok(None) };
        if name == key {
            found = Some(value);
        }
    }
    found.map(Some).ok_or(Malformed)
}

/// The bytes are something else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

fn text<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a str>, Malformed> {
    let mut after = *rest;
    let heads = [(0xd9, 1), (0xda, 2), (0xdb, 4), (0xc4, 1), (0xc5, 2), (0xc6, 4)];
    let Some(length) = length(&mut after, 0xa0, 0x1f, &heads)? else { return Ok(None) };
    let Some((text, after)) = after.split_at_checked(length) else { return Ok(None) };
    *rest = after;
    std::str::from_utf8(text).map(Some).map_err(|_not_text| Malformed)
}

/// A length: in the head itself (`fixed` under `mask`), or behind it in so many bytes.
fn length(rest: &mut &[u8], fixed: u8, mask: u8, heads: &[(u8, usize)]) -> Result<Option<usize>, Malformed> {
    let Some((&head, after)) = rest.split_first() else { return Ok(None) };
    if head & !mask == fixed {
        *rest = after;
        return Ok(Some(usize::from(head & mask)));
    }
    let (_, size) = heads.iter().find(|(known, _)| *known == head).ok_or(Malformed)?;
    let Some((number, after)) = after.split_at_checked(*size) else { return Ok(None) };
    *rest = after;
    Ok(Some(number.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_once_they_are_whole() {
        let mut out = Vec::new();
        map(&mut out, 2);
        string(&mut out, b"x");
        string(&mut out, &[b'y'; 300]);
        string(&mut out, b"ack");
        string(&mut out, &[b'z'; 40]);
        assert_eq!(find(&out, "ack"), Ok(Some("z".repeat(40).as_str())));
        for cut in 0..out.len() {
            assert_eq!(find(&out[..cut], "ack"), Ok(None), "{cut}");
        }
        assert_eq!(find(&[0x01], "ack"), Err(Malformed));
        assert_eq!(find(&[0x80], "ack"), Err(Malformed));
    }
}
