//! This machine's key: made once, recorded, the same on every network.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Key, message};
use crate::error::{Error, Result};
use crate::layout;
use crate::netlink::{Batch, Protocol, Socket};
use crate::netns::{self, Namespace};
use crate::route;

/// Version of the format that is written.
const VERSION: u32 = 1;
/// Largest record that is read.
const MAX_LEN: u64 = 4096;
/// The device that computes the public half, in a namespace of its own.
const SCRATCH: &str = "wg0";

/// Both halves.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    /// Never shown.
    pub(super) private: Key,
    /// What the others are told.
    pub(crate) public: Key,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("public", &hex(&self.public)).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    private: String,
    public: String,
}

impl Keys {
    /// Reads the record, or makes the keys and the record of them. `None` where the kernel has no
    /// WireGuard.
    pub(crate) fn open(data_dir: &Path) -> Result<Option<Self>> {
        if message::family(&mut Socket::open(Protocol::Generic)?)?.is_none() {
            return Ok(None);
        }
        if let Some(known) = Self::read(data_dir)? {
            return Ok(Some(known));
        }
        let Some(made) = Self::make()? else { return Ok(None) };
        made.write(data_dir)?;
        Ok(Some(made))
    }

    fn read(data_dir: &Path) -> Result<Option<Self>> {
        let path = data_dir.join(layout::WIREGUARD);
        let failed = |source| Error::Record { path: path.clone(), source };
        let mut text = Vec::new();
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.and_then(|file| file.take(MAX_LEN).read_to_end(&mut text)).map_err(failed)?,
        };
        let record: Record = serde_json::from_slice(&text).map_err(|e| failed(e.into()))?;
        let wrong = |what: String| failed(io::Error::new(io::ErrorKind::InvalidData, what));
        if record.version != VERSION {
            return Err(wrong(format!("format {} is not known to this version", record.version)));
        }
        match (unhex(&record.private), unhex(&record.public)) {
            (Some(private), Some(public)) => Ok(Some(Self { private, public })),
            _ => Err(wrong("a key is not 64 hex digits".to_owned())),
        }
    }

    fn write(&self, data_dir: &Path) -> Result<()> {
        let record = Record { version: VERSION, private: hex(&self.private), public: hex(&self.public) };
        let failed = |source| Error::Record { path: data_dir.join(layout::WIREGUARD), source };
        let text = serde_json::to_vec(&record).map_err(|e| failed(e.into()))?;
        let directory = File::open(data_dir).map_err(failed)?;
        sys::file::write_durable(&directory, layout::WIREGUARD, &text, 0o600).map_err(failed)
    }

    /// Random keys. The kernel computes the public half: a device is given the private one, in a
    /// namespace that dies with it.
    fn make() -> Result<Option<Self>> {
        let mut private = [0; 32];
        getrandom::fill(&mut private).map_err(|e| Error::Config(format!("no random numbers: {e}")))?;
        // RFC 7748: what any 32 bytes are made into before they are used.
        private[0] &= 248;
        private[31] = (private[31] & 127) | 64;
        let namespace = Namespace::new()?;
        let public = netns::within(namespace.fd.as_fd(), || {
            let mut links = Socket::open(Protocol::Route)?;
            let mut batch = Batch::default();
            route::push_wireguard(&mut batch, SCRATCH, 1420);
            match links.request(&mut batch) {
                Err(error) if error.errno() == Some(rustix::io::Errno::OPNOTSUPP) => return Ok(None),
                result => result?,
            };
            let mut socket = Socket::open(Protocol::Generic)?;
            let Some(family) = message::family(&mut socket)? else { return Ok(None) };
            let mut batch = Batch::default();
            message::push_identity(&mut batch, family, SCRATCH, &private, 0);
            socket.request(&mut batch)?;
            let device = message::device(&mut socket, family, SCRATCH)?;
            device.public.map(Some).ok_or(Error::Malformed("a WireGuard device without a public key"))
        })?;
        Ok(public.map(|public| Self { private, public }))
    }
}

fn hex(key: &Key) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Key> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 32];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn keys_are_read_as_they_were_written_and_are_nobody_elses_to_read() {
        let dir = tempfile::tempdir().expect("tempdir");
        assert_eq!(Keys::read(dir.path()).expect("none"), None);
        let keys = Keys { private: [0xa5; 32], public: [7; 32] };
        keys.write(dir.path()).expect("written");
        assert_eq!(Keys::read(dir.path()).expect("read"), Some(keys.clone()));
        let mode = fs::metadata(dir.path().join(layout::WIREGUARD)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{keys:?}").contains("a5a5"), "{keys:?}");
    }

    #[test]
    fn a_record_is_read_in_every_format_there_was_and_in_no_other() {
        let dir = tempfile::tempdir().expect("tempdir");
        let read = |text: &str| {
            fs::write(dir.path().join(layout::WIREGUARD), text).expect("written");
            Keys::read(dir.path()).map_err(|error| error.to_string())
        };
        let (private, public) = ("40".repeat(32), "0f".repeat(32));
        let first = format!(r#"{{"version":1,"private":"{private}","public":"{public}"}}"#);
        assert_eq!(read(&first), Ok(Some(Keys { private: [0x40; 32], public: [0x0f; 32] })));
        for (text, named) in [
            (first.replace(":1,", ":2,"), "format 2"),
            (first.replace("0f0f", "0g0g"), "64 hex digits"),
            ("{".to_owned(), "wireguard.json"),
            (String::new(), "wireguard.json"),
        ] {
            let error = read(&text).expect_err("wrong");
            assert!(error.contains(named), "{error}");
        }
    }
}
