//! PAX records: `length key=value\n`. The value may hold any byte, so the length alone delimits a record.

use std::collections::BTreeMap;

use crate::entry::Time;
use crate::{Error, Result};

/// The prefix of the keys that carry extended attributes.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// The records that matter here. Later records and local headers win; an empty value takes a record away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pax {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Old GNU sparse records (format 0.0) repeat their keys, so they are kept apart and in order.
    sparse_pairs: Vec<u64>,
}

impl Pax {
    /// Reads the payload of an extended header into `self`.
    pub(crate) fn extend(&mut self, mut payload: &[u8]) -> Result<()> {
        while !payload.is_empty() {
            let (key, value, rest) =
                record(payload).ok_or_else(|| Error::Archive("malformed PAX record".into()))?;
            payload = rest;
            match key {
                b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => self.sparse_pairs.push(number(key, value)?),
                _ => {
                    self.records.insert(key.to_vec(), value.to_vec());
                }
            }
        }
        Ok(())
    }

    /// These records over the global ones.
    pub(crate) fn over(self, global: &Self) -> Self {
        let mut records = global.records.clone();
        records.extend(self.records);
        Self { records, sparse_pairs: self.sparse_pairs }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&[u8]> {
        self.records.get(key.as_bytes()).map(Vec::as_slice).filter(|value| !value.is_empty())
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>> {
        self.get(key).map(|value| number(key.as_bytes(), value)).transpose()
    }

    pub(crate) fn time(&self, key: &str) -> Result<Option<Time>> {
        let parse = |value| Time::parse(value).ok_or_else(|| malformed(key.as_bytes()));
        self.get(key).map(parse).transpose()
    }

    pub(crate) fn sparse_pairs(&self) -> &[u64] {
        &self.sparse_pairs
    }

    /// Extended attributes, by name.
    pub(crate) fn xattrs(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let named =
            |(key, value): (&Vec<u8>, &Vec<u8>)| Some((key.strip_prefix(XATTR)?.to_vec(), value.clone()));
        self.records.iter().filter_map(named).filter(|(name, _)| !name.is_empty()).collect()
    }
}

fn malformed(key: &[u8]) -> Error {
    Error::Archive(format!("malformed value of PAX record {:?}", crate::show(key)))
}

fn number(key: &[u8], value: &[u8]) -> Result<u64> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed(key))
}

/// The first record's key and value, and what follows it.
fn record(payload: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = payload.iter().take(20).position(|&b| b == b' ')?;
    let length: usize = std::str::from_utf8(&payload[..space]).ok()?.parse().ok()?;
    let body = payload.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&b| b == b'=')?;
    let (key, value) = (&body[..equals], &body[equals + 1..]);
    if key.is_empty() || key.contains(&0) {
        return None;
    }
    Some((key, value, &payload[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_hold_any_byte() {
        let mut pax = Pax::default();
        pax.extend(b"28 SCHILY.xattr.user.a=x\ny\0\n12 path=a/b\n").unwrap();
        assert_eq!(pax.xattrs(), [(b"user.a".to_vec(), b"x\ny\0".to_vec())]);
        assert_eq!(pax.get("path"), Some(&b"a/b"[..]));
    }

    #[test]
    fn malformed_records() {
        for bad in [&b"x"[..], b"5 a\n", b"99 a=b\n", b"6 a=b", b"0 a=b\n", b"6 =bc\n", b"-6 a=b\n"] {
            assert!(Pax::default().extend(bad).is_err(), "{bad:?}");
        }
    }
}
