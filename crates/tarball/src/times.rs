//! The same tar without a time after a given one.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use crate::{BLOCK, padding};

/// Longest extended header that is read.
const MAX_PAX: u64 = 1 << 20;
/// Where a GNU sparse header says that more of its map follows, and where such a block says it.
const SPARSE_MORE: usize = 482;
const SPARSE_BLOCK_MORE: usize = 504;

/// Copies a tar; of its entries those that are newer than `latest` (seconds since 1970) get that time. What is as old
/// or older stays byte for byte.
///
/// # Errors
/// The input's or the output's; the input is no tar.
pub fn clamp_times(input: &mut dyn Read, output: &mut dyn Write, latest: i64) -> io::Result<()> {
    let mut pending: Option<Extended> = None;
    let mut block = [0; BLOCK];
    loop {
        if !fill(input, &mut block)? {
            return Ok(());
        }
        if block.iter().all(|byte| *byte == 0) {
            output.write_all(&block)?;
            return io::copy(input, output).map(drop);
        }
        let mut header = Header::from_byte_slice(&block).clone();
        match header.entry_type() {
            EntryType::XHeader => {
                let size = header.entry_size()?;
                if size > MAX_PAX {
                    return Err(invalid(format!("an extended header of {size} bytes")));
                }
                let mut records = vec![0; size as usize];
                input.read_exact(&mut records)?;
                skip(input, padding(size))?;
                pending = Some(Extended::read(header, &records, latest)?);
                continue;
            }
            EntryType::XGlobalHeader | EntryType::GNULongName | EntryType::GNULongLink => {
                output.write_all(&block)?;
                let size = header.entry_size()?;
                pass(input, output, size + padding(size))?;
                continue;
            }
            _ => {}
        }
        let extended = pending.take();
        let mut size = header.entry_size()?;
        let mut new = i64::try_from(header.mtime()?).unwrap_or(0) > latest;
        if let Some(extended) = extended {
            new = extended.new.unwrap_or(new);
            size = extended.size.unwrap_or(size);
            extended.write(output)?;
        }
        if new {
            header.set_mtime(u64::try_from(latest).unwrap_or(0));
            header.set_cksum();
        }
        output.write_all(header.as_bytes())?;
        if header.entry_type() == EntryType::GNUSparse {
            let mut more = block[SPARSE_MORE] != 0;
            while more {
                let mut map = [0; BLOCK];
                input.read_exact(&mut map)?;
                output.write_all(&map)?;
                more = map[SPARSE_BLOCK_MORE] != 0;
            }
        }
        if has_payload(header.entry_type()) {
            pass(input, output, size + padding(size))?;
        }
    }
}

/// An extended header, with times that are not after the latest.
struct Extended {
    header: Header,
    records: Vec<u8>,
    /// Whether the entry is newer, if it is said here.
    new: Option<bool>,
    /// Its size, if it is said here.
    size: Option<u64>,
}

impl Extended {
    fn read(header: Header, bytes: &[u8], latest: i64) -> io::Result<Self> {
        let mut extended = Self { header, records: Vec::with_capacity(bytes.len()), new: None, size: None };
        let mut rest = bytes;
        while !rest.is_empty() && rest[0] != 0 {
            let (record, key, value) = record(rest)?;
            rest = &rest[record.len()..];
            match key {
                b"mtime" => {
                    let new = is_after(value, latest);
                    extended.new = Some(new);
                    if !new {
                        extended.records.extend_from_slice(record);
                    }
                }
                b"atime" | b"ctime" if is_after(value, latest) => {
                    let key = String::from_utf8_lossy(key).into_owned();
                    extended.records.extend(encoded(&key, &latest.to_string()));
                }
                b"size" => {
                    extended.size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    extended.records.extend_from_slice(record);
                }
                _ => extended.records.extend_from_slice(record),
            }
        }
        Ok(extended)
    }

    /// Nothing at all when nothing is left to say.
    fn write(mut self, output: &mut dyn Write) -> io::Result<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        let size = self.records.len() as u64;
        self.header.set_size(size);
        self.header.set_cksum();
        output.write_all(self.header.as_bytes())?;
        output.write_all(&self.records)?;
        output.write_all(&[0; BLOCK][..padding(size) as usize])
    }
}

