//! Headers as Go's `archive/tar` writes them in PAX form: plain ustar, and an extended header before it only for
//! what ustar's fields have no room for. So the tars are those that Docker makes, byte by byte.

use std::collections::BTreeMap;

use crate::{BLOCK, padding};

/// Types of entries, POSIX `ustar`.
pub(crate) mod flag {
    pub(crate) const REGULAR: u8 = b'0';
    pub(crate) const HARD_LINK: u8 = b'1';
    pub(crate) const SYMLINK: u8 = b'2';
    pub(crate) const CHAR: u8 = b'3';
    pub(crate) const BLOCK: u8 = b'4';
    pub(crate) const DIRECTORY: u8 = b'5';
    pub(crate) const FIFO: u8 = b'6';
}
/// An extended header for the entry that follows.
const EXTENDED: u8 = b'x';

/// Offsets and lengths of fields, POSIX `ustar`.
const NAME: (usize, usize) = (0, 100);
const MODE: (usize, usize) = (100, 8);
const UID: (usize, usize) = (108, 8);
const GID: (usize, usize) = (116, 8);
const SIZE: (usize, usize) = (124, 12);
const MTIME: (usize, usize) = (136, 12);
const CHECK_SUM: (usize, usize) = (148, 8);
const TYPE: usize = 156;
const LINK: (usize, usize) = (157, 100);
const MAGIC: (usize, usize) = (257, 8);
const MAJOR: (usize, usize) = (329, 8);
const MINOR: (usize, usize) = (337, 8);

/// What a header says.
#[derive(Debug, Default)]
pub(crate) struct Header<'a> {
    /// With a final slash for a directory.
    pub(crate) name: &'a [u8],
    pub(crate) flag: u8,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    /// Seconds since 1970.
    pub(crate) mtime: i64,
    pub(crate) link: &'a [u8],
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

impl Header<'_> {
    /// Appends the header, and the extended one before it when one is needed.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut records: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut block = [0_u8; BLOCK];
        text(&mut block, NAME, self.name, b"path", &mut records);
        text(&mut block, LINK, self.link, b"linkpath", &mut records);
        number(&mut block, MODE, self.mode.into(), b"", &mut records);
        number(&mut block, UID, self.uid.into(), b"uid", &mut records);
        number(&mut block, GID, self.gid.into(), b"gid", &mut records);
        number(&mut block, SIZE, self.size.cast_signed(), b"size", &mut records);
        number(&mut block, MTIME, self.mtime, b"mtime", &mut records);
        number(&mut block, MAJOR, self.major.into(), b"", &mut records);
        number(&mut block, MINOR, self.minor.into(), b"", &mut records);
        for (key, value) in self.xattrs {
            records.insert([b"SCHILY.xattr.", key.as_slice()].concat(), value.clone());
        }
        if !records.is_empty() {
            self.write_extended(&records, out);
        }
        finish(&mut block, self.flag, out);
    }

    fn write_extended(&self, records: &BTreeMap<Vec<u8>, Vec<u8>>, out: &mut Vec<u8>) {
        let payload: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        let trimmed = self.name.strip_suffix(b"/").unwrap_or(self.name);
        let (up, last) = crate::split(trimmed);
        // of a directory, Go puts the mark below it
        let (up, last): (&[u8], &[u8]) =
            if trimmed.len() < self.name.len() { (trimmed, b"") } else { (up, last) };
        let parts: Vec<&[u8]> =
            [up, b"PaxHeaders.0", last].into_iter().filter(|part| !part.is_empty()).collect();
        let name = ascii(&parts.join(&b'/'));
        let name = name.get(..NAME.1).unwrap_or(&name);
        let mut block = [0_u8; BLOCK];
        let mut none = BTreeMap::new();
        text(&mut block, NAME, name.strip_suffix(b"/").unwrap_or(name), b"", &mut none);
        for field in [MODE, UID, GID, MTIME, MAJOR, MINOR] {
            number(&mut block, field, 0, b"", &mut none);
        }
        number(&mut block, SIZE, i64::try_from(payload.len()).unwrap_or(i64::MAX), b"", &mut none);
        finish(&mut block, EXTENDED, out);
        out.extend_from_slice(&payload);
        out.resize(out.len() + padding(payload.len() as u64) as usize, 0);
    }
}

