//! The build cache as its users see it: what it holds, what of it can go, and how it is kept within bounds.
//!
//! A layer counts as the cache's when no image and no container has it, so that every byte is counted once. Records go
//! from the leaves: without one that it stands on, a record would never be found again.

mod collect;
mod filter;
mod gc;
mod policy;
mod usage;

use ::build::cache::Kind;
use jiff::Timestamp;

use crate::Engine;
use crate::container::task::blocking;
use crate::engine::Inner;
use crate::error::Result;
use crate::events::EventKind;
use collect::Victims;
use usage::Usage;

pub use filter::CacheFilter;
pub(crate) use gc::collect_garbage;
pub use policy::{CacheLimits, CachePolicy, CacheRule};

use policy::Disk;

/// Where a record's bytes lie, and so who removes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// In layers of the store, which the cache's index names.
    Layers,
    /// In a directory of files from outside.
    Source,
    /// In a directory that stays between builds' processes.
    CacheMount,
}

/// What the cache knows of one piece of work, or a directory that it keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheRecord {
    /// Its name.
    pub id: String,
    /// Names of those that it was made from.
    pub parents: Vec<String>,
    /// What kind of work.
    pub kind: Kind,
    /// For people.
    pub description: String,
    /// A build has it right now.
    pub in_use: bool,
    /// Its bytes are counted elsewhere: an image has them, too, or another record.
    pub shared: bool,
    /// What is in it may still change.
    pub mutable: bool,
    /// Bytes on the disk.
    pub size: u64,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used after that.
    pub used: Option<Timestamp>,
    /// How often.
    pub uses: u64,
    /// Where its bytes lie.
    pub(crate) home: Home,
}

impl CacheRecord {
    /// When it was last made or used.
    #[must_use]
    pub fn last_used(&self) -> Timestamp {
        self.used.unwrap_or(self.created)
    }
}

/// What is in the cache.
#[derive(Clone, Debug, Default)]
pub struct CacheUsage {
    /// The records, the oldest first; without the builder's own notes, which take no space that is counted here.
    pub records: Vec<CacheRecord>,
    /// Bytes that only the cache has: the sum of those records that are not shared, and of what a running build has
    /// made and not noted yet.
    pub total: u64,
}

impl CacheUsage {
    /// Bytes of files from outside, which lie beside the store.
    pub(crate) fn contexts(&self) -> u64 {
        let contexts = self.records.iter().filter(|record| record.home == Home::Source);
        contexts.map(|record| record.size).sum()
    }

    /// Bytes that would come free if all went that can.
    #[must_use]
    pub fn reclaimable(&self) -> u64 {
        let idle = self.records.iter().filter(|record| !record.in_use && !record.shared);
        idle.map(|record| record.size).sum()
    }
}

/// What a prune has removed.
#[derive(Clone, Debug, Default)]
pub struct CachePruned {
    /// The records, those that stood on others first.
    pub records: Vec<CacheRecord>,
    /// Bytes that came free.
    pub bytes: u64,
}

impl Engine {
    /// What is in the build cache.
    ///
    /// # Errors
    /// Files can't be read.
    pub async fn build_cache(&self) -> Result<CacheUsage> {
        let engine = self.clone();
        blocking(move || engine.0.cache_usage()).await
    }

    /// Removes from the build cache what `rule` says; with `dry_run` only tells.
    ///
    /// # Errors
    /// Files can't be read or removed.
    pub async fn build_prune(&self, rule: CacheRule, dry_run: bool) -> Result<CachePruned> {
        let engine = self.clone();
        let pruned = blocking(move || engine.0.prune_cache(&[rule], dry_run)).await?;
        if !dry_run {
            self.0.events.pruned(EventKind::Builder, pruned.bytes);
        }
        Ok(pruned)
    }
}

impl Inner {
    /// As [`Engine::build_cache`]. Blocks.
    pub(crate) fn cache_usage(&self) -> Result<CacheUsage> {
        let usage = self.cache()?;
        let mut records: Vec<CacheRecord> =
            usage.records.into_values().filter(|record| record.kind != Kind::Internal).collect();
        records.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        Ok(CacheUsage { records, total: usage.total })
    }

