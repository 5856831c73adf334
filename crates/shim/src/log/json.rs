//! The `json-file` format: one JSON object a line, as Docker writes it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::entry::{Entry, Stream};
use super::split::Message;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// What follows the text of each message of one moment. `attrs` is from [`attributes`], `time` is RFC 3339.
pub(super) fn circumstances(out: &mut Vec<u8>, stream: Stream, attrs: &[u8], time: &str) {
    out.extend_from_slice(b"\"stream\":\"");
    out.extend_from_slice(stream.name().as_bytes());
    out.push(b'"');
    if !attrs.is_empty() {
        out.extend_from_slice(b",\"attrs\":");
        out.extend_from_slice(attrs);
    }
    out.extend_from_slice(b",\"time\":\"");
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b"\"}\n");
}

/// Append one message, whose end is from [`circumstances`].
pub(super) fn write(out: &mut Vec<u8>, message: &Message<'_>, end: &[u8]) {
    out.reserve(message.line.len() + end.len() + 16);
    if message.line.is_empty() && !message.complete {
        // an empty part (of a terminal's last line) has no "log" at all
        out.push(b'{');
    } else {
        out.extend_from_slice(b"{\"log\":\"");
        escape(out, message.line);
        out.extend_from_slice(if message.complete { b"\\n\"," } else { b"\"," });
    }
    out.extend_from_slice(end);
}

/// What `--log-opt labels`, `env` and `tag` add, as a JSON object; empty when they add nothing.
pub(super) fn attributes(attrs: &BTreeMap<String, String>) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in attrs {
        out.push(if out.is_empty() { b'{' } else { b',' });
        out.push(b'"');
        escape(&mut out, key.as_bytes());
        out.extend_from_slice(b"\":\"");
        escape(&mut out, value.as_bytes());
        out.push(b'"');
    }
    if !out.is_empty() {
        out.push(b'}');
    }
    out
}

/// Go's JSON escaping with HTML characters, as Docker's log writer does it: control characters other than
/// `\n` and `\r` by number, one U+FFFD for each byte that is not UTF-8.
fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    let (plain, bytes) = bytes.split_at(plain(bytes));
    out.extend_from_slice(plain);
    for chunk in bytes.utf8_chunks() {
        escape_text(out, chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

/// Bytes looked at at once; the compiler does it with vector instructions.
const BLOCK: usize = 32;

/// How many bytes from the start are ASCII that needs no escape, in whole blocks and then one by one.
fn plain(bytes: &[u8]) -> usize {
    let is_special =
        |byte: u8| !(0x20..0x80).contains(&byte) | matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'&');
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let whole = blocks
        .iter()
        .take_while(|block| !block.iter().fold(false, |found, &byte| found | is_special(byte)))
        .count();
    let at = whole * BLOCK;
    at + bytes[at..].iter().take_while(|&&byte| !is_special(byte)).count()
}

fn escape_text(out: &mut Vec<u8>, text: &[u8]) {
    let mut plain = 0;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        let separator = byte == 0xe2 && text[at + 1] == 0x80 && matches!(text[at + 2], 0xa8 | 0xa9);
        if !separator && byte >= 0x20 && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'&') {
            at += 1;
            continue;
        }
        out.extend_from_slice(&text[plain..at]);
        if separator {
            // U+2028 and U+2029
            out.extend_from_slice(b"\\u202");
            out.push(HEX[usize::from(text[at + 2] & 0xf) % 16]);
            at += 3;
        } else {
            escape_byte(out, byte);
            at += 1;
        }
        plain = at;
    }
    out.extend_from_slice(&text[plain..]);
}

fn escape_byte(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
        }
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(default, borrow)]
    log: Cow<'a, str>,
    #[serde(default, borrow)]
    stream: Cow<'a, str>,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
    time: Timestamp,
}

/// The last moment that was read: all lines of a chunk share one.
#[derive(Debug, Default)]
pub(super) struct LastTime {
    text: Vec<u8>,
    time: Timestamp,
}

/// Read one line back; `None` when it is damaged (a write cut short by a power loss).
pub(super) fn parse(line: &[u8], last: &mut LastTime) -> Option<Entry> {
    parse_plain(line, last).or_else(|| parse_any(line))
}