/// Sets a text; one that does not fit or is not ASCII goes into a record as well.
fn text(
    block: &mut [u8; BLOCK],
    (at, length): (usize, usize),
    value: &[u8],
    key: &[u8],
    records: &mut BTreeMap<Vec<u8>, Vec<u8>>,
) {
    if value.len() > length || !value.is_ascii() {
        records.insert(key.to_vec(), value.to_vec());
    }
    let plain = ascii(value);
    let mut cut = plain.get(..length).unwrap_or(&plain);
    if plain.len() > length {
        // a slash at the end would make it a directory for old readers
        while let Some(shorter) = cut.strip_suffix(b"/") {
            cut = shorter;
        }
    }
    block[at..at + cut.len()].copy_from_slice(cut);
}

fn ascii(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii).collect()
}

/// Sets an octal number with its NUL; one that does not fit becomes zero here and a record.
fn number(
    block: &mut [u8; BLOCK],
    (at, length): (usize, usize),
    value: i64,
    key: &[u8],
    records: &mut BTreeMap<Vec<u8>, Vec<u8>>,
) {
    let digits = length - 1;
    let fits = value >= 0 && (digits >= 21 || value < 1 << (3 * digits));
    if !fits && !key.is_empty() {
        records.insert(key.to_vec(), value.to_string().into_bytes());
    }
    let shown = format!("{:0digits$o}", if fits { value } else { 0 });
    block[at..at + digits].copy_from_slice(shown.as_bytes());
}

fn finish(block: &mut [u8; BLOCK], flag: u8, out: &mut Vec<u8>) {
    block[TYPE] = flag;
    block[MAGIC.0..MAGIC.0 + MAGIC.1].copy_from_slice(b"ustar\x0000");
    let (at, length) = CHECK_SUM;
    block[at..at + length].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    // six digits, NUL and space
    block[at..at + length - 1].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    out.extend_from_slice(block);
}

/// `length key=value\n`, where the length counts itself.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body + body.to_string().len();
    if length.to_string().len() + body != length {
        length = body + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Limits, NoTap, TarStream};

    fn read(header: &Header<'_>) -> crate::Entry {
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        TarStream::new(&bytes[..], NoTap, Limits::default(), "test").next().unwrap().unwrap()
    }

    #[test]
    fn what_fits_takes_one_block() {
        let mut bytes = Vec::new();
        Header { name: b"a/b", flag: flag::REGULAR, mode: 0o100_644, mtime: 5, ..Header::default() }
            .write(&mut bytes);
        assert_eq!(bytes.len(), BLOCK);
        assert_eq!(&bytes[100..108], b"0100644\0");
        assert_eq!(&bytes[257..265], b"ustar\x0000");
    }

    #[test]
    fn what_does_not_fit_comes_back_all_the_same() {
        let long = [b"d/".repeat(90), "é".as_bytes().to_vec()].concat();
        let xattrs = [(b"user.a".to_vec(), b"x\n\0".to_vec())];
        let entry = read(&Header {
            name: &long,
            flag: flag::SYMLINK,
            mode: 0o777,
            uid: 3_000_000,
            gid: 7,
            mtime: -5,
            link: &long,
            xattrs: &xattrs,
            ..Header::default()
        });
        assert_eq!((entry.name, entry.link), (long.clone(), long));
        assert_eq!(
            (entry.kind, entry.uid, entry.gid, entry.mtime.seconds),
            (Kind::Symlink, 3_000_000, 7, -5)
        );
        assert_eq!(entry.xattrs, xattrs);
        let size = 1 << 33;
        assert_eq!(read(&Header { name: b"f", flag: flag::REGULAR, size, ..Header::default() }).size, size);
    }

    #[test]
    fn a_record_counts_its_own_length() {
        for length in [1, 2, 5, 88, 89, 90, 91, 985, 986, 987, 988, 989, 990] {
            let record = record(b"k", &vec![b'x'; length]);
            let said: usize = String::from_utf8_lossy(&record).split(' ').next().unwrap().parse().unwrap();
            assert_eq!(said, record.len(), "{length}");
        }
    }
}
