//! Who is using which blob right now, so that garbage can be collected beside pushes and pulls.
//!
//! A push holds the blobs that it relies on from its question for them (`HEAD`, mount, upload) until some time after; a
//! manifest's put holds [`Activity::pushing`] from looking at what it refers to until it is durable. A collector takes
//! [`Activity::collecting`] for a batch, and removes no blob that is [`Activity::is_held`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oci::Digest;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Digests whose last use is remembered. Beyond, the oldest are forgotten first.
const REMEMBERED: usize = 1 << 16;

/// What is in use.
#[derive(Debug, Default)]
pub struct Activity {
    gate: RwLock<()>,
    uses: Arc<Mutex<HashMap<Digest, Use>>>,
}

#[derive(Debug)]
struct Use {
    holders: usize,
    last: Instant,
}

/// As long as this lives, the blob is in use.
#[derive(Debug)]
pub struct Hold {
    uses: Arc<Mutex<HashMap<Digest, Use>>>,
    digest: Digest,
}

impl Activity {
    /// Until this is dropped, nothing is collected.
    pub async fn pushing(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().await
    }

    /// Until this is dropped, no manifest is put.
    pub async fn collecting(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().await
    }

    /// A blob is in use until this is dropped, and was used then.
    #[must_use]
    pub fn hold(&self, digest: &Digest) -> Hold {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() >= REMEMBERED && !uses.contains_key(digest) {
            forget(&mut uses);
        }
        let entry = uses.entry(digest.clone()).or_insert(Use { holders: 0, last: Instant::now() });
        entry.holders += 1;
        entry.last = Instant::now();
        Hold { uses: Arc::clone(&self.uses), digest: digest.clone() }
    }

    /// A client was told that a blob is there: a push that relies on it may follow.
    pub fn told(&self, digest: &Digest) {
        drop(self.hold(digest));
    }

    /// A blob is in use now, or was within `grace`.
    #[must_use]
    pub fn is_held(&self, digest: &Digest, grace: Duration) -> bool {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        uses.get(digest).is_some_and(|found| found.holders > 0 || found.last.elapsed() < grace)
    }
}

/// Drops the older half of what nobody holds.
fn forget(uses: &mut HashMap<Digest, Use>) {
    let mut times: Vec<Instant> = uses.values().filter(|one| one.holders == 0).map(|one| one.last).collect();
    times.sort_unstable();
    if let Some(middle) = times.get(times.len() / 2).copied() {
        uses.retain(|_, one| one.holders > 0 || one.last > middle);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = uses.get_mut(&self.digest) {
            entry.holders -= 1;
            entry.last = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_in_use_while_held_and_some_time_after() {
        let activity = Activity::default();
        let digest = Digest::sha256(b"x");
        assert!(!activity.is_held(&digest, Duration::from_secs(60)));
        let hold = activity.hold(&digest);
        assert!(activity.is_held(&digest, Duration::ZERO));
        drop(hold);
        assert!(!activity.is_held(&digest, Duration::ZERO));
        assert!(activity.is_held(&digest, Duration::from_secs(60)));
    }

    #[test]
    fn memory_is_bounded() {
        let activity = Activity::default();
        for number in 0..REMEMBERED + 1000 {
            activity.told(&Digest::sha256(&number.to_le_bytes()));
        }
        assert!(activity.uses.lock().unwrap().len() <= REMEMBERED);
    }
}