/// A whole line without escapes or attributes, as most are.
fn parse_plain(line: &[u8], last: &mut LastTime) -> Option<Entry> {
    let text = line.strip_prefix(b"{\"log\":\"")?;
    let (text, rest) = text.split_at(memchr::memchr2(b'\\', b'"', text)?);
    let rest = rest.strip_prefix(b"\\n\",\"stream\":\"std")?;
    let (stream, rest) = match rest.strip_prefix(b"out") {
        Some(rest) => (Stream::Stdout, rest),
        None => (Stream::Stderr, rest.strip_prefix(b"err")?),
    };
    let time = rest.strip_prefix(b"\",\"time\":\"")?.strip_suffix(b"\"}")?;
    if last.text != time {
        last.time = std::str::from_utf8(time).ok()?.parse().ok()?;
        time.clone_into(&mut last.text);
    }
    let mut line = Vec::with_capacity(text.len() + 1);
    line.extend_from_slice(text);
    line.push(b'\n');
    Some(Entry { stream, time: last.time, line, attrs: BTreeMap::new() })
}

fn parse_any(line: &[u8]) -> Option<Entry> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    let stream = if line.stream == "stderr" { Stream::Stderr } else { Stream::Stdout };
    Some(Entry { stream, time: line.time, line: line.log.into_owned().into_bytes(), attrs: line.attrs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_like_go() {
        assert_eq!(
            escaped(b"a\"\\\n\r\t\x01<>&\x7f"),
            "a\\\"\\\\\\n\\r\\u0009\\u0001\\u003c\\u003e\\u0026\x7f"
        );
        for at in 0..70 {
            let text = format!("{}\"{}", "x".repeat(at), "y".repeat(40));
            assert_eq!(escaped(text.as_bytes()), text.replace('"', "\\\""), "{at}");
        }
        assert_eq!(escaped("é\u{2028}\u{2029}€".as_bytes()), "é\\u2028\\u2029€");
        assert_eq!(escaped(b"x\xff\xe2\x82y\xe2"), "x\\ufffd\\ufffd\\ufffdy\\ufffd");
    }

    #[test]
    fn round_trip() {
        let mut out = Vec::new();
        let message = Message { line: "tab\t<é>".as_bytes(), complete: true, continued: false };
        let mut end = Vec::new();
        circumstances(&mut end, Stream::Stderr, br#"{"a":"b"}"#, "2026-11-22T01:02:03.5Z");
        write(&mut out, &message, &end);
        let text = String::from_utf8(out).unwrap();
        let want = r#"{"log":"tab\u0009\u003cé\u003e\n","stream":"stderr","attrs":{"a":"b"},"time":"2026-11-22T01:02:03.5Z"}"#;
        assert_eq!(text, format!("{want}\n"));
        let mut last = LastTime::default();
        let entry = parse(text.as_bytes(), &mut last).unwrap();
        assert_eq!(entry.line, "tab\t<é>\n".as_bytes());
        assert_eq!(entry.stream, Stream::Stderr);
        assert_eq!(entry.attrs["a"], "b");
        assert!(parse(&text.as_bytes()[..30], &mut last).is_none());
    }

    #[test]
    fn both_ways_of_reading_agree() {
        for (line, complete, attrs) in [
            ("plain", true, ""),
            ("", true, ""),
            ("part", false, ""),
            ("\"", true, ""),
            ("x", true, "{\"a\":\"b\"}"),
        ] {
            let (mut out, mut end, mut last) = (Vec::new(), Vec::new(), LastTime::default());
            circumstances(&mut end, Stream::Stderr, attrs.as_bytes(), "2026-11-22T01:02:03.5Z");
            write(&mut out, &Message { line: line.as_bytes(), complete, continued: false }, &end);
            out.pop();
            let plain = parse_plain(&out, &mut last);
            assert_eq!(plain.is_some(), complete && line != "\"" && attrs.is_empty(), "{line}");
            assert!(plain.is_none() || plain == parse_any(&out), "{line}");
            assert_eq!(parse(&out, &mut last), parse_any(&out));
        }
    }

    #[test]
    fn time_has_no_trailing_zeros() {
        let time = Timestamp::new(1_700_000_000, 120_000_000).unwrap();
        assert_eq!(time.to_string(), "2023-11-14T22:13:20.12Z");
        assert_eq!(Timestamp::new(1_700_000_000, 0).unwrap().to_string(), "2023-11-14T22:13:20Z");
    }
}
