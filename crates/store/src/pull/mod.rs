//! Pulling: what a registry says is checked, then layers are claimed and brought in one by one, then everything
//! becomes an image at once. Who fetches and from where is not known here.
//!
//! Layers that are finished wait in `pulled/` until the commit. A killed process leaves them there, and blobs
//! that were on their way in `ingest/`; the next pull finds both. They go when they are old, and with a prune.

mod commit;
mod leftovers;
mod request;
#[cfg(test)]
pub(crate) mod tests;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use oci::{Descriptor, Digest, Image};
use serde::{Deserialize, Serialize};

use crate::disk::{encode, write_plain};
use crate::error::Context;
use crate::in_flight::Listeners;
use crate::ingest::Ingest;
use crate::layer::{LayerBlob, Unpacked, blobs};
use crate::layout::{self, DIR_MODE};
use crate::load::Fresh;
use crate::state::Lease;
use crate::store::Inner;
use crate::{Listener, Result, Store};

pub use leftovers::Leftovers;
pub(crate) use leftovers::{make_directory, read};
use request::Checked;
pub use request::{PullRequest, RawDocument};

/// An image on its way in. Layers that it counts on stay as long as it lives.
#[derive(Debug)]
pub struct Pull {
    inner: Arc<Inner>,
    checked: Checked,
    lease: Arc<Mutex<Lease>>,
}

/// One layer of a [`Pull`].
#[derive(Clone, Debug)]
pub struct PullLayer {
    /// Its blob, as the manifest has it.
    pub descriptor: Descriptor,
    /// Digest of its tar, as the config has it.
    pub diff_id: Digest,
    /// It is here: there is nothing to fetch.
    pub present: bool,
}

/// Who brings a layer in.
pub enum Claim {
    /// It is here, and stays for this pull.
    Present,
    /// The caller.
    Ours(Box<Ingest>),
    /// Another pull or load, right now.
    Theirs(Waiter),
}

/// Waits for another operation's end with a blob.
pub struct Waiter {
    inner: Arc<Inner>,
    blob: Digest,
}

impl Waiter {
    /// Blocks until the other has ended, well or not; [`Pull::claim`] then says which. An asynchronous caller waits
    /// for its listener to hear [`crate::LayerNews::Ended`] instead.
    pub fn wait(self) {
        self.inner.in_flight.wait(&self.blob);
    }
}

impl Store {
    /// Begins to pull an image: checks that all documents belong together.
    ///
    /// # Errors
    /// [`crate::Error::Document`], [`crate::Error::DigestMismatch`], [`crate::Error::Limit`].
    pub fn pull(&self, request: PullRequest) -> Result<Pull> {
        let inner = self.inner().clone();
        let checked = request::check(request, &inner.limits)?;
        let lease = Arc::new(Mutex::new(Lease::new(&inner)));
        let pull = Pull { inner, checked, lease };
        let mut state = pull.inner.lock();
        for diff_id in pull.checked.image.diff_ids() {
            pull.hold(&mut state, diff_id);
        }
        drop(state);
        Ok(pull)
    }
}

impl Pull {
    /// The image as its config describes it.
    pub fn image(&self) -> &Image {
        &self.checked.image
    }

    /// Its layers, lowest first, and which of them are here.
    pub fn layers(&self) -> Vec<PullLayer> {
        let state = self.inner.lock();
        let layer = |(descriptor, diff_id): (&Descriptor, &Digest)| PullLayer {
            descriptor: descriptor.clone(),
            diff_id: diff_id.clone(),
            present: state.any_layer(diff_id).is_some() || state.pulled.contains_key(diff_id),
        };
        self.checked.layers.iter().zip(self.checked.image.diff_ids()).map(layer).collect()
    }

