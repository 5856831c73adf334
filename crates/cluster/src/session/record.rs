//! The session's lease on disk: a daemon that starts again before it has run out goes on with it, and with everything
//! that hangs on it.
//!
//! ```text
//! <dir>/session.json   {"version": 1, "lease": N, "store": "etcd://…"}
//! ```

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Version of the form that is written.
const VERSION: u32 = 1;
/// The file's name.
const FILE: &str = "session.json";
/// Longest record that is read.
const MAX_LEN: usize = 64 << 10;

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    lease: i64,
    store: String,
}

/// The lease of the last session with this store; `None` if there was none, or it can't be read: a new one is as good.
pub(super) fn read(dir: &Path, store: &str) -> Option<i64> {
    let text = sys::file::read_bounded(dir.join(FILE), MAX_LEN).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    (record.version == VERSION && record.store == store && record.lease != 0).then_some(record.lease)
}

/// Writes the lease durably.
pub(super) fn write(dir: &Path, store: &str, lease: i64) -> Result<()> {
    let record = Record { version: VERSION, lease, store: store.to_owned() };
    let path: PathBuf = dir.join(FILE);
    let written = || -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let text = serde_json::to_vec(&record)?;
        sys::file::write_durable(&File::open(dir)?, FILE, &text, 0o600)
    };
    written().map_err(|error| Error::Record { path: path.display().to_string(), why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_found_again_for_its_own_store() {
        let dir = tempfile::tempdir().expect("tempdir");
        let below = dir.path().join("cluster");
        assert_eq!(read(&below, "a"), None);
        write(&below, "a", 7).expect("written");
        write(&below, "a", 8).expect("again");
        assert_eq!((read(&below, "a"), read(&below, "b")), (Some(8), None));
    }

    /// A record as the first version wrote it.
    #[test]
    fn the_first_form_is_read_and_a_later_one_is_not() {
        let dir = tempfile::tempdir().expect("tempdir");
        let put = |text: &str| std::fs::write(dir.path().join(FILE), text).expect("written");
        put(r#"{"version":1,"lease":7587870263,"store":"etcd://10.0.0.1:2379"}"#);
        assert_eq!(read(dir.path(), "etcd://10.0.0.1:2379"), Some(7_587_870_263));
        for text in [r#"{"version":2,"lease":7,"store":"a"}"#, "{", ""] {
            put(text);
            assert_eq!(read(dir.path(), "a"), None, "{text}");
        }
    }
}
