//! The build cache's index on disk: what a piece of work has made, by the digest of all that it depends on.
//!
//! ```text
//! <dir>/version         format version, "1\n"
//! <dir>/<key>.json      one record; key = 64 hex digits
//! ```
//!
//! A record appears and goes by one rename and waits for no disk: one that a power cut has spoilt can't be read, and is
//! a miss. What it names (layers) is the caller's, who says which records are still true.

pub mod exchange;
mod layout;

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use oci::Digest;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};
use layout::Layout;

/// Longest record in bytes.
const MAX_RECORD: usize = 1 << 20;

/// What a piece of work has made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What it was, for people.
    pub description: String,
    /// What kind of work it was.
    pub kind: Kind,
    /// Its outputs, by their numbers: layers, lowest first.
    pub outputs: Vec<(u32, Vec<Digest>)>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used; `None` if never since it was made.
    pub used: Option<Timestamp>,
    /// How often it was used.
    pub uses: u64,
    /// Bytes of what it added.
    pub size: u64,
    /// Layers of its outputs that none of its inputs had; `None` in a record of a version that did not note them.
    #[serde(default)]
    pub added: Option<Vec<Digest>>,
    /// Keys of what it was made from.
    pub parents: Vec<String>,
    /// What the caller has noted beside it.
    #[serde(default)]
    pub note: Option<String>,
}

impl Record {
    /// When it was last made or used.
    pub fn last_used(&self) -> Timestamp {
        self.used.unwrap_or(self.created)
    }

    /// The layers that it added; of an old record the uppermost ones.
    pub fn added(&self) -> Vec<&Digest> {
        match &self.added {
            Some(added) => added.iter().collect(),
            None => self.outputs.iter().filter_map(|(_, layers)| layers.last()).collect(),
        }
    }
}

/// What kind of work a record is of, in BuildKit's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Everything else.
    Regular,
    /// A directory of a client's.
    SourceLocal,
    /// A git repository.
    SourceGit,
    /// A directory that stays between executions.
    ExecCachemount,
    /// The front end itself.
    Frontend,
    /// Records of the builder.
    Internal,
}

impl Kind {
    /// BuildKit's and Docker's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::SourceLocal => "source.local",
            Self::SourceGit => "source.git.checkout",
            Self::ExecCachemount => "exec.cachemount",
            Self::Frontend => "frontend",
            Self::Internal => "internal",
        }
    }
}

/// The index. Every method blocks for a file at most.
#[derive(Debug)]
pub struct Index {
    layout: Layout,
    records: Mutex<HashMap<String, Record>>,
    /// Records whose use is not written yet.
    touched: Mutex<HashSet<String>>,
    /// Held while a file is written or removed, so that none comes back.
    files: Mutex<()>,
}

impl Index {
    /// Opens the index in `dir`, or makes it. Records that can't be read are removed.
    ///
    /// # Errors
    /// The directory can't be read or made, or is of a newer version.
    pub fn open(dir: &Path) -> Result<Self> {
        let layout = Layout::open(dir)?;
        let mut records = HashMap::new();
        for key in layout.keys()? {
            let path = layout.record(&key);
            let read = sys::file::read_bounded(&path, MAX_RECORD).ok();
            match read.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                Some(record) => drop(records.insert(key, record)),
                None => drop(std::fs::remove_file(&path)),
            }
        }
        Ok(Self { layout, records: Mutex::new(records), touched: Mutex::default(), files: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        held(&self.records)
    }

    /// A record.
    pub fn get(&self, key: &Digest) -> Option<Record> {
        self.lock().get(key.hex()).cloned()
    }

    /// All keys and records.
    pub fn all(&self) -> Vec<(String, Record)> {
        self.lock().iter().map(|(key, record)| (key.clone(), record.clone())).collect()
    }

    /// Puts a record there, in place of one that was.
    ///
    /// # Errors
    /// The disk is full.
    pub fn put(&self, key: &Digest, record: Record) -> Result<()> {
        let _alone = held(&self.files);
        self.write(key.hex(), &record)?;
        self.lock().insert(key.hex().to_owned(), record);
        Ok(())
    }

    /// Notes that a record was used now. Only in memory until [`Self::flush`]: a kill loses no more than the moment.
    pub fn touch(&self, key: &Digest, at: Timestamp) {
        if let Some(record) = self.lock().get_mut(key.hex()) {
            record.used = Some(at);
            record.uses += 1;
            held(&self.touched).insert(key.hex().to_owned());
        }
    }

    /// Writes what [`Self::touch`] has noted. No build waits for it: a file in the place of another one is on its way
    /// to the disk at once, and there is one for each step.
    ///
    /// # Errors
    /// The disk is full; what was not written is tried again the next time.
    pub fn flush(&self) -> Result<()> {
        let touched = std::mem::take(&mut *held(&self.touched));
        let mut left = touched.into_iter();
        while let Some(key) = left.next() {
            let _alone = held(&self.files);
            let record = self.lock().get(&key).cloned();
            if let Some(Err(error)) = record.map(|record| self.write(&key, &record)) {
                held(&self.touched).extend(left.chain([key]));
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes a record away; none is fine.
    ///
    /// # Errors
    /// The file can't be removed.
    pub fn remove(&self, key: &str) -> Result<()> {
        let _alone = held(&self.files);
        let path = self.layout.record(key);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::because(format!("remove {}", path.display()), error));
            }
            _ => {}
        }
        self.lock().remove(key);
        Ok(())
    }

    fn write(&self, key: &str, record: &Record) -> Result<()> {
        let path = self.layout.record(key);
        let failed = |error: std::io::Error| Error::because(format!("write {}", path.display()), error);
        let bytes = serde_json::to_vec(record).map_err(|error| Error::because("encode a record", error))?;
        let temporary = self.layout.temporary(key);
        let mut file = std::fs::File::create(&temporary).map_err(failed)?;
        file.write_all(&bytes).map_err(failed)?;
        std::fs::rename(&temporary, &path).map_err(failed)
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