/// `length key=value\n`
fn record(bytes: &[u8]) -> io::Result<(&[u8], &[u8], &[u8])> {
    let broken = || invalid("a broken extended header".to_owned());
    let space = bytes.iter().position(|byte| *byte == b' ').ok_or_else(broken)?;
    let length = std::str::from_utf8(&bytes[..space]).ok().and_then(|text| text.parse::<usize>().ok());
    let length = length.filter(|length| *length > space + 1 && *length <= bytes.len()).ok_or_else(broken)?;
    let (record, body) = (&bytes[..length], &bytes[space + 1..length - 1]);
    let equals = body.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
    Ok((record, &body[..equals], &body[equals + 1..]))
}

fn encoded(key: &str, value: &str) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body + 1;
    while length.to_string().len() + body != length {
        length = length.to_string().len() + body;
    }
    format!("{length} {key}={value}\n").into_bytes()
}

fn is_after(value: &[u8], latest: i64) -> bool {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let (whole, broken) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = whole.parse().unwrap_or(0);
    whole > latest || (whole == latest && broken.bytes().any(|digit| digit != b'0'))
}

fn has_payload(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

/// Says whether there was a block, or the end.
fn fill(input: &mut dyn Read, block: &mut [u8; BLOCK]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < BLOCK {
        match input.read(&mut block[filled..])? {
            0 if filled == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(true)
}

fn pass(input: &mut dyn Read, output: &mut dyn Write, count: u64) -> io::Result<()> {
    if io::copy(&mut input.take(count), output)? == count {
        return Ok(());
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

fn skip(input: &mut dyn Read, count: u64) -> io::Result<()> {
    pass(input, &mut io::sink(), count)
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(mtimes: &[(u64, Option<&str>)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (place, (mtime, exact)) in mtimes.iter().enumerate() {
            if let Some(exact) = exact {
                let records = [("mtime", exact.as_bytes()), ("SCHILY.xattr.user.a", b"b".as_slice())];
                builder.append_pax_extensions(records).unwrap();
            }
            let mut header = Header::new_ustar();
            header.set_mtime(*mtime);
            header.set_size(600);
            header.set_mode(0o644);
            builder.append_data(&mut header, format!("file{place}"), &[7; 600][..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn clamped(bytes: &[u8], latest: i64) -> Vec<u8> {
        let mut out = Vec::new();
        clamp_times(&mut &bytes[..], &mut out, latest).unwrap();
        out
    }

    #[test]
    fn only_newer_entries_change() {
        let old = archive(&[(10, None), (20, Some("20.5"))]);
        assert_eq!(clamped(&old, 21), old);
        let bytes = clamped(&archive(&[(10, None), (99, None), (20, Some("20.5"))]), 20);
        let mut read = tar::Archive::new(&bytes[..]);
        let mut seen = Vec::new();
        for entry in read.entries().unwrap() {
            let mut entry = entry.unwrap();
            let keys: Vec<String> = entry
                .pax_extensions()
                .unwrap()
                .into_iter()
                .flatten()
                .map(|record| record.unwrap().key().unwrap().to_owned())
                .collect();
            seen.push((entry.header().mtime().unwrap(), entry.size(), keys));
        }
        assert_eq!(
            seen,
            [(10, 600, vec![]), (20, 600, vec![]), (20, 600, vec!["SCHILY.xattr.user.a".to_owned()])]
        );
    }

    #[test]
    fn whatever_the_clock_said_it_is_the_same() {
        let one = archive(&[(100, Some("100.25")), (5, None)]);
        let other = archive(&[(7_000_000_000, Some("7000000000.75")), (5, None)]);
        assert_eq!(clamped(&one, 50), clamped(&other, 50));
        assert_ne!(clamped(&one, 150), clamped(&other, 150));
    }

    #[test]
    fn what_is_broken_is_an_error() {
        let whole = archive(&[(100, Some("1.5"))]);
        let broken = |bytes: &[u8]| clamp_times(&mut &bytes[..], &mut io::sink(), 0).is_err();
        assert!(broken(&whole[..700]) && broken(&whole[..1600]));
        let mut odd = whole.clone();
        odd[512] = b'x';
        assert!(broken(&odd));
        assert_eq!(encoded("atime", "99999999"), b"18 atime=99999999\n");
    }
}
