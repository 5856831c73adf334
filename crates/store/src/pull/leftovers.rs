//! What interrupted pulls have left: read at open, removed when it is old or when somebody prunes.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use oci::Digest;

use super::{PulledEntry, PulledRecord};
use crate::disk::{Trash, random_name, read_json};
use crate::error::Context;
use crate::layer::blobs;
use crate::layout::{self, DIR_MODE, Layout};
use crate::state::State;
use crate::store::Inner;
use crate::{Result, Store};

/// Nobody goes on with a pull after so long: its tag will have moved.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What interrupted pulls have left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Blobs and layers.
    pub count: usize,
    /// Bytes on the disk.
    pub bytes: u64,
}

/// Names this run of the machine. What was not synchronised before the machine stopped can't be trusted after.
fn boot() -> Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    match id.trim() {
        id if !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            Ok(id.to_owned())
        }
        // It doesn't say: then nothing is gone on with.
        _ => random_name(),
    }
}

/// Makes the directory for layers of this run of the machine, and removes those of others.
pub(crate) fn make_directory(layout: &Layout, trash: &Trash) -> Result<String> {
    let boot = boot()?;
    let pulled = layout.pulled();
    trash.discard_others(&pulled, &boot)?;
    let dir = pulled.join(&boot);
    DirBuilder::new().mode(DIR_MODE).recursive(true).create(&dir).at("make", &dir)?;
    Ok(boot)
}

fn is_old(path: &Path) -> bool {
    let changed = fs::symlink_metadata(path).and_then(|meta| meta.modified());
    let age = changed.map(|changed| SystemTime::now().duration_since(changed).unwrap_or_default());
    age.is_ok_and(|age| age > MAX_AGE)
}

/// Reads what is left.
pub(crate) fn read(layout: &Layout, trash: &Trash, boot: &str, state: &mut State) -> Result<()> {
    let dir = layout.pulled().join(boot);
    for entry in fs::read_dir(&dir).at("read", &dir)? {
        let path = entry.at("read", &dir)?.path();
        match read_layer(layout, boot, &path) {
            Ok((diff_id, entry)) if !is_old(&path) && state.any_layer(&diff_id).is_none() => {
                state.pulled.insert(diff_id, entry);
            }
            Ok(_) => drop(trash.discard(&path)?),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "removed: it can't be used");
                trash.discard(&path)?;
            }
        }
    }
    let ingests = layout.ingests();
    for entry in fs::read_dir(&ingests).at("read", &ingests)? {
        let entry = entry.at("read", &ingests)?;
        let blob = entry.file_name().to_str().and_then(|hex| Digest::from_sha256_hex(hex).ok());
        if blob.is_none_or(|blob| state.has_blob(&blob)) || is_old(&entry.path()) {
            trash.discard(&entry.path())?;
        }
    }
    Ok(())
}

fn read_layer(layout: &Layout, boot: &str, path: &Path) -> Result<(Digest, PulledEntry)> {
    let record: PulledRecord = read_json(&path.join(layout::layer::UNPACKED))?;
    if layout.pulled_layer(boot, &record.diff_id) != path {
        return Err(crate::Error::Damaged(format!("{} is not {}", path.display(), record.diff_id)));
    }
    let blobs = blobs::read(path)?;
    Ok((record.diff_id, PulledEntry { unpacked: record.unpacked, blobs, leases: 0 }))
}

impl Store {
    /// What interrupted pulls have left, and no pull goes on with right now; and copies of layers with other owners that
    /// no container uses.
    ///
    /// # Errors
    /// A directory can't be read.
    pub fn leftovers(&self) -> Result<Leftovers> {
        let inner = self.inner();
        measure(&unused(inner, &inner.lock())?.1)
    }

    /// Removes [`Self::leftovers`].
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn drop_leftovers(&self) -> Result<Leftovers> {
        let inner = self.inner();
        // Who begins with a blob has claimed it under the lock.
        let mut state = inner.lock();
        let (layers, paths) = unused(inner, &state)?;
        let dropped = measure(&paths)?;
        layers.iter().for_each(|diff_id| drop(state.pulled.remove(diff_id)));
        for path in &paths {
            inner.trash.discard(path)?;
        }
        Ok(dropped)
    }
}

/// Layers that wait for an image and no pull counts on; their paths, those of blobs that nobody fetches, and those of
/// copies that nobody uses.
fn unused(inner: &Inner, state: &State) -> Result<(Vec<Digest>, Vec<PathBuf>)> {
    let unused = state.pulled.iter().filter(|(_, entry)| entry.leases == 0);
    let layers: Vec<Digest> = unused.map(|(diff_id, _)| diff_id.clone()).collect();
    let place = |diff_id: &Digest| inner.layout.pulled_layer(&inner.boot, diff_id);
    let mut paths: Vec<PathBuf> = layers.iter().map(place).collect();
    let ingests = inner.layout.ingests();
    for entry in fs::read_dir(&ingests).at("read", &ingests)? {
        let entry = entry.at("read", &ingests)?;
        let blob = entry.file_name().to_str().map(Digest::from_sha256_hex);
        if !matches!(blob, Some(Ok(blob)) if inner.in_flight.contains(&blob)) {
            paths.push(entry.path());
        }
    }
    paths.extend(crate::snapshot::unused(inner, state)?);
    Ok((layers, paths))
}

fn measure(paths: &[PathBuf]) -> Result<Leftovers> {
    let mut sum = Leftovers { count: paths.len(), bytes: 0 };
    for path in paths {
        sum.bytes += sys::usage::of(path).at("measure", path)?;
    }
    Ok(sum)
}
