//! Readers of what log servers are sent, written for the tests alone.

use std::collections::BTreeMap;
use std::io::Read as _;

use anyhow::{Context, Result, ensure};

/// A value of MessagePack, as far as fluentd's forward protocol has them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Packed {
    Number(i64),
    Text(String),
    List(Vec<Packed>),
    Map(BTreeMap<String, String>),
    /// Seconds and nanoseconds.
    Time(u32, u32),
    /// Something that no driver should send; the first byte of it.
    Other(u8),
}

static NOTHING: Packed = Packed::Other(0);

impl Packed {
    pub(super) fn at(&self, index: usize) -> &Packed {
        match self {
            Self::List(items) => items.get(index).unwrap_or(&NOTHING),
            _ => &NOTHING,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        match self {
            Self::Map(members) => members.get(key).map(String::as_str),
            _ => None,
        }
    }
}

/// The next value, if it is whole.
pub(super) fn unpack(rest: &mut &[u8]) -> Option<Packed> {
    let mut after = *rest;
    let value = value(&mut after)?;
    *rest = after;
    Some(value)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

fn number(rest: &mut &[u8], bytes: usize) -> Option<u64> {
    Some(take(rest, bytes)?.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
}

fn value(rest: &mut &[u8]) -> Option<Packed> {
    let head = take(rest, 1)?[0];
    let text = |rest: &mut &[u8], length: u64| {
        Some(Packed::Text(String::from_utf8_lossy(take(rest, length as usize)?).into_owned()))
    };
    match head {
        0x80..=0x8f => map(rest, u64::from(head & 0xf)),
        0xde => number(rest, 2).and_then(|count| map(rest, count)),
        0x90..=0x9f => (0..head & 0xf).map(|_| value(rest)).collect::<Option<Vec<_>>>().map(Packed::List),
        0xa0..=0xbf => text(rest, u64::from(head & 0x1f)),
        0xd9 => number(rest, 1).and_then(|length| text(rest, length)),
        0xda => number(rest, 2).and_then(|length| text(rest, length)),
        0xd2 => Some(Packed::Number(i64::from(number(rest, 4)? as i32))),
        0xd7 => {
            let kind = take(rest, 1)?[0];
            if kind != 0 {
                return Some(Packed::Other(kind));
            }
            Some(Packed::Time(number(rest, 4)? as u32, number(rest, 4)? as u32))
        }
        other => Some(Packed::Other(other)),
    }
}

fn map(rest: &mut &[u8], count: u64) -> Option<Packed> {
    let mut members = BTreeMap::new();
    for _ in 0..count {
        match (value(rest)?, value(rest)?) {
            (Packed::Text(key), Packed::Text(text)) => members.insert(key, text),
            _ => return Some(Packed::Other(0)),
        };
    }
    Some(Packed::Map(members))
}

/// The whole events of a stream.
pub(super) fn events(bytes: &[u8]) -> Vec<Packed> {
    let mut rest = bytes;
    std::iter::from_fn(|| unpack(&mut rest)).collect()
}

/// GELF messages out of datagrams: chunks are put together, and compressed ones inflated.
pub(super) fn gelf(datagrams: &[Vec<u8>]) -> Result<Vec<serde_json::Value>> {
    let mut parts: BTreeMap<Vec<u8>, BTreeMap<u8, Vec<u8>>> = BTreeMap::new();
    let mut whole = Vec::new();
    for datagram in datagrams {
        ensure!(datagram.len() <= 1420, "a datagram of {} bytes", datagram.len());
        if !datagram.starts_with(&[0x1e, 0x0f]) {
            whole.push(datagram.clone());
            continue;
        }
        let (id, number, count) = (datagram[2..10].to_vec(), datagram[10], datagram[11]);
        let chunks = parts.entry(id).or_default();
        chunks.insert(number, datagram[12..].to_vec());
        if chunks.len() == usize::from(count) {
            whole.push(chunks.values().flatten().copied().collect());
        }
    }
    whole.iter().map(|message| serde_json::from_slice(&inflate(message)?).context("no JSON")).collect()
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    match bytes {
        [0x1f, 0x8b, ..] => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out)?,
        [0x78, ..] => flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut out)?,
        plain => {
            out.extend_from_slice(plain);
            0
        }
    };
    Ok(out)
}

/// The fields of one entry of the journal's native protocol.
pub(super) fn journal(mut entry: &[u8]) -> Result<BTreeMap<String, String>> {
    let mut fields = BTreeMap::new();
    while !entry.is_empty() {
        let end = entry.iter().position(|byte| matches!(byte, b'=' | b'\n')).context("no end")?;
        let name = String::from_utf8_lossy(&entry[..end]).into_owned();
        let (value, rest) = if entry[end] == b'=' {
            let newline = entry.iter().position(|&byte| byte == b'\n').context("no newline")?;
            (&entry[end + 1..newline], &entry[newline + 1..])
        } else {
            let (length, rest) = entry[end + 1..].split_first_chunk::<8>().context("no length")?;
            let (value, rest) = rest.split_at(u64::from_le_bytes(*length) as usize);
            (value, &rest[1..])
        };
        fields.insert(name, String::from_utf8_lossy(value).into_owned());
        entry = rest;
    }
    Ok(fields)
}
