//! Directories that stay between a build's processes (`RUN --mount=type=cache`).
//!
//! One appears and goes by one rename, so that a kill leaves it whole or as a directory of `tmp/` or `trash/`, which
//! the next start removes. Its files wait for no disk and are worth no more than the time that they spare: a power cut
//! may spoil what was written last. Who has which is known in memory alone: a build's processes end with the daemon.

mod table;
#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use oci::Digest;
use serde::{Deserialize, Serialize};

use crate::disk::{TmpDir, Trash, encode, random_name, read_json, write_plain};
use crate::error::Context;
use crate::layout::{DIR_MODE, Layout, cache_mount};
use crate::store::Inner;
use crate::{Error, Result, Store};
pub(crate) use table::Table;
use table::Turn;

/// Mode of one's files until whoever makes it says something else: anybody may look, its owner may write.
const FILES_MODE: u32 = 0o755;

/// What happens when two want one at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheSharing {
    /// Both have it.
    Shared,
    /// The second gets another, which stays, too.
    Private,
    /// The second waits.
    Locked,
}

/// What somebody wants.
#[derive(Clone, Copy, Debug)]
pub struct CacheWanted<'a> {
    /// Those of one key are alike: each does as well as the other.
    pub key: &'a Digest,
    /// What it is for, for people; counts when it is made.
    pub description: &'a str,
    /// What happens when others want it.
    pub sharing: CacheSharing,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheMount {
    /// Its name.
    pub id: String,
    /// What makes it differ from others.
    pub key: Digest,
    /// What it was made for, for people.
    pub description: String,
    /// When it was made.
    pub created: Timestamp,
    /// When somebody last had it; `None` if only who made it had it, and has it still.
    pub last_used: Option<Timestamp>,
    /// How often it was had again after it was made.
    pub uses: u64,
    /// Bytes on the disk, as `du(1)` counts; of one in use as far as they could be counted.
    pub size: u64,
    /// A process of a build has it.
    pub in_use: bool,
}

/// What is on disk beside the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    key: Digest,
    description: String,
    created: Timestamp,
    last_used: Option<Timestamp>,
    uses: u64,
}

/// The use of one. Whoever is last to let it go, gives it back.
#[derive(Debug)]
pub struct CacheUse {
    inner: Arc<Inner>,
    id: String,
}

impl CacheUse {
    /// Where its files are.
    pub fn path(&self) -> PathBuf {
        self.inner.layout.cache_mount(&self.id).join(cache_mount::FILES)
    }
}

impl Drop for CacheUse {
    fn drop(&mut self) {
        let Some(record) = self.inner.caches.give_back(&self.id, Timestamp::now()) else { return };
        if let Err(error) = replace(&self.inner.layout, &self.id, &record) {
            tracing::warn!(cache = %self.id, %error, "when a cache mount was last used is not noted");
        }
    }
}

impl Store {
    /// Gives one; makes it if there is none to be had. `fill` gets the directory for its files, empty, of root and with
    /// mode 0755, and puts into it what it begins as. Waits for one that is [`CacheSharing::Locked`], or that another
    /// makes, until `given_up` says that nobody wants it any more ([`Self::wake_cache_waiters`] lets it be asked again):
    /// then there is none.
    ///
    /// # Errors
    /// It can't be made: [`Error::NoSpace`], or what `fill` says. Nothing stays behind.
    pub fn take_cache(
        &self,
        wanted: &CacheWanted<'_>,
        given_up: &dyn Fn() -> bool,
        fill: &dyn Fn(&Path) -> std::io::Result<()>,
    ) -> Result<Option<CacheUse>> {
        let inner = self.inner();
        let lent = |id: String| CacheUse { inner: Arc::clone(inner), id };
        match inner.caches.take(wanted, &random_name()?, given_up) {
            Turn::Nobody => Ok(None),
            Turn::Lent(id) => Ok(Some(lent(id))),
            Turn::Make(id, record) => {
                let made = make(&inner.layout, &id, &record, fill);
                inner.caches.made(&id, made.is_ok());
                made.map(|()| Some(lent(id)))
            }
        }
    }

    /// Whoever waits looks again whether it is wanted.
    pub fn wake_cache_waiters(&self) {
        self.inner().caches.wake();
    }

    /// All of them, oldest first.
    ///
    /// # Errors
    /// The files of one can't be read.
    pub fn cache_mounts(&self) -> Result<Vec<CacheMount>> {
        let inner = self.inner();
        let mut all = Vec::new();
        for mut found in inner.caches.all() {
            if found.size.is_none() {
                let path = inner.layout.cache_mount(&found.cache.id);
                let size = sys::usage::of(&path).at("measure", &path)?;
                inner.caches.measured(&found, size);
                found.size = Some(size);
            }
            all.push(CacheMount { size: found.size.unwrap_or_default(), ..found.cache });
        }
        Ok(all)
    }

    /// Removes one; says whether it was there.
    ///
    /// # Errors
    /// [`Error::Conflict`] while a build has it; it can't be renamed.
    pub fn remove_cache_mount(&self, id: &str) -> Result<bool> {
        let inner = self.inner();
        let removed = inner.caches.remove(id, || inner.trash.discard(&inner.layout.cache_mount(id)))?;
        removed.ok_or_else(|| Error::Conflict(format!("cache mount {id} is in use by a build")))
    }
}

/// Makes one in a directory that nobody sees, and moves it to its place.
fn make(
    layout: &Layout,
    id: &str,
    record: &Record,
    fill: &dyn Fn(&Path) -> std::io::Result<()>,
) -> Result<()> {
    let dir = TmpDir::new(layout)?;
    let files = dir.path().join(cache_mount::FILES);
    DirBuilder::new().mode(DIR_MODE).create(&files).at("make", &files)?;
    fs::set_permissions(&files, Permissions::from_mode(FILES_MODE)).at("set mode of", &files)?;
    fill(&files).map_err(|error| Error::io("fill a cache mount", error))?;
    write_plain(&dir.path().join(cache_mount::RECORD), &encode(record)?)?;
    dir.publish(&layout.cache_mount(id))
}

/// Writes the record anew. What is lost with a power cut is when it was used.
fn replace(layout: &Layout, id: &str, record: &Record) -> Result<()> {
    let temporary = layout.tmp().join(random_name()?);
    write_plain(&temporary, &encode(record)?)?;
    let path = layout.cache_mount(id).join(cache_mount::RECORD);
    fs::rename(&temporary, &path).at("rename to", &path)
}

/// Reads all that there are; what can't be used is removed.
pub(crate) fn read(layout: &Layout, trash: &Trash) -> Result<Table> {
    let mut records = Vec::new();
    let dir = layout.cache_mounts();
    for entry in fs::read_dir(&dir).at("read", &dir)? {
        let entry = entry.at("read", &dir)?;
        let record = entry.path().join(cache_mount::RECORD);
        match (entry.file_name().into_string(), read_json::<Record>(&record)) {
            (Ok(id), Ok(record)) => records.push((id, record)),
            (_, Err(error)) => {
                tracing::warn!(path = %entry.path().display(), %error, "removed: it can't be used");
                trash.discard(&entry.path())?;
            }
            (Err(_), Ok(_)) => drop(trash.discard(&entry.path())?),
        }
    }
    Ok(Table::new(records))
}