    /// Asks for the layer at this position. Whoever gets [`Claim::Ours`] should fetch at once: others wait for it,
    /// and should not keep back, while they wait, what it needs. `listener` hears of whoever fetches it.
    ///
    /// # Errors
    /// The file for the blob can't be made.
    pub fn claim(&self, position: usize, listener: Listener) -> Result<Claim> {
        let (Some(descriptor), Some(diff_id)) =
            (self.checked.layers.get(position), self.checked.image.diff_ids().get(position))
        else {
            return Ok(Claim::Present);
        };
        let mut state = self.inner.lock();
        if self.hold(&mut state, diff_id) {
            return Ok(Claim::Present);
        }
        let listeners = self.inner.in_flight.claim(&descriptor.digest, Some(listener));
        drop(state);
        let Some(listeners) = listeners else {
            return Ok(Claim::Theirs(Waiter { inner: self.inner.clone(), blob: descriptor.digest.clone() }));
        };
        let claimed = Claimed {
            inner: self.inner.clone(),
            diff_id: diff_id.clone(),
            repository: self.checked.repository.clone(),
            listeners,
            blob: Some(descriptor.digest.clone()),
            lease: self.lease.clone(),
        };
        Ok(Claim::Ours(Box::new(Ingest::start(claimed, descriptor)?)))
    }

    /// Keeps a layer for this pull. Says whether it is there.
    fn hold(&self, state: &mut crate::state::State, diff_id: &Digest) -> bool {
        hold(&self.lease, state, diff_id)
    }
}

fn hold(lease: &Mutex<Lease>, state: &mut crate::state::State, diff_id: &Digest) -> bool {
    let mut lease = lease.lock().unwrap_or_else(PoisonError::into_inner);
    if lease.take_pulled(state, diff_id) {
        return true;
    }
    let Some(key) = state.any_layer(diff_id) else { return false };
    lease.take(state, &key);
    true
}

/// A blob that nobody else fetches as long as this lives.
pub(crate) struct Claimed {
    pub(crate) inner: Arc<Inner>,
    pub(crate) diff_id: Digest,
    pub(crate) repository: String,
    pub(crate) listeners: Arc<Listeners>,
    blob: Option<Digest>,
    lease: Arc<Mutex<Lease>>,
}

impl Claimed {
    /// The claim for another owner.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            inner: self.inner.clone(),
            diff_id: self.diff_id.clone(),
            repository: self.repository.clone(),
            listeners: self.listeners.clone(),
            blob: self.blob.take(),
            lease: self.lease.clone(),
        }
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        if let Some(blob) = self.blob.take() {
            self.inner.in_flight.remove(&blob);
        }
    }
}

/// A layer that waits for its image.
#[derive(Debug)]
pub(crate) struct PulledEntry {
    pub(crate) unpacked: Unpacked,
    pub(crate) blobs: Vec<LayerBlob>,
    pub(crate) leases: usize,
}

/// What its directory says of it.
#[derive(Serialize, Deserialize)]
struct PulledRecord {
    diff_id: Digest,
    unpacked: Unpacked,
}

/// Puts an unpacked layer where it waits for the commit.
pub(crate) fn keep_pulled(claimed: &Claimed, fresh: Fresh, blob: LayerBlob) -> Result<()> {
    let inner = &claimed.inner;
    let dir = fresh.dir.path();
    let record = PulledRecord { diff_id: claimed.diff_id.clone(), unpacked: fresh.unpacked };
    write_plain(&dir.join(layout::layer::UNPACKED), &encode(&record)?)?;
    write_plain(&dir.join(layout::layer::BLOBS), &encode(&[&blob])?)?;
    let to = inner.layout.pulled_layer(&inner.boot, &claimed.diff_id);
    let mut state = inner.lock();
    if hold(&claimed.lease, &mut state, &claimed.diff_id) {
        // Another blob of the same tar was faster.
        if let Some(entry) = state.pulled.get_mut(&claimed.diff_id) {
            blobs::add(&mut entry.blobs, &blob);
        }
        return Ok(());
    }
    if inner.keep_compressed.load(Ordering::Relaxed) {
        let kept = dir.join(layout::layer::COMPRESSED);
        DirBuilder::new().mode(DIR_MODE).create(&kept).at("make", &kept)?;
        let to = kept.join(blob.digest.hex());
        std::fs::rename(inner.layout.ingest(&blob.digest), &to).at("rename to", &to)?;
    }
    fresh.dir.publish(&to)?;
    let entry = PulledEntry { unpacked: record.unpacked, blobs: vec![blob], leases: 0 };
    state.pulled.insert(claimed.diff_id.clone(), entry);
    hold(&claimed.lease, &mut state, &claimed.diff_id);
    Ok(())
}
