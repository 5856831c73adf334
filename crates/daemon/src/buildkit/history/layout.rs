//! The history's files.
//!
//! ```text
//! <dir>/version          format version, "1\n"
//! <dir>/<name>.record    BuildHistoryRecord, encoded; name = 64 hex digits, of the build's
//! <dir>/<name>.status    StatusResponse messages, each behind its length
//! ```
//!
//! A file appears and goes by one rename and waits for no disk: what a power cut has spoilt can't be read, and is
//! removed at the next start.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use buildkit::proto::control::{BuildHistoryRecord, StatusResponse};
use oci::Digest;
use prost::Message as _;

/// The format that this program reads and writes.
const VERSION: &str = "1";
const RECORD: &str = "record";
const STATUS: &str = "status";
const NEW: &str = ".new";
/// Longest record that is read or written, in bytes.
const MAX_RECORD: usize = 1 << 20;
/// Longest progress of one build, in bytes; what comes after is not kept.
const MAX_STATUS: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// Makes the directory if it is missing. Fails on a newer version.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let version = dir.join("version");
        match fs::read_to_string(&version) {
            Ok(text) if text.trim() == VERSION => {}
            Ok(text) => {
                return Err(io::Error::other(format!(
                    "it is of version {}: this program knows {VERSION}",
                    text.trim()
                )));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => fs::write(&version, format!("{VERSION}\n"))?,
            Err(error) => return Err(error),
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// All records, the oldest first. What can't be read goes, and so does what belongs to no record.
    pub(super) fn records(&self) -> io::Result<Vec<BuildHistoryRecord>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let kept = match path.extension().and_then(|kind| kind.to_str()) {
                Some(RECORD) => {
                    let record = read(&path).filter(|record| self.path(&record.r#ref, RECORD) == path);
                    let found = record.is_some();
                    records.extend(record);
                    found
                }
                Some(STATUS) => path.with_extension(RECORD).exists(),
                _ => path.file_name().is_some_and(|name| name == "version"),
            };
            if !kept {
                fs::remove_file(&path)?;
            }
        }
        let age = |record: &BuildHistoryRecord| {
            record.created_at.as_ref().map(|at| (at.seconds, at.nanos)).unwrap_or_default()
        };
        records.sort_by_key(age);
        Ok(records)
    }

    fn path(&self, build: &str, kind: &str) -> PathBuf {
        self.dir.join(format!("{}.{kind}", Digest::sha256(build.as_bytes()).hex()))
    }

    pub(super) fn write(&self, record: &BuildHistoryRecord) -> io::Result<()> {
        let bytes = record.encode_to_vec();
        if bytes.len() > MAX_RECORD {
            return Err(io::Error::other(format!("a record of more than {MAX_RECORD} bytes is not kept")));
        }
        put(&self.path(&record.r#ref, RECORD), &bytes)
    }

    /// Keeps how a build went, as far as it fits.
    pub(super) fn write_status(&self, build: &str, messages: &[StatusResponse]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for message in messages {
            if bytes.len() + message.encoded_len() > MAX_STATUS {
                break;
            }
            message.encode_length_delimited(&mut bytes).map_err(io::Error::other)?;
        }
        put(&self.path(build, STATUS), &bytes)
    }

    /// How a build went; nothing when that was not kept.
    pub(super) fn status(&self, build: &str) -> io::Result<Vec<StatusResponse>> {
        let bytes = match sys::file::read_bounded(self.path(build, STATUS), 2 * MAX_STATUS) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            bytes => bytes?,
        };
        let mut rest = bytes.as_slice();
        let mut messages = Vec::new();
        while !rest.is_empty() {
            messages.push(StatusResponse::decode_length_delimited(&mut rest).map_err(io::Error::other)?);
        }
        Ok(messages)
    }

    /// Removes a build; none is fine.
    pub(super) fn remove(&self, build: &str) -> io::Result<()> {
        for kind in [RECORD, STATUS] {
            match fs::remove_file(self.path(build, kind)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Option<BuildHistoryRecord> {
    BuildHistoryRecord::decode(sys::file::read_bounded(path, MAX_RECORD).ok()?.as_slice()).ok()
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}{NEW}", path.extension().unwrap_or_default().display()));
    fs::File::create(&temporary)?.write_all(bytes)?;
    fs::rename(&temporary, path)
}
