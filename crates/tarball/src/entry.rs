//! One entry: header, PAX and GNU extensions put together and checked.

use tar::{EntryType, Header};

use crate::pax::Pax;
use crate::show;
use crate::{Error, Result};

/// Seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Time {
    /// Since 1970.
    pub seconds: i64,
    /// Less than a second.
    pub nanos: u32,
}

impl Time {
    /// PAX's form: decimal seconds with an optional fraction.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = whole.parse().ok()?;
        if !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let nanos: u32 = format!("{:0<9.9}", fraction).parse().ok()?;
        match (whole.starts_with('-'), nanos) {
            (true, 1..) => Some(Self { seconds: seconds.checked_sub(1)?, nanos: 1_000_000_000 - nanos }),
            _ => Some(Self { seconds, nanos }),
        }
    }
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Regular,
    /// Another name of a file.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// One entry, checked as far as it can be without looking at a file system.
#[derive(Debug)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// The name as written.
    pub name: Vec<u8>,
    /// Target of a link, as written.
    pub link: Vec<u8>,
    /// Permission bits and set-id bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change.
    pub mtime: Time,
    /// Of a device.
    pub major: u32,
    /// Of a device.
    pub minor: u32,
    /// Bytes of payload that follow in the tar.
    pub payload: u64,
    /// Bytes of the file; more than `payload` when it is sparse.
    pub size: u64,
    /// Where the payload's pieces lie in a sparse file: offset and length, in order.
    pub sparse: Option<Vec<(u64, u64)>>,
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Names and records that preceded the header.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    pub(crate) pax: Pax,
    pub(crate) long_name: Option<Vec<u8>>,
    pub(crate) long_link: Option<Vec<u8>>,
}

/// The highest user or group id: the kernel takes the next one as "leave it".
const MAX_ID: u64 = u32::MAX as u64 - 1;
/// Device numbers have 12 and 20 bits.
const MAX_MAJOR: u32 = (1 << 12) - 1;
const MAX_MINOR: u32 = (1 << 20) - 1;

impl Entry {
    pub(crate) fn new(header: &Header, extensions: Extensions) -> Result<Self> {
        let pax = &extensions.pax;
        let name = match (pax.get("GNU.sparse.name").or_else(|| pax.get("path")), extensions.long_name) {
            (Some(name), _) => name.to_vec(),
            (None, Some(name)) => name,
            (None, None) => header.path_bytes().into_owned(),
        };
        let refuse = |reason: &str| Error::Entry { name: show(&name), reason: reason.into() };
        let kind = kind(header.entry_type(), &name).ok_or_else(|| refuse("unknown type of entry"))?;
        let link = match (pax.get("linkpath"), extensions.long_link) {
            (Some(link), _) => link.to_vec(),
            (None, Some(link)) => link,
            (None, None) => header.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default(),
        };
        let number = |field: std::io::Result<u64>, what: &str| field.map_err(|_error| refuse(what));
        let payload = match (kind, pax.number("size")?) {
            (Kind::Regular, Some(size)) => size,
            (Kind::Regular, None) => number(header.entry_size(), "malformed size")?,
            _ => 0,
        };
        let id = |key: &str, field| -> Result<u32> {
            let id = pax.number(key)?.map_or_else(|| number(field, "malformed user or group id"), Ok)?;
            if id > MAX_ID { Err(refuse("user or group id out of range")) } else { Ok(id as u32) }
        };
        let device = |field: std::io::Result<Option<u32>>, max| match (kind, field) {
            (Kind::Char | Kind::Block, Ok(number)) if number.unwrap_or(0) <= max => Ok(number.unwrap_or(0)),
            (Kind::Char | Kind::Block, _) => Err(refuse("device number out of range")),
            _ => Ok(0),
        };
        Ok(Self {
            mode: number(header.mode().map(u64::from), "malformed mode")? as u32 & 0o7777,
            uid: id("uid", or_zero(&header.as_old().uid, header.uid()))?,
            gid: id("gid", or_zero(&header.as_old().gid, header.gid()))?,
            mtime: pax
                .time("mtime")?
                .map_or_else(|| mtime(header).ok_or_else(|| refuse("malformed time")), Ok)?,
            major: device(header.device_major(), MAX_MAJOR)?,
            minor: device(header.device_minor(), MAX_MINOR)?,
            size: payload,
            payload,
            sparse: None,
            xattrs: pax.xattrs(),
            kind,
            link,
            name,
        })
    }
}

fn kind(entry_type: EntryType, name: &[u8]) -> Option<Kind> {
    Some(match entry_type {
        // Before POSIX, a directory was a file whose name ends in a slash.
        EntryType::Regular if name.ends_with(b"/") => Kind::Directory,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::Regular,
        EntryType::Link => Kind::HardLink,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Char => Kind::Char,
        EntryType::Block => Kind::Block,
        EntryType::Directory => Kind::Directory,
        EntryType::Fifo => Kind::Fifo,
        _ => return None,
    })
}

/// A numeric field that was never filled in means zero, as Go's archive/tar reads it.
fn or_zero(field: &[u8], parsed: std::io::Result<u64>) -> std::io::Result<u64> {
    if field.iter().all(|byte| matches!(byte, 0 | b' ')) { Ok(0) } else { parsed }
}

/// The header's time: octal, or (GNU) a signed big-endian number.
fn mtime(header: &Header) -> Option<Time> {
    let field = &header.as_old().mtime;
    let seconds = if field[0] & 0x80 == 0 {
        i64::try_from(header.mtime().ok()?).ok()?
    } else {
        let negative = field[0] == 0xff;
        let low = field[4..].iter().fold(0_u64, |sum, &b| sum << 8 | u64::from(b)).cast_signed();
        if negative != (low < 0) {
            return None;
        }
        low
    };
    Some(Time { seconds, nanos: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_times() {
        let time = |seconds, nanos| Some(Time { seconds, nanos });
        assert_eq!(Time::parse(b"12"), time(12, 0));
        assert_eq!(Time::parse(b"12.5"), time(12, 500_000_000));
        assert_eq!(Time::parse(b"12.0000000019"), time(12, 1));
        assert_eq!(Time::parse(b"-1.5"), time(-2, 500_000_000));
        assert_eq!(Time::parse(b"-0.5"), time(-1, 500_000_000));
        assert_eq!(Time::parse(b"x"), None);
        assert_eq!(Time::parse(b"1.x"), None);
    }
}