    /// Everything in the cache, measured.
    fn cache(&self) -> Result<Usage> {
        let (stacks, builder) = (self.store.stacks()?, &self.builder);
        let mut usage = Usage::of(builder.solver.index().all(), &stacks, &builder.holders());
        builder.contexts.records(&self.layout)?.into_iter().for_each(|record| usage.add_directory(record));
        self.store.cache_mounts()?.into_iter().for_each(|mount| usage.add_directory(cache_mount(mount)));
        Ok(usage)
    }

    /// Applies rules one after the other. Blocks; one at a time.
    fn prune_cache(&self, rules: &[CacheRule], dry_run: bool) -> Result<CachePruned> {
        let _turn = self.builder.collecting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut usage = self.cache()?;
        let mut disk = self.disk()?;
        let mut pruned = CachePruned::default();
        for rule in rules {
            let before = usage.records.clone();
            let Victims { ids, freed } = collect::collect(&mut usage, rule, disk, Timestamp::now());
            for record in ids.iter().filter_map(|id| before.get(id)) {
                if !dry_run {
                    self.forget(record)?;
                }
                pruned.records.push(record.clone());
            }
            pruned.bytes += freed;
            disk.free += freed;
        }
        Ok(pruned)
    }

    fn forget(&self, record: &CacheRecord) -> Result<()> {
        match record.home {
            Home::Source => self.builder.contexts.forget(&self.layout, &record.id),
            Home::CacheMount => match self.store.remove_cache_mount(&record.id) {
                // a build has taken it meanwhile
                Err(error) if error.kind() == store::ErrorKind::Conflict => {}
                removed => drop(removed?),
            },
            Home::Layers => self.builder.forget(&record.id)?,
        }
        Ok(())
    }

    /// The disk that the cache lies on.
    fn disk(&self) -> Result<Disk> {
        let root = &self.config.data_root;
        let failed = |error| crate::Error::because(format!("look at the disk of {}", root.display()), error);
        let disk = rustix::fs::statvfs(root).map_err(failed)?;
        Ok(Disk { size: disk.f_blocks * disk.f_frsize, free: disk.f_bavail * disk.f_frsize })
    }
}

/// A directory that stays between builds' processes.
fn cache_mount(mount: store::CacheMount) -> CacheRecord {
    CacheRecord {
        id: mount.id,
        parents: Vec::new(),
        kind: Kind::ExecCachemount,
        description: mount.description,
        in_use: mount.in_use,
        shared: false,
        mutable: true,
        size: mount.size,
        created: mount.created,
        used: mount.last_used,
        uses: mount.uses,
        home: Home::CacheMount,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of 100 bytes.
    pub(super) fn record(id: &str, used: i64) -> CacheRecord {
        CacheRecord {
            id: id.to_owned(),
            parents: Vec::new(),
            kind: Kind::Regular,
            description: format!("about {id}, \"it\""),
            in_use: false,
            shared: false,
            mutable: false,
            size: 100,
            created: Timestamp::UNIX_EPOCH,
            used: Timestamp::from_second(used).ok(),
            uses: 1,
            home: Home::Layers,
        }
    }

    /// A cache of records that have a layer each.
    pub(super) fn usage(records: &[CacheRecord]) -> Usage {
        let mut usage = Usage::default();
        for record in records {
            usage.total += record.size;
            usage.layers.insert(record.id.clone(), (record.size, 1));
            usage.counts_on.insert(record.id.clone(), vec![record.id.clone()]);
            usage.records.insert(record.id.clone(), record.clone());
        }
        usage
    }

    #[test]
    fn what_can_go_is_neither_used_nor_shared() {
        let records = vec![
            record("a", 1),
            CacheRecord { in_use: true, ..record("b", 1) },
            CacheRecord { shared: true, ..record("c", 1) },
            CacheRecord { kind: Kind::SourceLocal, home: Home::Source, size: 7, ..record("d", 1) },
        ];
        let usage = CacheUsage { records, total: 207 };
        assert_eq!((usage.reclaimable(), usage.contexts()), (107, 7));
    }
}
