//! The `local` format: protocol buffers, each between two big-endian `u32` lengths so that the file can be
//! read from its end.
//!
//! Message: 1 source (string), 2 time in ns (varint), 3 line (bytes), 4 partial (bool),
//! 5 part { 1 last (bool), 3 ordinal (varint) }, 6 attribute { 1 key (string), 2 value (string) }, as often as needed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::entry::{Entry, Stream};
use super::frame::Part;
use super::split::{MAX_LINE, Message};

/// Bytes of a length.
pub(super) const LENGTH: usize = 4;

/// Longest message accepted when reading: attributes come from labels and the environment.
pub(super) const MAX_MESSAGE: usize = MAX_LINE + (1 << 20);

/// Append one message. `attrs` is from [`attributes`], `nanos` counts since 1970.
pub(super) fn write(
    out: &mut Vec<u8>,
    stream: Stream,
    message: &Message<'_>,
    part: Option<Part>,
    attrs: &[u8],
    nanos: i64,
) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH]);
    field_bytes(out, 1, stream.name().as_bytes());
    out.push(2 << 3);
    varint(out, nanos.cast_unsigned());
    field_bytes(out, 3, message.line);
    if let Some(part) = part {
        out.extend_from_slice(&[4 << 3, 1]);
        let mut about = Vec::with_capacity(8);
        if part.last {
            about.extend_from_slice(&[1 << 3, 1]);
        }
        about.push(3 << 3);
        varint(&mut about, part.ordinal.into());
        field_bytes(out, 5, &about);
    }
    out.extend_from_slice(attrs);
    let length = u32::try_from(out.len() - start - LENGTH).unwrap_or(u32::MAX).to_be_bytes();
    out[start..start + LENGTH].copy_from_slice(&length);
    out.extend_from_slice(&length);
}

/// What `--log-opt labels`, `env` and `tag` add, ready to be copied into each message.
pub(super) fn attributes(attrs: &BTreeMap<String, String>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in attrs {
        let mut pair = Vec::new();
        field_bytes(&mut pair, 1, key.as_bytes());
        field_bytes(&mut pair, 2, value.as_bytes());
        field_bytes(&mut out, 6, &pair);
    }
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field_bytes(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Read one message (without its lengths); `None` when it is damaged.
pub(super) fn parse(mut bytes: &[u8]) -> Option<Entry> {
    let (mut stream, mut time, mut line) = (Stream::Stdout, 0, Vec::new());
    let (mut partial, mut last, mut attrs) = (false, false, BTreeMap::new());
    while !bytes.is_empty() {
        match next_field(&mut bytes)? {
            (1, Field::Bytes(b"stderr")) => stream = Stream::Stderr,
            (2, Field::Number(n)) => time = n.cast_signed(),
            (3, Field::Bytes(b)) => line = b.to_vec(),
            (4, Field::Number(n)) => partial = n != 0,
            (5, Field::Bytes(mut part)) => {
                while !part.is_empty() {
                    if let (1, Field::Number(n)) = next_field(&mut part)? {
                        last = n != 0;
                    }
                }
            }
            (6, Field::Bytes(pair)) => attrs.extend([attribute(pair)?]),
            _ => {}
        }
    }
    if !partial || last {
        line.push(b'\n');
    }
    let time = Timestamp::from_nanosecond(time.into()).ok()?;
    Some(Entry { stream, time, line, attrs })
}

fn attribute(mut bytes: &[u8]) -> Option<(String, String)> {
    let (mut key, mut value) = (String::new(), String::new());
    while !bytes.is_empty() {
        match next_field(&mut bytes)? {
            (1, Field::Bytes(text)) => key = String::from_utf8_lossy(text).into_owned(),
            (2, Field::Bytes(text)) => value = String::from_utf8_lossy(text).into_owned(),
            _ => {}
        }
    }
    Some((key, value))
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn next_field<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let tag = read_varint(bytes)?;
    match tag & 7 {
        0 => Some((tag >> 3, Field::Number(read_varint(bytes)?))),
        2 => {
            let length = usize::try_from(read_varint(bytes)?).ok()?;
            let (field, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Some((tag >> 3, Field::Bytes(field)))
        }
        _ => None,
    }
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The message at the start of `bytes`: its content, and how many bytes it takes with both lengths.
/// `Ok(None)` = not all of it is there.
pub(super) fn frame(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, Damaged> {
    let Some(head) = bytes.first_chunk::<LENGTH>() else { return Ok(None) };
    let length = u32::from_be_bytes(*head) as usize;
    if length > MAX_MESSAGE {
        return Err(Damaged);
    }
    let total = length + 2 * LENGTH;
    let Some(whole) = bytes.get(..total) else { return Ok(None) };
    if whole[LENGTH + length..] != *head {
        return Err(Damaged);
    }
    Ok(Some((&whole[LENGTH..LENGTH + length], total)))
}

/// The bytes are no message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        let time = Timestamp::new(1_700_000_000, 123_456_789).unwrap();
        let nanos = 1_700_000_000_123_456_789;
        let attrs = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("tag".to_owned(), "é".to_owned())]);
        let part = |ordinal, last| Some(Part { number: 1, ordinal, last });
        for (part, text) in [
            (None, "hello\n"),
            (part(1, false), "hello"),
            (part(300, true), "hello\n"),
            (part(2, false), "hello"),
        ] {
            let mut out = Vec::new();
            let message = Message { line: b"hello", complete: true, continued: false };
            write(&mut out, Stream::Stderr, &message, part, &attributes(&attrs), nanos);
            let (content, total) = frame(&out).unwrap().unwrap();
            assert_eq!(total, out.len());
            let entry = parse(content).unwrap();
            assert_eq!(entry.line, text.as_bytes());
            assert_eq!((entry.time, entry.stream, &entry.attrs), (time, Stream::Stderr, &attrs));
            assert_eq!(frame(&out[..out.len() - 1]), Ok(None));
        }
        assert_eq!(frame(&[0xff; 40]), Err(Damaged));
        assert!(parse(&[0x1a, 0xff, 1]).is_none());
    }
}
