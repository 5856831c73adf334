//! Deleting what is old without deleting what is young again.
//!
//! A directory has a lock for that; an object store has none, and few can make a DELETE depend on anything. But what one
//! has written there, all read from then on. So whoever deletes by age first says so (an object below `condemned/`), then
//! looks at the age, then deletes, then takes its word back. Whoever puts or touches does so, and then looks whether
//! somebody has said that. Of two who meet, at least one sees the other: either the age is young when it is looked at, or the word
//! is found, and then its end is waited for, and whether the object has survived is looked at.
//!
//! A deleter asks for nothing any more [`LEASE`] after its word. A word that is older than [`EXPIRED`] by the store's own
//! clock is of one that was killed, and means nothing.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::super::{Key, Prefix, Result, StorageError};
use super::bucket::Bucket;
use crate::server::random;

/// How long a deleter has from its word to the answer to its DELETE.
const LEASE: Duration = Duration::from_secs(10);

/// How long a word holds.
pub(super) const EXPIRED: Duration = Duration::from_secs(120);

/// How long a deleter is waited for; then who waits may come again.
const PATIENCE: Duration = Duration::from_secs(30);

/// The first wait for it.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// The longest.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

impl Bucket {
    /// What was put or touched a moment ago stays: nobody deletes it, or who wanted to is done and has not.
    pub(super) async fn survives(&self, key: &Key) -> Result<bool> {
        if !key.is_collected() || !self.is_condemned(key).await? {
            return Ok(true);
        }
        let (since, mut wait) = (Instant::now(), FIRST_WAIT);
        while self.is_condemned(key).await? {
            if since.elapsed() > PATIENCE {
                let reason = "it is just being deleted as garbage".into();
                return Err(StorageError::Unavailable { what: "keep", key: key.to_string(), reason });
            }
            tokio::time::sleep(wait).await;
            wait = LONGEST_WAIT.min(wait * 2);
        }
        Ok(self.head("look up", key.as_str()).await?.is_some())
    }

    async fn is_condemned(&self, key: &Key) -> Result<bool> {
        let (words, _, now) = self.below(Prefix::condemned(key).as_str(), None).await?;
        Ok(words.iter().any(|word| now.duration_since(word.modified).map_or(true, |age| age < EXPIRED)))
    }

    /// Deletes what is older than `cutoff`; whether it did.
    pub(super) async fn delete_old(&self, key: &Key, cutoff: SystemTime) -> Result<bool> {
        if !self.is_old(key, cutoff).await? {
            return Ok(false);
        }
        let failed = |source| StorageError::Io { what: "delete", key: key.to_string(), source };
        let id = random::bytes::<16>().map_err(failed)?;
        let word = Key::condemned(key, &hex::encode(id));
        let since = tokio::time::Instant::now();
        self.put("condemn", word.as_str(), Bytes::new()).await?;
        let work = async {
            if !self.is_old(key, cutoff).await? {
                return Ok(false);
            }
            self.delete(key.as_str()).await?;
            Ok(true)
        };
        // an unanswered DELETE may still be done: the word stays until it means nothing
        let outcome = tokio::time::timeout_at(since + LEASE, work).await.map_err(|_elapsed| {
            let reason = "the store took too long".into();
            StorageError::Unavailable { what: "delete", key: key.to_string(), reason }
        })?;
        if outcome.is_ok() {
            self.delete(word.as_str()).await?;
        }
        outcome
    }

    async fn is_old(&self, key: &Key, cutoff: SystemTime) -> Result<bool> {
        Ok(self.head("look up", key.as_str()).await?.is_some_and(|meta| meta.modified < cutoff))
    }
}
